"""What an attempt used, counted as its frames arrive, before any stage sees them: a blocked or abandoned answer is counted too.

Rules of this file:
- An answer that ends without the provider's usage is estimated, and marked so. An estimate below the provider's bill would be a hole in
  the budget, so each is on the high side for every tokenizer in use: three ASCII letters are a token (English has four and more), so
  are two bytes beyond ASCII (a Chinese character has three, and up to one and a half tokens), two of JSON's own signs (runs of these
  are in every vocabulary), and each digit and other sign (Gemini's and Llama's split numbers so), and a letter that stands among these.
  Nor does an event hold less than a token, where providers send these one by one. To this come the marks around an answer and around
  a call, which are billed and not shown (as recorded: up to 8 tokens, and to 40 with Anthropic's).
- What a provider produced and we have not seen is the caller's to say (`unseen`): an estimate holds that too.
- A request's text is weighed in the same way (`most_tokens`), a large one by every 17th byte: exactly it would cost 1.5 ms a MB. What
  guards money has this figure. Who asks how large a request is (`near_tokens`) wants a nearer one: of 3,000 recorded requests with
  their bills the half are told less than 1.5 (of 5 kB and more) to 2.3 times too much by it, and 1.7 to 2.8 by the other.
"""

from __future__ import annotations

import string
from collections.abc import Iterable

from msgspec.structs import replace

from headgate.model.events import Event, Failed, Finished, PartDelta, PartStarted, Started, UsageSeen
from headgate.model.usage import Usage

BYTES_A_TOKEN = 3
_THIRDS = (string.ascii_letters + " ").encode()
_HALVES = b'"{}[]:,\\' + bytes(range(128, 256))
"""Characters of which three are a token, bytes of which two are; each of all others is a token and a sixth."""
ANSWER, CALL = 8, 40
"""Tokens."""
EXACT = 16 * 1024
"""Bytes up to which a request is weighed whole."""
_STRIDE = 17
"""A prime: of lines that are all of one length (base64, tables) every column is seen, unless the length is a multiple of it."""
_MARGIN = 16
"""A sixteenth more for what a sample of at least EXACT / _STRIDE bytes may err: two standard deviations where half the bytes are of the
heaviest kind and half of the lightest; recorded requests are off by a fiftieth at most."""
_TOGETHER = 16
"""Texts that are weighed together: one by one would cost a streamed chunk three calls more."""


class Meter:
    """`body`: the request as it goes out."""

    __slots__ = (
        "_body",
        "_deltas",
        "_letters",
        "_sixths",
        "_texts",
        "complete",
        "failed",
        "model",
        "started_id",
        "usage",
    )

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._texts: list[str] = []
        self._sixths = 0
        self._deltas = self._letters = 0
        self.usage: Usage | None = None
        self.started_id = ""
        self.model = ""
        self.failed: Failed | None = None
        self.complete = False

    def observe(self, events: Iterable[Event]) -> None:
        for event in events:
            kind = type(event)
            if kind is PartDelta:
                self._texts.append(event.text)  # type: ignore[union-attr]
                if len(self._texts) >= _TOGETHER:
                    self._weigh()
            elif kind is PartStarted:
                if event.name:  # type: ignore[union-attr]
                    self._sixths += 6 * CALL + sixths(event.name.encode())  # type: ignore[union-attr]
            elif kind is UsageSeen:
                self.usage = event.usage  # type: ignore[union-attr]
            elif kind is Started:
                self.started_id = event.id or self.started_id  # type: ignore[union-attr]
                self.model = event.model or self.model  # type: ignore[union-attr]
            elif kind is Finished:
                self.complete = True
            elif kind is Failed:
                self.failed = event  # type: ignore[assignment]

    def take(self, texts: Iterable[str]) -> None:
        """As `observe` of a delta with each of these texts."""
        self._texts += texts
        if len(self._texts) >= _TOGETHER:
            self._weigh()

    def _weigh(self) -> None:
        texts, self._texts = self._texts, []
        text = "".join(texts)
        self._deltas += len(texts)
        self._letters += len(text)
        self._sixths += sixths(text.encode("utf-8", "surrogatepass"))

    @property
    def letters(self) -> int:
        """Of all texts so far."""
        self._weigh()
        return self._letters

    @property
    def said(self) -> int:
        """Output tokens that we have seen the text of, at most."""
        self._weigh()
        output = max(-(-self._sixths // 6), self._deltas)
        return output + ANSWER if output else 0

    def result(self, ended: bool, unseen: int = 0) -> Usage | None:
        """The usage to account, None for what is free. `ended`: the answer came to its own end, so that the provider's last
        figure is final; one that tells of a failure instead has none. `unseen`: output tokens, beside what was seen."""
        seen = self.usage
        if seen is not None and seen.beside is not None:
            seen = seen.billed()
        if ended and seen is not None and self.failed is None:
            return seen
        output = self.said + unseen
        if seen is None:
            return Usage(input=most_tokens(self._body), output=output, estimated=True)
        return replace(seen, output=max(seen.output, output), estimated=True)


class Free(Meter):
    """Of an operation that providers do not bill (counting tokens)."""

    __slots__ = ()

    def result(self, ended: bool, unseen: int = 0) -> None:
        return None


def sixths(data: bytes) -> int:
    """Sixths of a token in this text, at most."""
    others = data.translate(None, _THIRDS)
    signs = len(others.translate(None, _HALVES))
    return 2 * (len(data) - len(others)) + 3 * (len(others) - signs) + 7 * signs


def most_tokens(body: bytes) -> int:
    """Of a request, at most. Costs 2 µs a kB up to EXACT, 0.1 µs a kB beyond."""
    if len(body) <= EXACT:
        return -(-sixths(body) // 6)
    sample = body[::_STRIDE]
    weight = sixths(sample) * len(body) // len(sample)
    return -(-(weight + weight // _MARGIN) // 6)


def near_tokens(body: bytes) -> int:
    """Of a request, about: more than most tokenizers make of English, less than some make of numbers."""
    return -(-len(body) // BYTES_A_TOKEN)
