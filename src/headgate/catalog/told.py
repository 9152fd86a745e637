"""What LiteLLM's model list tells of abilities, laid on the models of the price data. A build step, like `compile`.

Rules of this file:
- Their names are looked up as a request's would be, among the models of one provider (PROVIDERS); one of ours may gather
  several of theirs.
- An ability is True where somebody says so and nobody denies it, False only where all of them deny it: a False keeps
  requests away. Silence and contradiction are None.
- The context is the largest that anybody states, so that only what fits nowhere is kept away. The output cap is
  one that all agree on: it is also sent, where a dialect demands a cap.
"""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from headgate.model.ability import Abilities

from .loader import Source
from .model import Row

PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure",
    "baseten": "baseten",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "cerebras": "cerebras",
    "cloudflare": "cloudflare",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "databricks": "databricks",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "github_copilot": "github-copilot",
    "groq": "groq",
    "meta_llama": "meta",
    "minimax": "minimax",
    "mistral": "mistral",
    "moonshot": "moonshotai",
    "novita": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "ovhcloud": "ovhcloud",
    "perplexity": "perplexity",
    "together_ai": "together",
    "vertex_ai-anthropic_models": "google",
    "vertex_ai-language-models": "google",
    "xai": "x-ai",
    "zai": "zai",
}
"""Provider in their list -> in the price data."""

FLAGS = {
    "images": "supports_vision",
    "audio": "supports_audio_input",
    "documents": "supports_pdf_input",
    "video": "supports_video_input",
    "tools": "supports_function_calling",
    "schema": "supports_response_schema",
    "reasoning": "supports_reasoning",
}
MODES = frozenset(("chat", "responses", "completion"))
MEMBER = "litellm/model_prices_and_context_window_backup.json"

Told: TypeAlias = Mapping[tuple[str, str], Abilities]
"""(provider, model id) of the price data -> what is known of its abilities."""


def read(wheel: Path) -> tuple[Source, Mapping[str, Any]]:
    """The list in a wheel of litellm, and whose it is; its date is the day on which the wheel was built."""
    with zipfile.ZipFile(wheel) as archive:
        entry = archive.getinfo(MEMBER)
        listed: Mapping[str, Any] = msgspec.json.decode(archive.read(entry))
    source = Source(
        name="litellm",
        version=wheel.name.split("-")[1],
        newest=date(*entry.date_time[:3]),
        licence="MIT",
        copyright="Copyright (c) 2023 Berri AI",
    )
    return source, listed


def gathered(listed: Mapping[str, Any], models: Mapping[str, Sequence[Row]]) -> Told:
    """What the list says of each model. `models`: those of each provider, in the order of matching."""
    found: defaultdict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for name, said in listed.items():
        theirs = said.get("litellm_provider")
        ours = PROVIDERS.get(theirs, "")
        if said.get("mode") not in MODES:
            continue
        spelled = name.removeprefix(f"{theirs}/").lower()
        row = next((row for row in models.get(ours, ()) if row.match.matches(spelled)), None)
        if row is not None:
            found[ours, row.id].append(said)
    return {key: _agreed(said) for key, said in found.items()}


def _agreed(said: Sequence[Mapping[str, Any]]) -> Abilities:
    return Abilities(
        **{ours: _flag([one.get(theirs) for one in said]) for ours, theirs in FLAGS.items()},
        context=max((count for one in said if (count := _count(one, "max_input_tokens"))), default=None),
        max_output=_same([_count(one, "max_output_tokens") for one in said]),
        thinking=_same([_thinking(one) for one in said]),
    )


def _flag(said: list[bool | None]) -> bool | None:
    """True: somebody says so and nobody denies it. False: all deny it."""
    if True in said:
        return None if False in said else True
    return False if said and None not in said else None


def _same(said: list[Any]) -> Any:
    return said[0] if len(set(said)) == 1 else None


def _count(one: Mapping[str, Any], name: str) -> int | None:
    """Some counts are 0, or a sentence."""
    value = one.get(name)
    return value if type(value) is int and value > 0 else None


def _thinking(one: Mapping[str, Any]) -> str | None:
    """The flag is set with care at Anthropic's own entries alone: without it, a thinking model is of an earlier
    generation."""
    if one.get("litellm_provider") != "anthropic" or not one.get("supports_reasoning"):
        return None
    return "adaptive" if one.get("supports_adaptive_thinking") else "budget"
