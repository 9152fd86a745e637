"""Faults of what a provider says: server-sent events, JSON, ends and errors inside an answer with status 200."""

from __future__ import annotations

from collections.abc import Callable

from headgate.faults import answers
from headgate.faults.answers import RESPONSES, error, error_frame, response
from headgate.faults.connection_faults import ELSEWHERE, RIGHT, TOLD
from headgate.faults.fault import MOMENT, SSE, Fault, chunk, document, events, head, identity
from headgate.faults.wire import Play, Seen, Wire

OVERSIZED = 48 << 20
"""Bytes of one line: more than any answer's event has."""
FLOOD = 64 << 20
BROKEN = b'data: {"id": "lab", "choices": [{"index"\n\n'
OVERLOADED = (503, "overloaded", "the model is overloaded (laboratory)")
QUOTA = {"code": "insufficient_quota", "message": "the quota is spent (laboratory)"}


def _framed(change: Callable[[bytes], bytes]) -> Play:
    """A healthy stream written in other, equally valid bytes."""

    async def play(wire: Wire, seen: Seen) -> None:
        await events(wire, seen, change(b"".join(answers.stream(seen.dialect, seen.model).all)))

    return play


def _mixed(data: bytes) -> bytes:
    """LF, CRLF and CR line ends by turns."""
    ends = (b"\n", b"\r\n", b"\r")
    lines = data.split(b"\n")
    return b"".join(line + ends[number // 2 % 3] for number, line in enumerate(lines[:-1]))


def _folded(data: bytes) -> bytes:
    """Each document broken onto two data lines, between two of its members."""
    return b"\n\n".join(one.replace(b", ", b",\ndata: ", 1) for one in data.split(b"\n\n"))


def _commented(data: bytes) -> bytes:
    return data.replace(b"\n\n", b"\n\n: ping\n\nid: 7\nretry: 100\n\n")


async def _comments_only(wire: Wire, seen: Seen) -> None:
    await events(wire, seen, *[b": ping\n\n"] * 20)


async def _broken_first(wire: Wire, seen: Seen) -> None:
    if seen.stream:
        await events(wire, seen, BROKEN, *answers.stream(seen.dialect, seen.model).all)
    else:
        await document(wire, seen, answers.whole(seen.dialect, seen.model)[:-20])


async def _broken_later(wire: Wire, seen: Seen) -> None:
    spoken = answers.stream(seen.dialect, seen.model)
    await wire.send(head(SSE, identity(seen)), *map(chunk, spoken.half))
    await wire.rest(MOMENT)
    await wire.send(*map(chunk, [BROKEN, *spoken.rest]), b"0\r\n\r\n")
    wire.close()


async def _not_json(wire: Wire, seen: Seen) -> None:
    body = b"<html><body><h1>Bad gateway</h1></body></html>"
    await wire.send(head(b"text/html", identity(seen), length=len(body)), body)
    wire.close()


async def _oversized(wire: Wire, seen: Seen) -> None:
    await wire.send(head(SSE, identity(seen)), chunk(b'data: {"id": "'))
    piece = chunk(b"a" * (1 << 20))
    for _ in range(OVERSIZED >> 20):
        await wire.send(piece)
    await wire.silence()


async def _without_end(wire: Wire, seen: Seen) -> None:
    await events(wire, seen, *answers.stream(seen.dialect, seen.model).half)


async def _without_mark(wire: Wire, seen: Seen) -> None:
    spoken = answers.stream(seen.dialect, seen.model)
    await events(wire, seen, *spoken.opening, *spoken.words, *spoken.closing)


async def _empty_body(wire: Wire, seen: Seen) -> None:
    await document(wire, seen, b"")


async def _empty_stream(wire: Wire, seen: Seen) -> None:
    await events(wire, seen)


async def _only_mark(wire: Wire, seen: Seen) -> None:
    await events(wire, seen, *answers.stream(seen.dialect, seen.model).mark)


async def _no_choices(wire: Wire, seen: Seen) -> None:
    """Well-formed, and holds no answer."""
    if seen.stream:
        spoken = answers.stream(seen.dialect, seen.model)
        await events(wire, seen, spoken.closing[-1], *spoken.mark)
    else:
        usage = {"prompt_tokens": answers.INPUT, "completion_tokens": 0, "total_tokens": answers.INPUT}
        told = {"id": "chatcmpl-lab", "object": "chat.completion", "created": 1767225600, "model": seen.model}
        await document(wire, seen, answers.dumps({**told, "choices": [], "usage": usage}).encode())


async def _error_first(wire: Wire, seen: Seen) -> None:
    if seen.stream:
        await events(wire, seen, error_frame(seen.dialect, seen.model, *OVERLOADED))
    else:
        await _error_body(wire, seen)


async def _error_later(wire: Wire, seen: Seen) -> None:
    spoken = answers.stream(seen.dialect, seen.model)
    await wire.send(head(SSE, identity(seen)), *map(chunk, spoken.half))
    await wire.rest(MOMENT)
    await wire.send(chunk(error_frame(seen.dialect, seen.model, *OVERLOADED)), b"0\r\n\r\n")
    wire.close()


async def _error_body(wire: Wire, seen: Seen) -> None:
    await document(wire, seen, error(seen.dialect, *OVERLOADED))


async def _progress_then_quota(wire: Wire, seen: Seen) -> None:
    """As recorded: the answer is created, is in progress, then fails before it says a word. Then or whole: in Responses only."""
    failed = response(seen.model, "failed", error=QUOTA)
    if not seen.stream:
        await document(wire, seen, answers.dumps(failed).encode())
        return
    assert seen.dialect == RESPONSES
    opening = answers.stream(seen.dialect, seen.model).opening[:2]
    told = {"type": "response.failed", "sequence_number": 2, "response": failed}
    await events(wire, seen, *opening, answers.frame(told, "response.failed"))


async def _flood(wire: Wire, seen: Seen) -> None:
    """FLOOD bytes of content as fast as they are taken."""
    spoken = answers.stream(seen.dialect, seen.model)
    await wire.send(head(SSE, identity(seen)), *map(chunk, spoken.opening))
    piece = chunk(b"".join(spoken.words) * 50)
    for _ in range(FLOOD // len(piece)):
        await wire.send(piece)
    await wire.send(*map(chunk, [*spoken.closing, *spoken.mark]), b"0\r\n\r\n")
    wire.close()


_ALONE = {
    "crlf": (lambda data: data.replace(b"\n", b"\r\n"), "ends its lines with CR LF"),
    "cr-only": (lambda data: data.replace(b"\n", b"\r"), "ends its lines with CR alone"),
    "mixed-line-ends": (_mixed, "ends its lines now with LF, now with CR LF, now with CR"),
    "multi-line-data": (_folded, "breaks each document onto two data: lines"),
    "byte-order-mark": (lambda data: b"\xef\xbb\xbf" + data, "begins its stream with a byte order mark"),
    "comments-between": (_commented, "sends comments, ids and empty blocks between its events"),
}

STREAM_FAULTS = (
    *(Fault(name=n, does=does, must=RIGHT, play=_framed(change)) for n, (change, does) in _ALONE.items()),
    Fault(name="comments-only", does="ends its stream with comments only", must=ELSEWHERE, play=_comments_only),
    Fault(name="malformed-first", does="begins with what is no JSON", must=ELSEWHERE, play=_broken_first),
    Fault(name="malformed-later", does="sends what is no JSON in mid-stream", must=TOLD, play=_broken_later),
    Fault(name="html-page", does="answers 200 with a web page", must=ELSEWHERE, play=_not_json),
    Fault(name="oversized-line", does="sends an event that does not end", must=ELSEWHERE, play=_oversized),
    Fault(name="cut-chunked", does="ends its body properly in mid-answer", must=TOLD, play=_without_end),
    Fault(name="missing-done", does="ends behind finish_reason without [DONE]", must=TOLD, play=_without_mark),
    Fault(name="empty-body", does="answers 200 without a body", must=ELSEWHERE, play=_empty_body),
    Fault(name="empty-stream", does="ends its stream without an event", must=ELSEWHERE, play=_empty_stream),
    Fault(name="only-done", does="sends [DONE] and nothing else", must=ELSEWHERE, play=_only_mark),
    Fault(name="no-choices", does="answers without any choice", must=ELSEWHERE, play=_no_choices),
    Fault(name="error-first", does="tells an error in place of content, status 200", must=ELSEWHERE, play=_error_first),
    Fault(name="error-later", does="tells an error behind content", must=TOLD, play=_error_later),
    Fault(name="flood", does="says more than a caller reads", must="read no faster than the caller", play=_flood),
    Fault(name="error-body", does="tells an error as a document, status 200", must=ELSEWHERE, play=_error_body),
    Fault(
        name="progress-then-quota",
        does="creates the answer, reports progress, then fails for quota",
        must=ELSEWHERE,
        play=_progress_then_quota,
    ),
)
