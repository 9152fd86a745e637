"""Azure OpenAI in its older form: the deployment stands in the path, the api-version in the query.

The key goes in `api-key`. For resources without /openai/v1, and gateways that imitate this form.
"""

from __future__ import annotations

from headgate.dialects.base import Accepts
from headgate.providers import paths
from headgate.providers.base import Bearer, Endpoint, Provider, Setting

PROVIDER = Provider(
    name="azure_deployments",
    title="Azure OpenAI (deployments)",
    docs=("https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference",),
    base_url="https://{resource}.openai.azure.com",
    env=(
        "AZURE_OPENAI_API_KEY",
        "AZURE_API_KEY",
    ),
    endpoints=(
        Endpoint(
            dialect="openai_chat",
            prefix="/openai/deployments",
            paths={"generate": "/{model}/chat/completions?api-version={api_version}"},
            accepts=Accepts(tool_id="openai", reasoning_field="none"),
        ),
        Endpoint(
            dialect="openai_completions",
            prefix="/openai/deployments",
            paths={"generate": "/{model}/completions?api-version={api_version}"},
        ),
    ),
    base_url_env=("AZURE_OPENAI_ENDPOINT",),
    auth=Bearer("api-key", ""),
    settings=(
        Setting(name="resource", env=("AZURE_OPENAI_RESOURCE", "AZURE_RESOURCE_NAME"), about="The resource's name."),
        Setting(
            name="api_version",
            env=("AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION"),
            default="2024-10-21",
            about="Query.",
        ),
    ),
    catalog="azure",
    opaque=paths.allow(
        "POST",
        "/openai/deployments/{id}/embeddings",
        "/openai/deployments/{id}/images/generations",
        "/openai/deployments/{id}/audio/speech",
        "/openai/deployments/{id}/audio/transcriptions",
        "/openai/deployments/{id}/audio/translations",
    ),
)
