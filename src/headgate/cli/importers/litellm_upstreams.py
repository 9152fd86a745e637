"""Where LiteLLM's provider prefixes lead here.

Sources: LiteLLM's documentation of its providers (docs.litellm.ai/docs/providers), and the providers' own.
"""

from __future__ import annotations

from typing import NamedTuple


class Upstream(NamedTuple):
    """`type` is ours; None: not served yet, for the reason `why`. `label` names the section (the type if empty).
    `key`, `base`: the variables LiteLLM reads where the file gives none, if ours reads others. `url`: the address where
    ours has none. `below`: what LiteLLM puts behind the address given, which ours expects within it."""

    type: str | None
    label: str = ""
    key: str = ""
    base: str = ""
    url: str = ""
    below: str = ""
    why: str = ""


def _compatible(label: str, url: str = "", key: str = "", base: str = "") -> Upstream:
    return Upstream("openai_compatible", label=label, url=url, key=key, base=base)


_AWS = Upstream(None, why="requests to AWS would have to be signed, which is not done yet")
_GOOGLE = Upstream(
    None, why="Vertex AI's sign-in is not done yet; Google models are served by `gemini` with an API key"
)
_OWN_API = Upstream(None, why="it has an API of its own, which is not spoken yet")

UPSTREAMS: dict[str, Upstream] = {
    "openai": Upstream("openai"),
    "text-completion-openai": Upstream("openai"),
    "aiohttp_openai": Upstream("openai"),
    "azure": Upstream("azure_deployments", label="azure", base="AZURE_API_BASE"),
    "azure_text": Upstream("azure_deployments", label="azure", base="AZURE_API_BASE"),
    "azure_ai": Upstream(None, why="Azure AI Foundry's own endpoints are not served yet; those of Azure OpenAI are"),
    "anthropic": Upstream("anthropic", below="/v1"),
    "gemini": Upstream("gemini"),
    "vertex_ai": _GOOGLE,
    "vertex_ai_beta": _GOOGLE,
    "bedrock": _AWS,
    "bedrock_converse": _AWS,
    "sagemaker": _AWS,
    "sagemaker_chat": _AWS,
    "groq": Upstream("groq"),
    "mistral": Upstream("mistral"),
    "xai": Upstream("xai"),
    "deepseek": Upstream("deepseek"),
    "openrouter": Upstream("openrouter"),
    "together_ai": Upstream("together"),
    "fireworks_ai": Upstream("fireworks"),
    "perplexity": Upstream("perplexity", key="PERPLEXITYAI_API_KEY"),
    "cerebras": Upstream("cerebras"),
    "sambanova": Upstream("sambanova"),
    "nvidia_nim": Upstream("nvidia"),
    "huggingface": Upstream("huggingface"),
    "github": Upstream("github"),
    "databricks": Upstream("databricks", key="DATABRICKS_API_KEY", base="DATABRICKS_API_BASE"),
    "cloudflare": Upstream("cloudflare"),
    "moonshot": Upstream("moonshot"),
    "zai": Upstream("zai"),
    "dashscope": Upstream("alibaba"),
    "minimax": Upstream("minimax"),
    "volcengine": Upstream("bytedance", key="VOLCENGINE_API_KEY"),
    "deepinfra": Upstream("deepinfra"),
    "novita": Upstream("novita"),
    "hyperbolic": Upstream("hyperbolic"),
    "nebius": Upstream("nebius"),
    "friendliai": Upstream("friendli"),
    "baseten": Upstream("baseten"),
    "lambda_ai": Upstream("lambda"),
    "scaleway": Upstream("scaleway"),
    "ovhcloud": Upstream("ovh"),
    "vercel_ai_gateway": Upstream("vercel"),
    "ai21": Upstream("ai21"),
    "ai21_chat": Upstream("ai21"),
    "snowflake": Upstream("snowflake", key="SNOWFLAKE_JWT"),
    "watsonx": Upstream("watsonx"),
    "ollama": Upstream("ollama", base="OLLAMA_API_BASE", url="http://localhost:11434", below="/v1"),
    "ollama_chat": Upstream("ollama", base="OLLAMA_API_BASE", url="http://localhost:11434", below="/v1"),
    "vllm": Upstream("vllm"),
    "hosted_vllm": Upstream("vllm", key="HOSTED_VLLM_API_KEY", base="HOSTED_VLLM_API_BASE"),
    "lm_studio": Upstream("lmstudio", key="LM_STUDIO_API_KEY", base="LM_STUDIO_API_BASE"),
    "llamafile": Upstream("llamacpp", base="LLAMAFILE_API_BASE"),
    "openai_like": _compatible(""),
    "custom_openai": _compatible(""),
    "litellm_proxy": _compatible("litellm", key="LITELLM_PROXY_API_KEY", base="LITELLM_PROXY_API_BASE"),
    "xinference": _compatible("xinference", key="XINFERENCE_API_KEY", base="XINFERENCE_API_BASE"),
    "docker_model_runner": _compatible("docker-model-runner", url="http://localhost:12434/engines/llama.cpp/v1"),
    "cohere": _compatible("cohere", "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY"),
    "cohere_chat": _compatible("cohere", "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY"),
    "meta_llama": _compatible("meta-llama", "https://api.llama.com/compat/v1", "LLAMA_API_KEY"),
    "featherless_ai": _compatible("featherless", "https://api.featherless.ai/v1", "FEATHERLESS_AI_API_KEY"),
    "replicate": _OWN_API,
    "clarifai": _OWN_API,
    "triton": _OWN_API,
    "predibase": _OWN_API,
    "jina_ai": _OWN_API,
    "voyage": _OWN_API,
    "github_copilot": Upstream(None, why="GitHub Copilot's sign-in is a person's, not a gateway's"),
    "chatgpt": Upstream(None, why="ChatGPT's sign-in is a person's, not a gateway's"),
    "custom": Upstream(None, why="it is Python code of yours"),
}
"""Prefix of `model`, or `custom_llm_provider` -> where that is here."""

BARE: tuple[tuple[str, str], ...] = (
    ("ft:gpt", "openai"), ("gpt", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai"),
    ("chatgpt-", "openai"), ("text-embedding-", "openai"), ("omni-moderation", "openai"), ("dall-e", "openai"),
    ("whisper", "openai"), ("tts-", "openai"), ("claude", "anthropic"), ("gemini", "vertex_ai"), ("command", "cohere"),
)  # fmt: skip
"""What a model without a prefix begins with -> the prefix that LiteLLM takes it for."""

ROUTES: dict[str, tuple[str, ...]] = {
    "openai": ("responses/", "chat/"),
    "azure": ("responses/", "o_series/", "gpt5_series/"),
}
"""Prefix -> what may follow it and is no part of the model's name."""
