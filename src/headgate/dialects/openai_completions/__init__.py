"""OpenAI's legacy completions: a text goes in, its continuation comes out.

request   head and edits, slots, client JSON <-> Prompt
answer    answer <-> events

Errors, usage, model cards and stop words are those of Chat Completions. In a crossing the prompt is one user message; what has no
place in a text (tools, images, thoughts) is a listed loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headgate.dialects import openai_chat
from headgate.dialects.base import Ask, Edit, Head, Json, ModelCard, Target, TextSlot, Written
from headgate.dialects.openai_chat import errors
from headgate.dialects.openai_completions import answer, request
from headgate.errors import HeadgateError, NotFound, UpstreamRefused
from headgate.model.events import Answer
from headgate.model.prompt import Loss, Prompt


class OpenAICompletions:
    """See dialects.base.Dialect."""

    name = "openai_completions"
    family = "openai"
    up_headers = openai_chat.DIALECT.up_headers

    def head(self, body: bytes) -> Head:
        return request.head(body)

    def edits(self, head: Head, target: Target) -> Sequence[Edit]:
        return request.edits(head, target)

    def slots(self, json: Json) -> Iterator[TextSlot]:
        return request.slots(json)

    def read(self, json: Json) -> Prompt:
        return request.read(json)

    def write(self, prompt: Prompt, target: Target) -> Written:
        return request.write(prompt, target)

    def decoder(self) -> answer.Decoder:
        return answer.Decoder()

    def encoder(self, ask: Ask) -> answer.Encoder:
        return answer.Encoder(ask)

    def answer(self, answer_: Answer, ask: Ask) -> tuple[Json, list[Loss]]:
        return answer.whole(answer_, ask)

    def refusal(self, status: int, body: bytes) -> UpstreamRefused:
        return errors.refusal(status, body)

    def error_body(self, error: HeadgateError, request_id: str) -> Json:
        return errors.error_body(error, request_id)

    def error_frame(self, error: HeadgateError, ask: Ask, last: bytes) -> bytes:
        return errors.error_frame(error, ask)

    def models(self, cards: Sequence[ModelCard]) -> Json:
        return openai_chat.DIALECT.models(cards)

    def model(self, card: ModelCard) -> Json:
        return openai_chat.DIALECT.model(card)

    def count_body(self, tokens: int) -> Json:
        raise NotFound("completions have no token-count endpoint", code="unknown_url")

    def path(self, model: str, operation: str, stream: bool) -> str:
        if operation != "generate":
            raise NotFound(f"completions have no operation {operation!r}", code="unknown_url")
        return "/completions"


DIALECT = OpenAICompletions()
