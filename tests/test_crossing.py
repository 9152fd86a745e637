"""Every recording, crossed from each dialect into each other one, through the running gateway on real sockets.

Answers: a recorded answer at the upstream of its own dialect, asked for by a client of each other dialect: that client's official SDK
reads what the source's own SDK reads of the recording (tests/readings.py says what dialects cannot express).
Requests: a recorded request, written at random, sent to each other upstream: what arrives there is valid to a strict description,
and nothing of the request is gone but what is listed as lost.
"""

from __future__ import annotations

import http.client
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

import exceptions
import readings
from dialects.carried import missing
from dry import Dry
from exchanges import SITE_OF, body_of, path_of, request_of
from fakes import Reply, Upstream
from headgate.prepare import Prepared
from oracles import anthropic_messages, gemini, openai_chat, openai_responses
from readings import CROSSING
from recordings import Recording, recordings
from running import KEY, Running, sites
from scramble import cut, scramble

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
]

ASKS = {
    "openai_chat": ("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
    "openai_responses": ("/v1/responses", {"model": "m", "input": "hi"}),
    "anthropic_messages": (
        "/v1/messages",
        {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]},
    ),
    "gemini": ("/v1beta/models/m", {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
}
"""Dialect -> path and body of its smallest request."""


class Client:
    """One kept connection to the gateway."""

    def __init__(self, gateway: Running) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def client(gateway: Running) -> Iterator[Client]:
    opened = Client(gateway)
    yield opened
    opened.close()


class Tally:
    """What became of each (from, to): how many, how many as the rule says."""

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, str, str]] = Counter()
        self.good: Counter[tuple[str, str, str]] = Counter()

    def count(self, what: str, pair: tuple[str, str], good: bool) -> None:
        self.seen[what, *pair] += 1
        self.good[what, *pair] += good

    def table(self, what: str) -> Iterator[str]:
        yield f"{what:20}" + "".join(f"{name:>22}" for name in CROSSING)
        for row in CROSSING:
            cells = [self._cell(what, row, column) for column in CROSSING]
            yield f"{row:20}" + "".join(f"{cell:>22}" for cell in cells)

    def _cell(self, what: str, row: str, column: str) -> str:
        seen = self.seen[what, row, column]
        return f"{100 * self.good[what, row, column] / seen:.2f} % of {seen}" if seen else "-"


@pytest.fixture(scope="module")
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    kept = Tally()
    yield kept
    plugins = request.config.pluginmanager
    with plugins.getplugin("capturemanager").global_and_fixture_disabled():
        for what in ("answers: from, to", "requests: from, to"):
            for line in ("", *kept.table(what)):
                plugins.getplugin("terminalreporter").write_line(line)


def reply_to_crossing(row: Recording, rng: Random) -> Reply:
    """The recorded answer. A crossing asks Gemini for server-sent events: a recorded array of chunks comes as such."""
    if readings.streamed(row):
        body = (
            row.reply if row.sse else b"".join(b"data: %s\r\n\r\n" % json.dumps(one).encode() for one in row.document)
        )
        return Reply(headers={"content-type": "text/event-stream"}, pieces=cut(body, rng), chunked=True)
    body = row.reply if row.document is None else scramble(row.document, rng)
    return Reply(status=row.status, pieces=cut(body, rng), chunked=rng.random() < 0.5)


def ask(client: str, upstream: str, stream: bool) -> tuple[str, bytes]:
    path, body = ASKS[client]
    if client == "gemini":
        path += ":streamGenerateContent?alt=sse" if stream else ":generateContent"
    else:
        body = body | {"stream": stream}
    if client == "openai_chat" and stream:
        body = body | {"stream_options": {"include_usage": True}}
    return f"/{SITE_OF[upstream]}{path}", json.dumps(body).encode()


PAIRS = [(source, to) for source in CROSSING for to in CROSSING if source != to]
"""The same dialect is not here: its bytes pass (tests/test_same_dialect.py)."""


