"""What the laboratory's provider says when it is well, in four dialects, whole and streamed; and how each says an error.

Rules of this file:
- The text is made of the model's name: an answer tells whose it is, and a word of a failed target in another's answer shows.
- A stream comes in four parts, so that a fault can stand between any two: before content, content, its end, the terminal mark.
- These are written by hand and not by the gateway's own dialects: a defect there must not hide itself here.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

CHAT, RESPONSES, ANTHROPIC, GEMINI = "openai_chat", "openai_responses", "anthropic_messages", "gemini"
DIALECTS = (CHAT, RESPONSES, ANTHROPIC, GEMINI)

INPUT, OUTPUT = 11, 12
"""The tokens that every complete answer of the laboratory is said to have used."""


class Used(Struct, frozen=True):
    """Tokens of one answer. `cached` of the input were read from a cache, `hidden` of the output thought and not shown."""

    input: int = INPUT
    output: int = OUTPUT
    cached: int = 0
    hidden: int = 0


USED = Used()


class Spoken(Struct, frozen=True, kw_only=True):
    """A streamed answer: its frames, in order. `mark` is what tells that it is complete."""

    opening: list[bytes]
    words: list[bytes]
    closing: list[bytes]
    mark: list[bytes]

    @property
    def all(self) -> list[bytes]:
        return [*self.opening, *self.words, *self.closing, *self.mark]

    @property
    def half(self) -> list[bytes]:
        """Up to the middle of its content."""
        return [*self.opening, *self.words[: len(self.words) // 2]]

    @property
    def rest(self) -> list[bytes]:
        return self.all[len(self.half) :]


def text(model: str) -> str:
    return f"The model {model} answers whole and in order: one two three four five six."


def _words(model: str) -> list[str]:
    first, *others = text(model).split(" ")
    return [first, *(f" {word}" for word in others)]


def dumps(value: Any) -> str:
    """JSON with a space behind each comma, which no string of ours contains: a place to break a line."""
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


def frame(value: Any, event: str = "") -> bytes:
    data = value if isinstance(value, str) else dumps(value)
    return (f"event: {event}\n" if event else "").encode() + f"data: {data}\n\n".encode()


def whole(dialect: str, model: str, said: str | None = None, used: Used = USED) -> bytes:
    """The answer as one document."""
    return dumps(_WHOLE[dialect](model, text(model) if said is None else said, used)).encode()


def stream(dialect: str, model: str, words: list[str] | None = None, used: Used = USED) -> Spoken:
    """The answer as a stream, one event for each of the words."""
    return _STREAMS[dialect](model, _words(model) if words is None else words, used)


# ---------------------------------------------------------------------- Chat Completions


def _chat_usage(used: Used) -> dict[str, Any]:
    sums = {"prompt_tokens": used.input, "completion_tokens": used.output, "total_tokens": used.input + used.output}
    return sums | {
        "prompt_tokens_details": {"cached_tokens": used.cached},
        "completion_tokens_details": {"reasoning_tokens": used.hidden},
    }


def _chat(model: str, said: str, used: Used) -> dict[str, Any]:
    message = {"role": "assistant", "content": said, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = {"id": "chatcmpl-lab", "object": "chat.completion", "created": 1767225600, "model": model}
    return {**head, "choices": [choice], "usage": _chat_usage(used)}


def _chat_chunk(model: str, choices: list[Any], **more: Any) -> bytes:
    head = {"id": "chatcmpl-lab", "object": "chat.completion.chunk", "created": 1767225600, "model": model}
    return frame({**head, "choices": choices, **more})


def _chat_stream(model: str, words: list[str], used: Used) -> Spoken:
    def delta(said: dict[str, Any], finish: str | None = None) -> bytes:
        return _chat_chunk(model, [{"index": 0, "delta": said, "finish_reason": finish}])

    return Spoken(
        opening=[delta({"role": "assistant", "content": ""})],
        words=[delta({"content": word}) for word in words],
        closing=[delta({}, "stop"), _chat_chunk(model, [], usage=_chat_usage(used))],
        mark=[frame("[DONE]")],
    )


# ---------------------------------------------------------------------- Responses


def _item(said: str | None) -> dict[str, Any]:
    content = [] if said is None else [_part(said)]
    status = "in_progress" if said is None else "completed"
    return {"id": "msg_lab", "type": "message", "role": "assistant", "status": status, "content": content}


def _part(said: str) -> dict[str, Any]:
    return {"type": "output_text", "text": said, "annotations": []}


def response(model: str, status: str, said: str | None = None, error: Any = None, used: Used = USED) -> dict[str, Any]:
    details = {
        "input_tokens_details": {"cached_tokens": used.cached},
        "output_tokens_details": {"reasoning_tokens": used.hidden},
    }
    sums = {"input_tokens": used.input, "output_tokens": used.output, "total_tokens": used.input + used.output}
    usage = sums | details
    head = {"id": "resp_lab", "object": "response", "created_at": 1767225600, "status": status, "model": model}
    told = {"output": [] if said is None else [_item(said)], "usage": None if said is None else usage}
    return {**head, "error": error, "incomplete_details": None, **told}


def _responses(model: str, said: str, used: Used) -> dict[str, Any]:
    return response(model, "completed", said, used=used)


def _responses_stream(model: str, words: list[str], used: Used) -> Spoken:
    said = "".join(words)
    number = iter(range(1000))

    def event(kind: str, **more: Any) -> bytes:
        return frame({"type": kind, "sequence_number": next(number), **more}, kind)

    at: dict[str, Any] = {"output_index": 0, "item_id": "msg_lab", "content_index": 0}
    return Spoken(
        opening=[
            event("response.created", response=response(model, "in_progress")),
            event("response.in_progress", response=response(model, "in_progress")),
            event("response.output_item.added", output_index=0, item=_item(None)),
            event("response.content_part.added", part=_part(""), **at),
        ],
        words=[event("response.output_text.delta", delta=word, logprobs=[], **at) for word in words],
        closing=[
            event("response.output_text.done", text=said, logprobs=[], **at),
            event("response.content_part.done", part=_part(said), **at),
            event("response.output_item.done", output_index=0, item=_item(said)),
        ],
        mark=[event("response.completed", response=response(model, "completed", said, used=used))],
    )


# ---------------------------------------------------------------------- Messages


def _message(model: str, said: str | None, used: Used) -> dict[str, Any]:
    content = [] if said is None else [{"type": "text", "text": said}]
    usage = {"input_tokens": used.input - used.cached, "output_tokens": 1 if said is None else used.output}
    usage["cache_read_input_tokens"] = used.cached
    stop = None if said is None else "end_turn"
    head = {"id": "msg_lab", "type": "message", "role": "assistant", "model": model, "content": content}
    return {**head, "stop_reason": stop, "stop_sequence": None, "usage": usage}


def _messages_stream(model: str, words: list[str], used: Used) -> Spoken:
    def event(kind: str, **more: Any) -> bytes:
        return frame({"type": kind, **more}, kind)

    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    return Spoken(
        opening=[
            event("message_start", message=_message(model, None, used)),
            event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        ],
        words=[event("content_block_delta", index=0, delta={"type": "text_delta", "text": word}) for word in words],
        closing=[
            event("content_block_stop", index=0),
            event("message_delta", delta=stop, usage={"output_tokens": used.output}),
        ],
        mark=[event("message_stop")],
    )


# ---------------------------------------------------------------------- Gemini


def _gemini(model: str, said: str, used: Used, finish: str | None = "STOP") -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": said}]}, "index": 0}
    usage = {"promptTokenCount": used.input, "totalTokenCount": used.input}
    if finish is not None:
        candidate["finishReason"] = finish
        usage = {
            "promptTokenCount": used.input,
            "cachedContentTokenCount": used.cached,
            "candidatesTokenCount": used.output - used.hidden,
            "thoughtsTokenCount": used.hidden,
            "totalTokenCount": used.input + used.output,
        }
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "lab"}


def _gemini_stream(model: str, words: list[str], used: Used) -> Spoken:
    told = [frame(_gemini(model, word, used, None)) for word in words[:-1]]
    return Spoken(opening=[], words=told, closing=[], mark=[frame(_gemini(model, words[-1], used))])


_WHOLE = {CHAT: _chat, RESPONSES: _responses, ANTHROPIC: _message, GEMINI: _gemini}
_STREAMS = {
    CHAT: _chat_stream,
    RESPONSES: _responses_stream,
    ANTHROPIC: _messages_stream,
    GEMINI: _gemini_stream,
}


# ---------------------------------------------------------------------- errors

_ANTHROPIC_TYPES = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error"} | {
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_GOOGLE_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"} | {
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error(dialect: str, status: int, code: str, message: str) -> bytes:
    """The body of an error reply."""
    if dialect == ANTHROPIC:
        kind = _ANTHROPIC_TYPES.get(status, "api_error")
        return dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    if dialect == GEMINI:
        state = _GOOGLE_STATUS.get(status, "INTERNAL")
        return dumps({"error": {"code": status, "message": message, "status": state}}).encode()
    kind = "invalid_request_error" if status < 500 and status != 429 else "server_error"
    return dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


def error_frame(dialect: str, model: str, status: int, code: str, message: str) -> bytes:
    """The same as an event of a stream."""
    if dialect == RESPONSES:
        failed = response(model, "failed", error={"code": code, "message": message})
        return frame({"type": "response.failed", "sequence_number": 90, "response": failed}, "response.failed")
    body = error(dialect, status, code, message).decode()
    return frame(body, "error" if dialect == ANTHROPIC else "")
