"""Completions requests.

Rules of this file:
- `prompt` is a text, a list of texts (each answered on its own), tokens, or lists of tokens.
- A crossing carries one text, as one user message. Several prompts cannot be one conversation, and tokens are another
  model's numbers: both are refused, with what to do instead.
- Who names no cap gets the API's own, 16 tokens: other dialects have none such, so a crossing says it.
- A conversation written for this dialect is its only user text, or else a transcript whose last line the model
  completes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from headgate.dialects.base import Edit, Head, Json, Target, TextSlot, Written
from headgate.dialects.openai_chat import head as chat
from headgate.dialects.openai_chat.fields import Member, flag, inner, mapping, number, string, text, whole
from headgate.errors import BadRequest
from headgate.model.prompt import Loss, Message, Prompt, Refusal, Text, ToolCall, ToolResult, foreign

_READ = frozenset(
    (
        "model",
        "prompt",
        "stream",
        "stream_options",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "seed",
        "stop",
        "n",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "user",
    )
)
_SAME = ("temperature", "top_p", "n", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "user")
_EXTRAS = frozenset(
    ("suffix", "echo", "best_of", "repetition_penalty", "min_p", "safety_model", "ignore_eos", "guided_regex")
)
_UNSAYABLE = (
    "tool_choice",
    "parallel_tools",
    "output",
    "reasoning",
    "metadata",
    "service_tier",
    "verbosity",
    "modalities",
)
_DEFAULT_CAP = 16
_LABELS = {"system": "System", "developer": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Head(Struct):
    model: str | None = None
    stream: bool | None = None
    max_tokens: int | None = None
    n: int | None = None
    best_of: int | None = None
    stream_options: _StreamOptions | None = None
    prompt: str | list[str | int | list[int]] | None = None


_head = msgspec.json.Decoder(_Head).decode


def head(body: bytes) -> Head:
    try:
        read = _head(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise chat.wrong(error) from error
    prompts = len(read.prompt) if isinstance(read.prompt, list) and not _tokens(read.prompt) else 1
    options = read.stream_options
    return Head(
        model=read.model or "",
        stream=bool(read.stream),
        max_output=chat.countable_cap(read.max_tokens),
        n=chat.countable(max(read.n or 1, read.best_of or 1)) * max(prompts, 1),
        include_usage=not read.stream or (options is not None and bool(options.include_usage)),
        body=body,
    )


def _tokens(prompt: list[Any]) -> bool:
    return bool(prompt) and isinstance(prompt[0], int)


def edits(head: Head, target: Target) -> list[Edit]:
    made: list[Edit] = []
    if head.model != target.model:
        made.append(Edit(name="model", path=("model",), value=msgspec.json.encode(target.model), present=True))
    if head.stream and target.accepts.stream_usage and not head.include_usage:
        made.append(Edit(name="stream_options", path=("stream_options", "include_usage"), value=b"true"))
    if target.accepts.drop:
        chat.refuse_dropped(head, target)
    return made


def slots(json: Json) -> Iterator[TextSlot]:
    prompt = json.get("prompt")
    texts = [((), prompt)] if isinstance(prompt, str) else list(_numbered(prompt))
    for path, value in texts:
        if isinstance(value, str) and value:
            yield TextSlot(path=("prompt", *path), text=value, role="user")
    suffix = json.get("suffix")
    if isinstance(suffix, str) and suffix:
        yield TextSlot(path=("suffix",), text=suffix, role="user")


def _numbered(prompt: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
    for index, value in enumerate(prompt if isinstance(prompt, list) else ()):
        yield (index,), value


# ------------------------------------------------------------------ crossing


def read(json: Member) -> Prompt:
    json = mapping(json, "")
    logprobs = whole(json, "logprobs") if json.get("logprobs") is not False else None
    prompt = Prompt(
        model=text(json, "model", "") or "",
        family="openai",
        messages=[Message(role="user", parts=[Text(text=_prompt(json.get("prompt")))])],
        max_tokens=_DEFAULT_CAP if json.get("max_tokens") is None else whole(json, "max_tokens"),
        temperature=number(json, "temperature"),
        top_p=number(json, "top_p"),
        top_k=whole(json, "top_k"),
        seed=whole(json, "seed"),
        stop=_stop(json.get("stop")),
        n=whole(json, "n"),
        presence_penalty=number(json, "presence_penalty"),
        frequency_penalty=number(json, "frequency_penalty"),
        logit_bias=inner(json, "logit_bias") or None,
        logprobs=None if logprobs is None else True,
        top_logprobs=logprobs,
        user=text(json, "user", ""),
        stream=bool(flag(json, "stream")),
    )
    extras = {key: value for key, value in json.items() if key not in _READ and value not in (None, "", False)}
    if extras.get("best_of") == 1:
        del extras["best_of"]
    options = inner(json, "stream_options") or {}
    flag(options, "include_usage", "stream_options")
    if extras:
        prompt.extras = {"openai": extras}
    return prompt


def _prompt(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        value = value[0]
    if isinstance(value, str):
        return value
    if value is None:
        raise BadRequest("prompt is missing", param="prompt")
    if not isinstance(value, list) or not value:
        raise BadRequest("prompt must be a string or a list", param="prompt")
    if any(isinstance(item, int | list) for item in value):
        raise BadRequest(
            "a prompt of tokens holds another model's numbers: send its text", param="prompt", code="unsupported_prompt"
        )
    raise BadRequest(
        "several prompts cannot be answered by this model's API: send one request for each",
        param="prompt",
        code="unsupported_prompt",
    )


def _stop(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise BadRequest("stop must be a string or an array", param="stop")
    return [string(item, f"stop[{index}]") for index, item in enumerate(value)]


def write(prompt: Prompt, target: Target) -> Written:
    losses: list[Loss] = []
    json: Json = {"model": target.model, "prompt": _transcript(prompt, losses)}
    if prompt.max_tokens is not None:
        json["max_tokens"] = prompt.max_tokens
    for name in _SAME:
        value = getattr(prompt, name)
        if value is not None:
            json[name] = value
    if prompt.top_k is not None and prompt.family == "openai":
        json["top_k"] = prompt.top_k
    elif prompt.top_k is not None:
        losses.append(Loss("top_k", "this API has no such parameter", prompt.top_k))
    if prompt.stop:
        json["stop"] = prompt.stop
    if prompt.logprobs:
        json["logprobs"] = prompt.top_logprobs or 0
    for name in _UNSAYABLE:
        value = getattr(prompt, name)
        if value is not None:
            losses.append(Loss(name, "this API has no such parameter", value))
    losses += [Loss(f"tools.{tool.name}", "this API has no tools", tool) for tool in prompt.tools]
    losses += foreign(prompt.extras, "openai", "")
    for key, value in prompt.extras.get("openai", {}).items():
        if key in _EXTRAS:
            json[key] = value
        else:
            losses.append(Loss(key, "this API has no such member", value))
    if prompt.stream:
        json["stream"] = True
        if target.accepts.stream_usage:
            json["stream_options"] = {"include_usage": True}
    for name in sorted(target.accepts.drop & json.keys()):
        losses.append(Loss(name, "this target refuses it", json.pop(name)))
    return Written(json=json, losses=losses)


def _transcript(prompt: Prompt, losses: list[Loss]) -> str:
    turns: list[tuple[str, str]] = []
    for message in prompt.messages:
        losses += [
            Loss(f"messages.{message.role}.{key}", "a text has no such member", value)
            for fields in message.extras.values()
            for key, value in fields.items()
        ]
        texts = _texts(message.parts, message.role, losses)
        if texts:
            turns.append((_LABELS[message.role], "".join(texts)))
    if len(turns) == 1 and turns[0][0] == "User":
        return turns[0][1]
    return "\n\n".join([*(f"{label}: {said}" for label, said in turns), "Assistant:"])


def _texts(parts: list[Any], role: str, losses: list[Loss]) -> list[str]:
    found: list[str] = []
    for part in parts:
        if isinstance(part, Text | Refusal):
            found.append(part.text)
            extras = list(part.extras.values())
            losses += [
                Loss(f"messages.{key}", "a text has no such member", v) for held in extras for key, v in held.items()
            ]
            losses += [
                Loss("messages.citation", "a text has no such member", cited)
                for cited in getattr(part, "citations", ())
            ]
        elif isinstance(part, ToolCall):
            found.append(f"{part.name}({part.arguments})")
            losses += [
                Loss(f"messages.{key}", "a text has no such member", v)
                for held in part.extras.values()
                for key, v in held.items()
            ]
        elif isinstance(part, ToolResult):
            found += _texts(part.parts, role, losses)
        else:
            losses.append(Loss(f"messages.{role}.{type(part).__name__.lower()}", "this API takes text alone", part))
    return found
