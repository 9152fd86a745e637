"""One HTTP attempt: a call goes out, frames come back.

Rules of this file:
- What the provider sends decides the framing, not what we asked for: an event stream, a JSON array of documents, one document.
- An answer with an error status is read (bounded), understood by its dialect and raised as UpstreamRefused.
- A stream that ends without its dialect's end is UpstreamTruncated, never success.
- Frames keep the provider's bytes; a Decoder reads along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec

from headgate import clock
from headgate.dialects.base import Decoder, Dialect
from headgate.dialects.form import Form, Passer, form_of
from headgate.dialects.surrogates import Halves
from headgate.errors import UpstreamMalformed, UpstreamRefused, UpstreamTruncated
from headgate.model.events import Decoded, Event, Frame, PartDelta, Path, Slot, Started, placed
from headgate.net import Call, Headers, Open, Response, header, unsaid
from headgate.retry_after import LONGEST, retry_after

WHOLE_LIMIT = 64 * 1024 * 1024
ERROR_LIMIT = 1024 * 1024
FAULTS = frozenset(("detail", "errors", "message", "msg"))
"""Outermost members by whose text, or list, a server that is no model's tells what went wrong (FastAPI, JSON:API, AWS)."""
FORMS = 8
"""Forms that are learned for nothing, one after the other, before an answer is taken to have none."""


class Item(Protocol):
    raw: bytes
    event: str
    data: bytes | None
    span: tuple[int, int] | None


class Splitter(Protocol):
    """Bytes of a streamed body -> its items, each with its own bytes. `waiting`: those of an item whose end has not come."""

    waiting: bytearray

    @property
    def closing(self) -> bytes:
        """What a body would lack that ended behind its last item (an array's bracket)."""
        ...

    def feed(self, data: bytes) -> list[Item]: ...

    def end(self) -> list[Item]: ...


Splitters = dict[str, Callable[[], Splitter]]
"""Framing ("sse", "json-array") -> a new splitter."""


Taker = Callable[[list[Frame]], bool]
"""Takes frames that have arrived, and says whether more may come at once."""


class Progress(Protocol):
    """How far an answer is."""

    @property
    def complete(self) -> bool:
        """Its own end was among the frames that were read; the body may not have ended yet."""
        ...


