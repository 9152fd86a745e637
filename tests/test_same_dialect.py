"""Same dialect, every recording, through the running gateway on real sockets: bytes up but for the named edits, bytes down.

Requests and replies are written with random white space, key order, escapes and number forms; replies are cut at random bytes.
"""

from __future__ import annotations

import http.client
import json
import zlib
from random import Random

import pytest

import recordings
from exchanges import SITE_OF, body_of, path_of, reply_of, request_of, streams
from fakes import Upstream
from running import KEY, Running

pytestmark = [pytest.mark.corpus, pytest.mark.slow]

NOT_THIS_DIALECT = {
    "c1afbe704eacdaa7": "a stream for a client that asked for a whole answer: it gets one",
    "ea87525e7e5f7c46": "a stream of another API's shape, without an end: told as cut",
}
"""Recordings labelled with a dialect that are not exchanges of it. This list may only shrink."""

STATUS = {"2a22977a9a515ee7": (400, "an error told as a whole answer with status 200 gets the one that it names")}
"""Recordings whose status is not shown as it came. Their bytes are."""

USAGE = b'"stream_options":{"include_usage":true},'
"""What is added to a chat stream whose client did not ask for usage."""


def send(
    gateway: Running, path: str, body: bytes, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    try:
        named = {"authorization": f"Bearer {KEY}", "content-type": "application/json"} | (headers or {})
        connection.request("POST", path, body, named)
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("dialect", sorted(SITE_OF))
def test_bytes_up_and_bytes_down(dialect: str, gateway: Running, script: Upstream) -> None:
    """For every recording of the dialect. A request that only a lossy dialect could have recorded does not exist: 100 %."""
    wrong: list[str] = []
    seen = 0
    for row in recordings.recordings(dialect):
        rng = Random(zlib.crc32(row.id.encode()))
        body, reply = body_of(row, rng), reply_of(row, rng)
        script.reset()
        script.script(reply)
        if (row.sse and not _is_json(row.reply)) or row.id in NOT_THIS_DIALECT:
            continue  # the former: written by hand, and not JSON
        status, _, answer = send(gateway, path_of(row, SITE_OF[dialect]), body)
        seen += 1
        expected = b"".join(reply.pieces)
        hidden = (
            dialect in ("openai_chat", "openai_completions") and streams(row, request_of(row)) and _hides_usage(row)
        )
        told = STATUS[row.id][0] if row.id in STATUS else row.status
        if status != told:
            wrong.append(f"{row}: status {status}, not {told}: {answer[:200]!r}")
        elif answer != (_without_usage(expected) if hidden else expected):
            wrong.append(f"{row}: answer differs: {_difference(expected, answer)}")
        elif not script.requests or not _sent_as_it_was(script.requests[0].body, body):
            wrong.append(
                f"{row}: request differs: {_difference(body, script.requests[0].body if script.requests else b'')}"
            )
    assert seen > 50
    assert wrong == [], f"{len(wrong)} of {seen}:\n" + "\n".join(wrong[:20])


def _is_json(stream: bytes) -> bool:
    try:
        for line in stream.splitlines():
            if line.startswith(b"data: {"):
                json.loads(line[6:])
    except ValueError:
        return False
    return True


def _sent_as_it_was(received: bytes, sent: bytes) -> bool:
    return received == sent or received.replace(USAGE, b"", 1) == sent or _usage_switched(received, sent)


def _usage_switched(received: bytes, sent: bytes) -> bool:
    """A client that gave stream_options without include_usage (or false): only that place differs."""
    a, b = json.loads(received), json.loads(sent)
    options = a.get("stream_options")
    if not isinstance(options, dict) or options.pop("include_usage", None) is not True:
        return False
    given = b.get("stream_options")
    if isinstance(given, dict):
        given.pop("include_usage", None)
    return (a.pop("stream_options") or None) == (b.pop("stream_options", None) or None) and a == b


def _hides_usage(row: recordings.Recording) -> bool:
    options = request_of(row).get("stream_options")
    return not (isinstance(options, dict) and options.get("include_usage"))


_PLAIN = {
    "id",
    "object",
    "created",
    "model",
    "choices",
    "usage",
    "system_fingerprint",
    "service_tier",
    "obfuscation",
    "provider",
}
"""A usage frame with other members tells more than usage, and is shown."""


def _without_usage(stream: bytes) -> bytes:
    """The stream without the frames that exist only to tell usage (empty choices and a usage object)."""
    kept = []
    for block in stream.split(b"\n\n"):
        data = block.partition(b"data:")[2].strip()
        if data.startswith(b"{"):
            value = json.loads(data)
            if isinstance(value, dict) and value.get("choices") == [] and value.get("usage") and value.keys() <= _PLAIN:
                continue
        kept.append(block)
    return b"\n\n".join(kept)


def _difference(expected: bytes, got: bytes) -> str:
    at = next((i for i, (a, b) in enumerate(zip(expected, got, strict=False)) if a != b), min(len(expected), len(got)))
    return f"at {at}: {expected[max(0, at - 40) : at + 60]!r} against {got[max(0, at - 40) : at + 60]!r}"
