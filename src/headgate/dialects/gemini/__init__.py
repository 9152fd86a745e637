"""Google's generateContent, streamGenerateContent and countTokens, of the Gemini API and of Vertex."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from headgate.dialects.base import Ask, Edit, Head, Json, ModelCard, Target, TextSlot, Written
from headgate.errors import HeadgateError, NotFound, UpstreamRefused
from headgate.model.ability import Need
from headgate.model.events import Answer
from headgate.model.prompt import Family, Loss, Prompt

from . import encode, errors
from .decode import Decoder
from .encode import Encoder
from .head import edits, head, slots
from .needs import needs
from .read import read
from .tables import FAMILY
from .write import write

_METHODS = ["generateContent", "streamGenerateContent", "countTokens"]


class Gemini:
    """See `headgate.dialects.base.Dialect`."""

    name = "gemini"
    family: Family = FAMILY
    up_headers = frozenset(("x-goog-api-client", "x-server-timeout"))

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

    def answer(self, answer: Answer, ask: Ask) -> tuple[Json, list[Loss]]:
        return encode.answer(answer, ask)

    def refusal(self, status: int, body: bytes) -> UpstreamRefused:
        return errors.refusal(status, body)

    def error_body(self, error: HeadgateError, request_id: str) -> Json:
        return errors.error_body(error, request_id)

    def error_frame(self, error: HeadgateError, ask: Ask, last: bytes) -> bytes:
        return errors.error_frame(error, ask, last)

    def models(self, cards: Sequence[ModelCard]) -> Json:
        return {"models": [self.model(card) for card in cards]}

    def model(self, card: ModelCard) -> Json:
        limits = {"inputTokenLimit": card.context, "outputTokenLimit": card.max_output}
        return {
            "name": f"models/{card.id}",
            "baseModelId": card.id,
            "version": "",
            "displayName": card.title or card.id,
            "description": "",
            **{name: value for name, value in limits.items() if value is not None},
            "supportedGenerationMethods": _METHODS,
        }

    def count_body(self, tokens: int) -> Json:
        return {"totalTokens": tokens}

    def path(self, model: str, operation: str, stream: bool) -> str:
        """A model with a slash names its collection itself ("tunedModels/x", "publishers/google/models/x")."""
        if any(segment in ("", ".", "..") for segment in model.split("/")):
            raise NotFound(f"{model!r} is not the name of a model")
        name = quote(model if "/" in model else f"models/{model}", safe="/@:,~")
        if operation == "count":
            return f"/{name}:countTokens"
        return f"/{name}:streamGenerateContent?alt=sse" if stream else f"/{name}:generateContent"


DIALECT = Gemini()
