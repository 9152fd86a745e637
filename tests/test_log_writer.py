"""The log's writer: every line, in order, whatever the hurry; and what is not written is counted."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from headgate.telemetry import logs
from headgate.telemetry.logs import BACKLOG, PORTION, Writer


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def test_nothing_is_left_behind_at_the_end(tmp_path: Path) -> None:
    """Also when more waits than is written at once."""
    with (tmp_path / "log").open("wb") as out:
        writer = Writer(out.fileno())
        for line in numbered(7 * PORTION + 3):
            writer.write(line)
        writer.close()
    assert (tmp_path / "log").read_bytes().splitlines() == numbered(7 * PORTION + 3)
    assert writer.dropped == {"backlog": 0, "refused": 0}


def test_lines_are_written_without_being_asked_for(tmp_path: Path) -> None:
    """Within a second, a burst of them too: the thread does not stop at the first portion."""
    with (tmp_path / "log").open("wb") as out:
        writer = Writer(out.fileno())
        for line in numbered(BACKLOG):
            writer.write(line)
        deadline = time.monotonic() + 1.0
        while not (tmp_path / "log").read_bytes().endswith(b"%d\n" % (BACKLOG - 1)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        writer.close()


def test_a_slow_reader_gets_every_line_whole() -> None:
    """Through a pipe that is full again and again, lines longer than what it takes at once included."""
    lines = [b"%d:" % number + b"x" * (number * 37 % 9000) for number in range(200)]
    reader, pipe = os.pipe()
    got: list[bytes] = []

    def read() -> None:
        while piece := os.read(reader, 3000):
            got.append(piece)

    thread = threading.Thread(target=read)
    thread.start()
    writer = Writer(pipe)
    for line in lines:
        writer.write(line)
    writer.close()
    os.close(pipe)
    thread.join()
    os.close(reader)
    assert b"".join(got).splitlines() == lines
    assert writer.dropped == {"backlog": 0, "refused": 0}


def test_a_pipe_that_nobody_reads_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest lines go, counted; and the end comes in time. Every line is written or counted."""
    monkeypatch.setattr(logs, "LAST_WORDS", 0.1)
    monkeypatch.setattr(logs, "BACKLOG", 100)
    reader, pipe = os.pipe()
    writer = Writer(pipe)
    sent = 5000
    for number in range(sent):
        writer.write(b"%0100d" % number)
    began = time.monotonic()
    writer.close()
    assert time.monotonic() - began < 1.0
    os.close(pipe)
    got = b""
    while piece := os.read(reader, 1 << 16):
        got += piece
    os.close(reader)
    assert writer.dropped["backlog"] >= sent - 100 - 2 * PORTION
    assert writer.dropped["backlog"] + writer.dropped["refused"] >= sent - got.count(b"\n") > 0


def test_a_reader_that_is_gone_is_counted() -> None:
    reader, pipe = os.pipe()
    writer = Writer(pipe)
    os.close(reader)
    for line in numbered(10):
        writer.write(line)
    writer.close()
    os.close(pipe)
    assert writer.dropped == {"backlog": 0, "refused": 10}
