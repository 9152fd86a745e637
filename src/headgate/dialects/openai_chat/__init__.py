"""OpenAI Chat Completions, as OpenAI defined it and some twenty other providers speak it.

head, needs, slots, places      what is read and edited of a client's own bytes
read, history, blocks, fields   client JSON -> Prompt
write, compose                  Prompt -> JSON and losses
decode, turn, message, usage    answer -> events
encode, whole, shown            events -> chunks; a folded answer -> one document
reasoning                       thoughts and what must come back with them
errors, tables                  every shape of error; every word
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headgate.dialects import base
from headgate.dialects.base import Ask, Edit, Head, Json, ModelCard, Target, TextSlot, Written
from headgate.dialects.openai_chat import errors, head, needs, read, slots, whole, write
from headgate.dialects.openai_chat.decode import Decoder
from headgate.dialects.openai_chat.encode import Encoder
from headgate.errors import HeadgateError, NotFound, UpstreamRefused
from headgate.model.ability import Need
from headgate.model.events import Answer
from headgate.model.prompt import Loss, Prompt


class OpenAIChat:
    """See dialects.base.Dialect."""

    name = "openai_chat"
    family = "openai"
    up_headers = frozenset(("openai-beta", "x-client-request-id", "idempotency-key"))

    def head(self, body: bytes) -> Head:
        return head.head(body)

    def edits(self, head_: Head, target: Target) -> Sequence[Edit]:
        return head.edits(head_, target)

    def needs(self, head_: Head) -> set[Need]:
        return needs.needs(head_)

    def slots(self, json: Json) -> Iterator[TextSlot]:
        return slots.slots(json)

    def read(self, json: Json) -> Prompt:
        return read.read(json)

    def write(self, prompt: Prompt, target: Target) -> Written:
        return write.write(prompt, target)

    def decoder(self) -> base.Decoder:
        return Decoder()

    def encoder(self, ask: Ask) -> base.Encoder:
        return Encoder(ask)

    def answer(self, answer: Answer, ask: Ask) -> tuple[Json, list[Loss]]:
        return whole.answer(answer, ask)

    def refusal(self, status: int, body: bytes) -> UpstreamRefused:
        return errors.refusal(status, body)

    def error_body(self, error: HeadgateError, request_id: str) -> Json:
        return errors.error_body(error, request_id)

    def error_frame(self, error: HeadgateError, ask: Ask, last: bytes) -> bytes:
        return errors.error_frame(error, ask)

    def models(self, cards: Sequence[ModelCard]) -> Json:
        return {"object": "list", "data": [self.model(card) for card in cards]}

    def model(self, card: ModelCard) -> Json:
        found: Json = {"id": card.id, "object": "model", "created": card.created, "owned_by": card.owner}
        for key, value in (("name", card.title), ("context_length", card.context)):
            if value:
                found[key] = value
        return found

    def count_body(self, tokens: int) -> Json:
        raise NotFound("chat completions have no token-count endpoint", code="unknown_url")

    def path(self, model: str, operation: str, stream: bool) -> str:
        if operation != "generate":
            raise NotFound(f"chat completions have no operation {operation!r}", code="unknown_url")
        return "/chat/completions"


DIALECT = OpenAIChat()
