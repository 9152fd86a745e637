"""OpenAI's legacy Completions: text in, text out. What it shares with Chat Completions (errors, usage, models) is that
dialect's.

    requests   head, edits, slots, read, write
    answers    decoder, and logprobs in both forms
    shown      encoder, whole answer
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headgate.dialects.base import Ask, Decoder, Edit, Encoder, Head, Json, Target, TextSlot, Written
from headgate.dialects.openai_chat import OpenAIChat
from headgate.dialects.openai_completions import answers, requests, shown
from headgate.errors import NotFound
from headgate.model.ability import Need
from headgate.model.events import Answer
from headgate.model.prompt import Loss, Prompt


class OpenAICompletions(OpenAIChat):
    """See dialects.base.Dialect."""

    name = "openai_completions"

    def head(self, body: bytes) -> Head:
        return requests.head(body)

    def edits(self, head_: Head, target: Target) -> Sequence[Edit]:
        return requests.edits(head_, target)

    def needs(self, head_: Head) -> set[Need]:
        return set()

    def slots(self, json: Json) -> Iterator[TextSlot]:
        return requests.slots(json)

    def read(self, json: Json) -> Prompt:
        return requests.read(json)

    def write(self, prompt: Prompt, target: Target) -> Written:
        return requests.write(prompt, target)

    def decoder(self) -> Decoder:
        return answers.Decoder()

    def encoder(self, ask: Ask) -> Encoder:
        return shown.Encoder(ask)

    def answer(self, answer: Answer, ask: Ask) -> tuple[Json, list[Loss]]:
        return shown.answer(answer, ask)

    def path(self, model: str, operation: str, stream: bool) -> str:
        if operation != "generate":
            raise NotFound(f"completions have no operation {operation!r}", code="unknown_url")
        return "/completions"


DIALECT = OpenAICompletions()
