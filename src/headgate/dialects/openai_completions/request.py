"""Requests of the legacy completions API: read from bytes, to and from the neutral Prompt.

Rules of this file:
- In the same dialect a prompt may be a text, several, or tokens. In a crossing it is one text: tokens belong to one
  tokenizer, and several prompts are several requests.
- A conversation written as a prompt is its only text, or a transcript with a line for each turn that ends where the
  answer begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from headgate.dialects.base import Edit, Head, Json, Target, TextSlot, Written
from headgate.dialects.openai_chat.fields import flag, mapping, number, string, text, whole
from headgate.dialects.openai_chat.head import wrong
from headgate.errors import BadRequest
from headgate.model.prompt import Loss, Message, Prompt, Refusal, Text, ToolCall, ToolResult, flat, foreign

_DEFAULT_CAP = 16
"""Tokens, where a client gives no cap: the API's own default, which other dialects do not have."""
_COPIED: dict[str, Callable[..., Any]] = {
    "temperature": number,
    "top_p": number,
    "presence_penalty": number,
    "frequency_penalty": number,
    "n": whole,
    "seed": whole,
    "user": text,
}
_KNOWN = frozenset(
    (*_COPIED, "model", "prompt", "max_tokens", "stop", "stream", "stream_options", "logit_bias", "logprobs")
)
_OWN = frozenset(("suffix", "echo", "best_of"))
"""Fields of this API alone."""
_LABELS = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}
_UNCARRIED = (
    "tools",
    "tool_choice",
    "parallel_tools",
    "output",
    "reasoning",
    "top_k",
    "metadata",
    "service_tier",
    "verbosity",
    "modalities",
)


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Head(Struct):
    model: str | None = None
    stream: bool | None = None
    max_tokens: int | None = None
    n: int | None = None
    stream_options: _StreamOptions | None = None


_decode = msgspec.json.Decoder(_Head).decode


def head(body: bytes) -> Head:
    try:
        read = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise wrong(error) from error
    stream = bool(read.stream)
    options = read.stream_options
    return Head(
        model=read.model or "",
        stream=stream,
        max_output=read.max_tokens,
        n=read.n or 1,
        include_usage=not stream or (options is not None and bool(options.include_usage)),
    )


def edits(head: Head, target: Target) -> list[Edit]:
    made: list[Edit] = []
    if head.model != target.model:
        made.append(Edit(name="model", path=("model",), value=msgspec.json.encode(target.model), present=True))
    if head.stream and target.accepts.stream_usage and not head.include_usage:
        made.append(Edit(name="stream_options", path=("stream_options", "include_usage"), value=b"true"))
    return made


def slots(json: Json) -> Iterator[TextSlot]:
    prompt = json.get("prompt")
    if isinstance(prompt, str):
        yield TextSlot(path=("prompt",), text=prompt, role="user")
    elif isinstance(prompt, list):
        for index, item in enumerate(prompt):
            if isinstance(item, str):
                yield TextSlot(path=("prompt", index), text=item, role="user")
    if isinstance(json.get("suffix"), str):
        yield TextSlot(path=("suffix",), text=json["suffix"], role="user")


def read(json: Json) -> Prompt:
    logprobs = whole(json, "logprobs")
    extras = {key: value for key, value in json.items() if key not in _KNOWN and value is not None}
    bias = json.get("logit_bias")
    return Prompt(
        model=text(json, "model", "") or "",
        family="openai",
        messages=[Message(role="user", parts=[Text(text=_prompt(json.get("prompt")))])],
        max_tokens=whole(json, "max_tokens") or _DEFAULT_CAP,
        stop=_stop(json.get("stop")),
        stream=bool(flag(json, "stream")),
        logprobs=True if logprobs is not None else None,
        top_logprobs=logprobs,
        logit_bias=mapping(bias, "logit_bias") if bias is not None else None,
        extras={"openai": extras} if extras else {},
        **{name: kind(json, name, "") for name, kind in _COPIED.items() if json.get(name) is not None},
    )


def _prompt(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        raise BadRequest("this model takes one prompt a request: send several requests", param="prompt")
    if isinstance(value, list) and value:
        raise BadRequest("this model takes its prompt as text, not as tokens", param="prompt")
    raise BadRequest("prompt must be a string", param="prompt")


def _stop(value: Any) -> list[str]:
    if value is None:
        return []
    return [string(item, "stop") for item in (value if isinstance(value, list) else [value])]


def write(prompt: Prompt, target: Target) -> Written:
    losses: list[Loss] = []
    json: Json = {"model": target.model, "prompt": _transcript(prompt, losses)}
    if prompt.max_tokens is not None:
        json["max_tokens"] = prompt.max_tokens
    for name in _COPIED:
        value = getattr(prompt, name)
        if value is not None:
            json[name] = value
    if prompt.stop:
        json["stop"] = prompt.stop
    if prompt.logit_bias is not None:
        json["logit_bias"] = prompt.logit_bias
    if prompt.logprobs:
        json["logprobs"] = prompt.top_logprobs or 0
    if prompt.stream:
        json["stream"] = True
        if target.accepts.stream_usage:
            json["stream_options"] = {"include_usage": True}
    for name in _UNCARRIED:
        value = getattr(prompt, name)
        if value not in (None, [], {}):
            losses.append(Loss(name, "a completion has no such setting", _plain(value)))
    for name, value in prompt.extras.get("openai", {}).items():
        if name in _OWN:
            json[name] = value
        else:
            losses.append(Loss(name, "a completion has no such setting", value))
    losses += foreign(prompt.extras, "openai", "")
    return Written(json=json, losses=losses)


def _transcript(prompt: Prompt, losses: list[Loss]) -> str:
    said: list[tuple[str, str]] = []
    for role, part in flat(prompt):
        match part:
            case Text() | Refusal():
                said.append((role, part.text))
                losses += foreign(part.extras, "openai", "messages")
            case ToolCall():
                said.append((role, f"{part.name}({part.arguments})"))
            case ToolResult():
                for inner in part.parts:
                    if isinstance(inner, Text):
                        said.append((role, inner.text))
                    else:
                        losses.append(Loss("messages.content", "a completion takes text alone", _plain(inner)))
            case _:
                losses.append(Loss("messages.content", "a completion takes text alone", _plain(part)))
    losses += [Loss("messages.name", "a completion has no speakers", m.name) for m in prompt.messages if m.name]
    if len(said) == 1 and said[0][0] == "user":
        return said[0][1]
    return "".join(f"{_LABELS[role]}: {line}\n\n" for role, line in said) + "Assistant:"


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)