class Source:
    """Where an answer's frames come from: one HTTP answer, or one that is shared. `read` gives what arrived together, [] at the end;
    it raises what went wrong, once."""

    framing: str
    whole: bool
    """One document, not a stream."""
    progress: Progress
    over = False
    """All of it has been read: there is nothing to wait for."""

    async def read(self) -> list[Frame]:
        raise NotImplementedError

    async def pour(self, taker: Taker, passer: Passer | None) -> bool:
        """Hands the frames to `taker` as they arrive, until it says no (False) or the answer ends (True). Raises what `read` does.
        One that is told by its form may be offered to `passer` before."""
        while frames := await self.read():
            if not taker(frames):
                return False
        return True

    def rest(self) -> list[Frame]:
        """What closes a body that broke off behind its answer's end. Nothing is read any more."""
        return []

    def limit(self, seconds: float | None) -> None:
        """As `net.Response.limit`."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class Frames(Source):
    """The frames of one HTTP answer."""

    def __init__(
        self, response: Response, decoder: Decoder, framing: str, splitters: Splitters, *, verbatim: bool = False
    ) -> None:
        self.response = response
        self.decoder = self.progress = decoder
        self.framing = framing
        self.whole = framing == "whole"
        self._verbatim = verbatim
        self._splitter = None if self.whole else splitters[framing]()
        self._halves = Halves(self.whole)
        self._form: Form | None = None
        self._forms = FORMS if framing == "sse" else 0

    async def read(self) -> list[Frame]:
        while not self.over:
            if self._splitter is None:
                self.over = True
                data = await read_whole(self.response, WHOLE_LIMIT)
                decoded = self._decoded("", data, whole=True)
                return [
                    Frame(
                        raw=data,
                        data=data,
                        span=(0, len(data)),
                        events=placed(decoded.events, decoded.repeats),
                        repeats=decoded.repeats,
                    )
                ]
            data = await self.response.read()
            if data:
                frames = [self._frame(item) for item in self._splitter.feed(data)]
            else:
                frames = self.rest() if self.decoder.complete else []
                self.over = True
                frames = frames or [self._frame(item) for item in self._splitter.end()]
                rest = self.decoder.end()
                if not self.decoder.complete:
                    self._truncated(frames)
                if rest:
                    frames.append(Frame(raw=b"", events=rest))
            if frames:
                return frames
        return []

    async def pour(self, taker: Taker, passer: Passer | None) -> bool:
        split = self._splitter
        if split is not None and not self.over:

            def sink(data: bytes) -> bool:
                known = self._form
                if known is not None and not split.waiting:
                    if passer is not None and (told := passer(known, data)) is not None:
                        self._forms = FORMS
                        return told
                    if (text := known.text(data)) is not None:
                        self._forms = FORMS
                        return taker([known.frame(data, text)])
                frames = [self._frame(item) for item in split.feed(data)]
                return not frames or taker(frames)

            if not await self.response.pour(sink):
                return False
        return await super().pour(taker, passer)

    def rest(self) -> list[Frame]:
        closing = b"" if self.over or self._splitter is None else self._splitter.closing
        self.over = True
        return [Frame(raw=closing)] if closing else []

    def _truncated(self, frames: list[Frame]) -> None:
        """The body ended early. What came with its last bytes is still shown: the error follows at the next read."""
        error = UpstreamTruncated("the upstream's answer ended before its end")
        if not frames:
            raise error
        self._splitter = _Broken(error)
        self.over = False

    def _frame(self, item: Item) -> Frame:
        known, data = self._form, item.data
        if data is None:
            return Frame(raw=item.raw, event=item.event)
        if known is not None and (alike := known.read(item.raw)) is not None:
            self._forms = FORMS
            return alike
        decoded = self._decoded(item.event, data, whole=False)
        frame = Frame(
            raw=item.raw,
            data=data,
            event=item.event,
            span=item.span,
            events=placed(decoded.events, decoded.repeats) if decoded.repeats else decoded.events,
            repeats=decoded.repeats,
            usage_only=decoded.usage_only,
        )
        if not decoded.alike:
            self._form = None
        elif self._form is None and self._forms:
            self._forms -= 1
            self._form = form_of(frame)
        return frame

    def _decoded(self, event: str, data: bytes, whole: bool) -> Decoded:
        """A document that is JSON, but not as its dialect describes it, still passes to a client of the same dialect: it may know
        more than we do. Its strings are shown to the guards one by one, and are an answer but where it tells a fault."""
        data = self._halves.joined(data)
        try:
            return self.decoder.whole(data) if whole else self.decoder.feed(event, data)
        except UpstreamMalformed:
            if not self._verbatim:
                raise
            self.decoder.complete = self.decoder.complete or whole
            found = tuple(leaves(data))
            strings = (PartDelta(part=-1, kind="text", text=text, whole=True, slot=Slot(path)) for path, text in found)
            return Decoded(
                events=tuple(strings) if any(_tells_fault(path) for path, _ in found) else (Started(), *strings)
            )

    def limit(self, seconds: float | None) -> None:
        self.response.limit(seconds)

    def close(self) -> None:
        self.response.close()


def _tells_fault(path: Path) -> bool:
    """Whether the string there is the text of such a member, or is in its list."""
    return path[0] in FAULTS and not (len(path) > 1 and isinstance(path[1], str))


def leaves(data: bytes) -> Iterator[tuple[Path, str]]:
    """Every string of a JSON document, and where it stands. Raises UpstreamMalformed for what is no JSON."""
    try:
        stack: list[tuple[Path, Any]] = [((), msgspec.json.decode(data))]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UpstreamMalformed("the upstream's answer is not valid JSON") from error
    while stack:
        path, value = stack.pop()
        if isinstance(value, str) and path:
            yield path, value
        elif isinstance(value, dict):
            stack += [((*path, key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            stack += [((*path, number), inner) for number, inner in enumerate(value)]


class _Broken:
    """A splitter whose stream is over, and not well."""

    def __init__(self, error: UpstreamTruncated) -> None:
        self._error = error
        self.waiting = bytearray()
        self.closing = b""

    def feed(self, data: bytes) -> list[Item]:
        raise self._error

    def end(self) -> list[Item]:
        raise self._error


async def read_whole(response: Response, limit: int) -> bytes:
    """The rest of a body. Raises UpstreamMalformed above `limit` bytes."""
    parts: list[bytes] = []
    size = 0

    def take(data: bytes) -> bool:
        nonlocal size
        size += len(data)
        parts.append(data)
        return size <= limit

    if not await response.pour(take):
        raise UpstreamMalformed("the upstream's answer is too large", code="upstream_too_large")
    return parts[0] if len(parts) == 1 else b"".join(parts)


class Unread:
    """A decoder for documents that hold no answer (a token count): they pass as they are."""

    complete = False

    def feed(self, event: str, data: bytes) -> Decoded:
        return Decoded()

    def whole(self, data: bytes) -> Decoded:
        self.complete = True
        return Decoded()

    def end(self) -> tuple[Event, ...]:
        return ()


class Local(Response):
    """A `net.Response` of ours: nobody was called."""

    status = 200

    def __init__(self, body: bytes) -> None:
        self.headers: Headers = []
        self._body = body

    async def read(self) -> bytes:
        body, self._body = self._body, b""
        return body

    def limit(self, seconds: float | None) -> None:
        return None

    def close(self) -> None:
        return None


async def attempt(
    open_: Open, call: Call, dialect: Dialect, decoder: Decoder, *, asked: str, splitters: Splitters, verbatim: bool
) -> Frames:
    """Send the call; the answer's frames, its head read. `asked` is the framing we asked for. Raises UpstreamError."""
    response = await open_(call)
    try:
        if response.status >= 300:
            await _refuse(response, dialect, call)
        framing = _framing(response.headers, asked)
        return Frames(response, decoder, framing, splitters, verbatim=verbatim)
    except BaseException:
        response.close()
        raise