@pytest.mark.parametrize(("source", "to"), PAIRS)
def test_answers(source: str, to: str, client: Client, script: Upstream, tally: Tally) -> None:
    """What the client's own SDK reads is what the source's own SDK reads."""
    told: dict[str, str] = {}
    seen = 0
    for row in readings.answers(source):
        wanted = readings.shown(readings.recorded(row), to)
        script.reset()
        script.script(reply_to_crossing(row, Random(zlib.crc32(row.id.encode()))))
        stream = readings.streamed(row)
        status, body = client.post(*ask(to, source, stream))
        found = _unlike(to, status, body, stream, wanted)
        seen += 1
        tally.count("answers: from, to", (source, to), not found)
        if found:
            told[row.id] = found
    ruled(told, exceptions.ANSWERS, {row.id for row in readings.answers(source)}, to, seen)


def _unlike(to: str, status: int, body: bytes, stream: bool, wanted: readings.Reading) -> str:
    """What the client's SDK reads otherwise, or that it gives up; "" if it reads what is wanted."""
    try:
        got = readings.read(to, status, body, stream)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    return "" if readings.agree(got, wanted) else readings.difference(got, wanted)


def ruled(
    told: dict[str, str], excused: dict[str, tuple[tuple[str, ...], str]], ids: set[str], to: str, seen: int
) -> None:
    """Fails for what is wrong without an exception, for exceptions without need, and for too many of them."""
    allowed = {id for id, (where, _) in excused.items() if id in ids and to in where}
    wrong = [f"{id} {what}" for id, what in told.items() if id not in allowed]
    wrong += [f"{id} needs no exception any more" for id in allowed - told.keys()]
    assert seen > 500
    assert wrong == [], f"{len(wrong)} of {seen}:\n" + "\n".join(wrong[:100])
    assert len(allowed) <= exceptions.LIMIT * seen


# ------------------------------------------------------------------ requests

PROBLEMS = {
    "openai_chat": openai_chat.problems,
    "openai_responses": openai_responses.problems,
    "anthropic_messages": anthropic_messages.problems,
    "gemini": gemini.problems,
}


@pytest.fixture(scope="module")
def unknowing(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that has seen no answers: one that has puts the thoughts that led to a call back before it."""
    running = Running(tmp_path_factory.mktemp("unknowing"), {"providers": sites(upstream.url)})
    yield running
    running.stop()


@pytest.fixture(scope="module")
def sender(unknowing: Running) -> Iterator[Client]:
    opened = Client(unknowing)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def dry(unknowing: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dry]:
    made = Dry(unknowing.config, tmp_path_factory.mktemp("dry") / "data")
    yield made
    made.close()


def requests(dialect: str) -> Iterator[Recording]:
    """Every recorded request that its provider took."""
    for row in recordings(dialect):
        threads = dialect == "anthropic_messages" and not row.url.split("?")[0].endswith("/v1/messages")
        if row.request is not None and row.status < 400 and not threads:
            yield row


@pytest.mark.parametrize(("source", "to"), PAIRS)
def test_requests(source: str, to: str, sender: Client, dry: Dry, script: Upstream, tally: Tally) -> None:
    """What arrives upstream is what the dry run says, valid to the upstream's description, and holds whatever is not listed as lost."""
    told: dict[str, str] = {}
    seen = refused = 0
    for row in requests(source):
        rng = Random(zlib.crc32(row.id.encode()))
        path, body = path_of(row, SITE_OF[to]), body_of(row, rng)
        script.reset()
        script.script(Reply(status=418, pieces=[b"{}"]))
        seen += 1
        status, answer = sender.post(path, body)
        if status != 418 and any(code.encode() in answer for code in exceptions.REFUSED):
            refused += 1
            assert not script.requests, row
            continue
        received = script.requests[0].body if script.requests else b""
        found = f"{status} {answer[:300]!r}" if not received else _amiss(row, to, received, dry(path, body))
        tally.count("requests: from, to", (source, to), not found)
        if found:
            told[row.id] = found
    ruled(told, exceptions.REQUESTS, {row.id for row in requests(source)}, to, seen)
    assert refused < 0.1 * seen


def _amiss(row: Recording, to: str, received: bytes, prepared: Prepared) -> str:
    if received != prepared.body:
        return f"the dry run says otherwise: {prepared.body[:200]!r}"
    assert prepared.written is not None
    written = json.loads(received)
    found = PROBLEMS[to](written) or missing(request_of(row), written, prepared.losses, prepared.written.renamed)
    return "; ".join(found[:3])


def test_exceptions_name_recordings() -> None:
    known = {row.id for dialect in CROSSING for row in recordings(dialect)}
    assert exceptions.ANSWERS.keys() | exceptions.REQUESTS.keys() <= known
