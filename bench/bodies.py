"""Requests and answers of a given size, as applications send them: English prose with line ends and quotes, some of it not ASCII."""

from __future__ import annotations

import json
from typing import Any

SENTENCE = 'The gate at the head of the canal lets in "as much water" as the fields below it need – and no more.\n'
TURN = 20_000
"""Bytes of prose in one message: a long prompt is a long conversation."""


def chat_request(model: str, size: int, *, stream: bool = False) -> bytes:
    """A chat completions request of `size` bytes."""

    def made(messages: list[dict[str, Any]]) -> dict[str, Any]:
        more: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        return {"model": model, "temperature": 0.5, "max_tokens": 500, "messages": messages, **more}

    system = {"role": "system", "content": "You answer briefly."}
    return _filled(lambda turns: made([system, *turns]), size)


def anthropic_request(model: str, size: int) -> bytes:
    """A messages request of `size` bytes that asks the same."""
    return _filled(
        lambda turns: {
            "model": model,
            "temperature": 0.5,
            "max_tokens": 500,
            "system": "You answer briefly.",
            "messages": turns,
        },
        size,
    )


def chat_answer(size: int) -> bytes:
    """A chat completion of `size` bytes."""

    def made(text: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": text, "refusal": None}
        return {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1_760_000_000,
            "model": "m-2026-01-01",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 200, "completion_tokens": 150, "total_tokens": 350},
            "service_tier": "default",
        }

    bare = len(_bytes(made("")))
    return _bytes(made(_prose(size - bare)))


def chunk(text: str | None, finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    """One event of a streamed chat completion."""
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "logprobs": None, "finish_reason": finish}
    event: dict[str, Any] = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": "m-2026-01-01",
        "service_tier": "default",
        "choices": [choice] if usage is None else [],
        "usage": usage,
    }
    return b"data: " + _bytes(event) + b"\n\n"


def _filled(made: Any, size: int) -> bytes:
    """The document whose turns of prose make it `size` bytes long, within one character's escapes."""
    turns: list[dict[str, Any]] = []
    while len(_bytes(made(turns))) + TURN < size:
        turns.append({"role": "assistant" if len(turns) % 2 else "user", "content": _prose(TURN)})
    if len(turns) % 2:
        turns.append({"role": "assistant", "content": "Yes."})
    last = {"role": "user", "content": ""}
    turns.append(last)
    last["content"] = _prose(max(1, size - len(_bytes(made(turns)))))
    return _bytes(made(turns))


def _prose(size: int) -> str:
    """Text that takes `size` bytes in JSON, up to one escape less."""
    each = len(_bytes(SENTENCE)) - 2
    text = SENTENCE * (size // each)
    left = size - (len(_bytes(text)) - 2)
    for sign in SENTENCE:
        left -= len(_bytes(sign)) - 2
        if left < 0:
            break
        text += sign
    return text


def _bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
