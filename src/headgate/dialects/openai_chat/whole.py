"""A folded answer as one `chat.completion` document."""

from __future__ import annotations

from typing import Any

from headgate.dialects.base import Ask, Json
from headgate.dialects.finish import beside
from headgate.dialects.naming import call_id
from headgate.dialects.openai_chat import reasoning
from headgate.dialects.openai_chat.errors import failed_body
from headgate.dialects.openai_chat.shown import (
    annotation,
    answer_id,
    audio,
    finish_word,
    image,
    legacy,
    native,
    text_extras,
)
from headgate.dialects.openai_chat.usage import write_usage
from headgate.model.events import Answer, AnswerPart, Choice
from headgate.model.prompt import Loss, Thinking, foreign


class _Message:
    """One choice's message in the making."""

    def __init__(self, id: str, old: bool, losses: list[Loss]) -> None:
        self.id = id
        self.old = old
        self.losses = losses
        self.texts: list[str] = []
        self.refusals: list[str] = []
        self.thoughts: list[str] = []
        self.details: list[Json] = []
        self.calls: list[Json] = []
        self.annotations: list[Json] = []
        self.images: list[Json] = []
        self.sound: Json | None = None
        self.transcripts: list[str] = []
        self.logprobs: dict[str, list[dict[str, Any]]] = {}

    def add(self, part: AnswerPart, choice: int, number: int) -> None:
        match part.kind:
            case "text":
                self._text(part)
            case "thinking":
                if part.text:
                    self.thoughts.append(part.text)
                self.details += reasoning.entries(Thinking(text=part.text, extras=part.extras), len(self.details))
            case "refusal":
                self.refusals.append(part.text)
                self._logprobs("refusal", part)
            case "tool_call" | "custom_call":
                self._call(part, call_id(f"{self.id}:{part.name}:{choice}", number))
            case "media":
                self._media(part)
            case "native":
                self.losses += native(part.name, part.extras)

    def _text(self, part: AnswerPart) -> None:
        if part.extras.get("openai", {}).get("transcript"):
            self.transcripts.append(part.text)
            return
        base = sum(map(len, self.texts))
        self.texts.append(part.text)
        self._logprobs("content", part)
        for citation in part.citations:
            shown = annotation(citation, base)
            if shown is None:
                self.losses.append(Loss("answer.citation", "a citation here needs a URL", citation))
            else:
                self.annotations.append(shown)
        extras, lost = text_extras(part.extras)
        self.losses += lost
        self._attach(reasoning.attached(extras, reasoning.CONTENT))

    def _logprobs(self, key: str, part: AnswerPart) -> None:
        if part.logprobs:
            self.logprobs.setdefault(key, []).extend(part.logprobs)

    def _attach(self, detail: Json | None) -> None:
        if detail is not None:
            self.details.append({**detail, "index": len(self.details)})

    def _call(self, part: AnswerPart, made: str) -> None:
        id = part.id or made
        kind, field = ("custom", "input") if part.kind == "custom_call" else ("function", "arguments")
        text = part.text or ("{}" if kind == "function" else "")
        call: Json = {"id": id, "type": kind, kind: {"name": part.name, field: text}}
        signature = part.extras.get("google", {}).get("thoughtSignature")
        if signature:
            call["extra_content"] = {"google": {"thought_signature": signature}}
        if self.old and self.calls:
            self.losses.append(Loss("answer.tool_call", "function_call holds one call", call[kind]))
        self.calls.append(call)
        self._attach(reasoning.attached(part.extras, id))

    def _media(self, part: AnswerPart) -> None:
        self.losses += foreign(part.extras, "openai", "answer.media")
        if sound := audio(part.mime, part.text, part.extras, self.id):
            if self.sound is None:
                self.sound = sound
            else:
                self.losses.append(Loss("answer.media", "a message holds one sound", part.text))
        elif shown := image(part.mime, part.text, part.extras):
            self.images.append(shown)
        else:
            self.losses.append(Loss("answer.media", f"{part.mime or 'media'} has no place here", part.text))

    def json(self) -> Json:
        empty = self.calls or self.refusals or self.sound is not None
        content = "".join(self.texts) if self.texts or not empty else None
        message: Json = {"role": "assistant", "content": content, "refusal": "".join(self.refusals) or None}
        if self.thoughts:
            message["reasoning_content"] = "".join(self.thoughts)
        if self.sound is not None or self.transcripts:
            sound = self.sound or {"id": "audio_" + self.id, "data": "", "expires_at": 0}
            message["audio"] = {**sound, "transcript": "".join(self.transcripts)}
        if self.calls and self.old:
            message["function_call"] = self.calls[0].get("function") or self.calls[0]["custom"]
        elif self.calls:
            message["tool_calls"] = self.calls
        for key, listed in (
            ("reasoning_details", self.details),
            ("annotations", self.annotations),
            ("images", self.images),
        ):
            if listed:
                message[key] = listed
        return message


def _choice(choice: Choice, index: int, id: str, old: bool, losses: list[Loss]) -> Json:
    message = _Message(id, old, losses)
    for number, part in enumerate(choice.parts):
        message.add(part, index, number)
    word, lost = finish_word(choice.stop or "other", choice.extras)
    losses += lost
    if choice.sequence is not None:
        losses.append(Loss("stop_sequence", "which one was met cannot be said here", choice.sequence))
    logprobs = {"content": None, "refusal": None, **message.logprobs} if message.logprobs else None
    return {
        "index": index,
        "message": message.json(),
        "logprobs": logprobs,
        "finish_reason": "function_call" if word == "tool_calls" and old else word,
    }


def answer(folded: Answer, ask: Ask) -> tuple[Json, list[Loss]]:
    """See dialects.base.Dialect.answer. A failed answer is the error's body."""
    if folded.failed is not None:
        return failed_body(folded.failed, ask.id), []
    losses = beside(folded.extras, "openai")
    id, old = answer_id(folded.id, ask), legacy(ask)
    body: Json = {
        "id": id,
        "object": "chat.completion",
        "created": folded.created if folded.created is not None else ask.created,
        "model": folded.model or ask.model,
        "choices": [
            _choice(choice, index, id, old, losses) for index, choice in enumerate(folded.choices or [Choice()])
        ],
    }
    for key, value in folded.extras.get("openai", {}).items():
        if key in ("system_fingerprint", "service_tier", "citations", "search_results"):
            body[key] = value
    if folded.usage is not None:
        body["usage"] = write_usage(folded.usage)
    return body, losses
