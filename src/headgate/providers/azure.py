"""Azure OpenAI in its v1 form: the model is the name of a deployment, no api-version. The key goes in `api-key`.

Claude, of a Foundry resource (`base_url: https://RESOURCE.services.ai.azure.com`), where a site lists
anthropic_messages in `dialects`. An Entra token goes in as header "authorization" of the site. Older resources:
provider azure_deployments.
"""

from __future__ import annotations

from headgate.dialects.base import Accepts
from headgate.providers import paths
from headgate.providers.anthropic import VERSION
from headgate.providers.base import Bearer, Endpoint, Provider, Setting

PROVIDER = Provider(
    name="azure",
    title="Azure OpenAI",
    docs=(
        "https://learn.microsoft.com/en-us/azure/ai-foundry/openai/api-version-lifecycle",
        "https://learn.microsoft.com/en-us/azure/ai-foundry/openai/latest",
        "https://learn.microsoft.com/en-us/azure/ai-foundry/foundry-models/how-to/use-foundry-models-claude",
    ),
    base_url="https://{resource}.openai.azure.com",
    env=(
        "AZURE_OPENAI_API_KEY",
        "AZURE_API_KEY",
    ),
    endpoints=(
        Endpoint(dialect="openai_responses", prefix="/openai/v1", paths=paths.NO_COUNT),
        Endpoint(
            dialect="openai_chat",
            prefix="/openai/v1",
            accepts=Accepts(tool_id="openai", reasoning_field="none"),
        ),
        Endpoint(dialect="openai_completions", prefix="/openai/v1"),
        Endpoint(
            dialect="anthropic_messages",
            prefix="/anthropic/v1",
            accepts=Accepts(tool_id="anthropic"),
            auth=Bearer("x-api-key", ""),
            headers=(VERSION,),
        ),
    ),
    base_url_env=("AZURE_OPENAI_ENDPOINT",),
    auth=Bearer("api-key", ""),
    dialects=("openai_responses", "openai_chat", "openai_completions"),
    settings=(
        Setting(name="resource", env=("AZURE_OPENAI_RESOURCE", "AZURE_RESOURCE_NAME"), about="The resource's name."),
    ),
    opaque=paths.under(
        "/openai/v1",
        paths.MODELS,
        paths.EMBEDDINGS,
        paths.IMAGES,
        paths.AUDIO,
        paths.FILES,
        paths.UPLOADS,
        paths.BATCHES,
        paths.RESPONSES,
        paths.CONVERSATIONS,
        paths.VECTOR_STORES,
        paths.FINE_TUNING,
        paths.CONTAINERS,
        paths.VIDEOS,
    ),
)
