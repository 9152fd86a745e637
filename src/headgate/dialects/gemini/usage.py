"""usageMetadata <-> Usage.

Google counts: prompt (cached tokens included) + tool use (what a server tool put into the prompt) + candidates +
thoughts = total. Neutral input includes both of the first, output both of the last. In a stream each frame repeats the
counts so far.
"""

from __future__ import annotations

from typing import Any

from headgate.dialects.base import Json
from headgate.errors import UpstreamMalformed
from headgate.model.usage import Usage

from .checks import count, lists, string
from .tables import NUMBERED


def read_usage(fields: dict[str, Any]) -> Usage:
    tool = count(fields, "toolUsePromptTokenCount")
    thoughts = count(fields, "thoughtsTokenCount")
    prompt, cached = _kinds(fields, "promptTokensDetails"), _kinds(fields, "cacheTokensDetails")
    used, answer = _kinds(fields, "toolUsePromptTokensDetails"), _kinds(fields, "candidatesTokensDetails")
    return Usage(
        input=count(fields, "promptTokenCount") + tool,
        output=count(fields, "candidatesTokenCount") + thoughts,
        cache_read=count(fields, "cachedContentTokenCount"),
        reasoning=thoughts,
        tool_input=tool,
        input_audio=prompt.get("AUDIO", 0) + used.get("AUDIO", 0),
        output_audio=answer.get("AUDIO", 0),
        cache_audio_read=cached.get("AUDIO", 0),
        input_image=_pictures(prompt) + _pictures(used),
        cache_image_read=_pictures(cached),
        input_video=prompt.get("VIDEO", 0) + used.get("VIDEO", 0),
        output_image=_pictures(answer),
        service_tier=string(fields, "serviceTier").lower() or None,
        native=fields,
    )


def _kinds(fields: dict[str, Any], name: str) -> dict[str, int]:
    """Tokens by modality, in words where those came as numbers."""
    kinds: dict[str, int] = {}
    for item in lists(fields, name):
        if type(item) is not dict:
            raise UpstreamMalformed(f"{name} in the upstream's answer holds something else than objects")
        modality = item.get("modality")
        if type(modality) is int and 0 <= modality < len(NUMBERED["modality"]):
            modality = NUMBERED["modality"][modality]
        if isinstance(modality, str):
            kinds[modality] = kinds.get(modality, 0) + count(item, "tokenCount")
    return kinds


def _pictures(kinds: dict[str, int]) -> int:
    """Pages of documents are read as images, and priced so."""
    return kinds.get("IMAGE", 0) + kinds.get("DOCUMENT", 0)


def _worded(value: Any) -> Any:
    """The provider's object with words where enumerations came as numbers."""
    if isinstance(value, list):
        return [_worded(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: NUMBERED[name][item] if name in NUMBERED and item in range(len(NUMBERED[name])) else _worded(item)
        for name, item in value.items()
    }


def write_usage(usage: Usage) -> Json:
    """The upstream's own object where it is of this dialect, else its counts in this dialect's terms."""
    if "promptTokenCount" in usage.native or "trafficType" in usage.native:
        native: Json = _worded(usage.native)
        return native
    prompt, answer = usage.input - usage.tool_input, usage.output - usage.reasoning
    fields: Json = {"promptTokenCount": prompt}
    if answer:
        fields["candidatesTokenCount"] = answer
    fields["totalTokenCount"] = usage.input + usage.output
    for name, value in (
        ("cachedContentTokenCount", usage.cache_read),
        ("thoughtsTokenCount", usage.reasoning),
        ("toolUsePromptTokenCount", usage.tool_input),
    ):
        if value:
            fields[name] = value
    for name, total, image, audio, video in (
        ("promptTokensDetails", prompt, usage.input_image, usage.input_audio, usage.input_video),
        ("cacheTokensDetails", usage.cache_read, usage.cache_image_read, usage.cache_audio_read, 0),
        ("candidatesTokensDetails", answer, usage.output_image, usage.output_audio, 0),
    ):
        told = {"TEXT": max(0, total - image - audio - video), "IMAGE": image, "VIDEO": video, "AUDIO": audio}
        if image or audio or video:
            fields[name] = [{"modality": kind, "tokenCount": count} for kind, count in told.items() if count]
    return fields
