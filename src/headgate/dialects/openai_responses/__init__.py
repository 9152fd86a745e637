"""The OpenAI Responses API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headgate.dialects import base
from headgate.dialects.base import Ask, Edit, Head, Json, ModelCard, Target, TextSlot, Written
from headgate.errors import HeadgateError, NotFound, UpstreamRefused
from headgate.model.ability import Need
from headgate.model.events import Answer
from headgate.model.prompt import Loss, Prompt

from . import errors
from .decode import Decoder
from .encode import Encoder, answer
from .head import edits, head, slots
from .needs import needs
from .read import read, stateful
from .tables import FAMILY, STATEFUL, UP_HEADERS
from .write import write

__all__ = ["DIALECT", "STATEFUL", "stateful"]

_PATHS = {"generate": "/responses", "count": "/responses/input_tokens"}


class OpenAIResponses:
    """See `headgate.dialects.base.Dialect`."""

    name = "openai_responses"
    family = FAMILY
    up_headers = UP_HEADERS

    def head(self, body: bytes) -> Head:
        return head(body)

    def edits(self, head: Head, target: Target) -> Sequence[Edit]:
        return edits(head, target)

    def needs(self, head: Head) -> set[Need]:
        return needs(head)

    def slots(self, json: Json) -> Iterator[TextSlot]:
        return slots(json)

    def read(self, json: Json) -> Prompt:
        return read(json)

    def write(self, prompt: Prompt, target: Target) -> Written:
        return write(prompt, target)

    def decoder(self) -> Decoder:
        return Decoder()

    def encoder(self, ask: Ask) -> Encoder:
        return Encoder(ask)

    def answer(self, given: Answer, ask: Ask) -> tuple[Json, list[Loss]]:
        return answer(given, ask)

    def refusal(self, status: int, body: bytes) -> UpstreamRefused:
        return errors.refusal(status, body)

    def error_body(self, error: HeadgateError, request_id: str) -> Json:
        return errors.error_body(error)

    def error_frame(self, error: HeadgateError, ask: Ask, last: bytes) -> bytes:
        """Both events of a failure. The response's id is that of the last frame if it names one, else the one our own
        encoder gives."""
        encoder = Encoder(ask, number=errors.next_number(last))
        encoder.begin(errors.response_id(last))
        return encoder.feed((errors.failed_of(error),))

    def models(self, cards: Sequence[ModelCard]) -> Json:
        return {"object": "list", "data": [self.model(card) for card in cards]}

    def model(self, card: ModelCard) -> Json:
        return {"id": card.id, "object": "model", "created": card.created, "owned_by": card.owner}

    def count_body(self, tokens: int) -> Json:
        return {"object": "response.input_tokens", "input_tokens": tokens}

    def path(self, model: str, operation: str, stream: bool) -> str:
        if operation not in _PATHS:
            raise NotFound(f"this API has no {operation}")
        return _PATHS[operation]


DIALECT: base.Dialect = OpenAIResponses()
