"""Anthropic Messages: `POST /v1/messages`, whole and streamed, with the beta features that ride in its body.

head      the client's bytes: head, edits, slots; needs   decode    answer -> events
read      request -> Prompt (read_params, typed)          encode    events -> stream; answer: events -> whole
write     Prompt -> request (write_params, media, schema) errors    refusals and error bodies
tables    the API's words; usage, blocks, texts: what the others share
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from headgate.dialects.anthropic_messages import answer as _answer
from headgate.dialects.anthropic_messages import errors as _errors
from headgate.dialects.anthropic_messages import head as _head
from headgate.dialects.anthropic_messages.decode import Decoder
from headgate.dialects.anthropic_messages.encode import Encoder
from headgate.dialects.anthropic_messages.needs import needs as _needs
from headgate.dialects.anthropic_messages.read import read as _read
from headgate.dialects.anthropic_messages.tables import FAMILY
from headgate.dialects.anthropic_messages.write import write as _write
from headgate.dialects.base import Ask, Edit, Head, Json, ModelCard, Target, TextSlot, Written
from headgate.errors import BadRequest, HeadgateError, UpstreamRefused
from headgate.model.ability import Need
from headgate.model.events import Answer
from headgate.model.prompt import Family, Loss, Prompt

_PATHS = {"generate": "/messages", "count": "/messages/count_tokens"}


class AnthropicMessages:
    """See `headgate.dialects.base.Dialect`."""

    name = "anthropic_messages"
    family: Family = FAMILY
    up_headers = frozenset(("anthropic-version", "anthropic-beta"))
    """Not those that name a workspace or a user profile: whose money is spent is the credential's to say."""

    def head(self, body: bytes) -> Head:
        return _head.head(body)

    def edits(self, head: Head, target: Target) -> Sequence[Edit]:
        return _head.edits(head, target)

    def needs(self, head: Head) -> set[Need]:
        return _needs(head)

    def slots(self, json: Json) -> Iterator[TextSlot]:
        return _head.slots(json)

    def read(self, json: Json) -> Prompt:
        return _read(json)

    def write(self, prompt: Prompt, target: Target) -> Written:
        return _write(prompt, target)

    def decoder(self) -> Decoder:
        return Decoder()

    def encoder(self, ask: Ask) -> Encoder:
        return Encoder(ask)

    def answer(self, answer: Answer, ask: Ask) -> tuple[Json, list[Loss]]:
        return _answer.answer(answer, ask)

    def refusal(self, status: int, body: bytes) -> UpstreamRefused:
        return _errors.refusal(status, body)

    def error_body(self, error: HeadgateError, request_id: str) -> Json:
        return _errors.error_body(error, request_id)

    def error_frame(self, error: HeadgateError, ask: Ask, last: bytes) -> bytes:
        return _errors.frame("error", _errors.error_body(error, ask.id))

    def models(self, cards: Sequence[ModelCard]) -> Json:
        return {
            "data": [self.model(card) for card in cards],
            "has_more": False,
            "first_id": cards[0].id if cards else None,
            "last_id": cards[-1].id if cards else None,
        }

    def model(self, card: ModelCard) -> Json:
        shown: Json = {
            "type": "model",
            "id": card.id,
            "display_name": card.title or card.id,
            "created_at": datetime.fromtimestamp(card.created, UTC).isoformat().replace("+00:00", "Z"),
        }
        if card.context is not None:
            shown["max_input_tokens"] = card.context
        if card.max_output is not None:
            shown["max_tokens"] = card.max_output
        return shown

    def count_body(self, tokens: int) -> Json:
        return {"input_tokens": tokens}

    def path(self, model: str, operation: str, stream: bool) -> str:
        path = _PATHS.get(operation)
        if path is None:
            raise BadRequest(f"this dialect has no operation {operation!r}")
        return path


DIALECT = AnthropicMessages()