async def _refuse(response: Response, dialect: Dialect, call: Call) -> None:
    body = unsaid(call, await read_whole(response, ERROR_LIMIT))
    if response.status < 400:
        error = UpstreamRefused("the upstream redirects, which is not followed", status=502, code="upstream_redirect")
    else:  # a status of no class is to be taken for a 5xx (RFC 9110 §15)
        error = refused(response, dialect, response.status if response.status < 600 else 502, body)
    error.answered = response.status
    raise error


def refused(response: Response, dialect: Dialect, status: int, body: bytes) -> UpstreamRefused:
    """What an answer with this error body says; `status` is the one it came with, or should have."""
    error = dialect.refusal(status, body)
    error.status = error.answered = status
    error.body = body if _is_json(body) else b""
    error.same_dialect = dialect.name
    if error.retry_after is None:
        error.retry_after = retry_after([*response.headers, *error.repeated], error.status, clock.wall())
    else:  # told in the body (Google's RetryInfo, OpenRouter's retry_after_seconds)
        error.retry_after = min(error.retry_after, LONGEST)
    error.headers = response.headers
    return error


def _is_json(body: bytes) -> bool:
    """An object, or Google's array of one. Anything else is no error of a dialect but of something before the provider (a proxy's page
    in HTML), which a client of that dialect cannot read, and which may name what stands behind it."""
    try:
        return isinstance(msgspec.json.decode(body), dict | list)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False


def _framing(headers: Headers, asked: str) -> str:
    kind = (header(headers, b"content-type") or b"").lower()
    if b"event-stream" in kind:
        return "sse"
    if b"json" in kind and asked != "json-array":
        return "whole"
    return asked
