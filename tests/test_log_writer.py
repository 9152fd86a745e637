"""The log's writer: every line, in order, whatever the hurry."""

from __future__ import annotations

import io
import time

from headgate.telemetry.logs import BACKLOG, PORTION, Writer


def test_nothing_is_left_behind_at_the_end() -> None:
    """Also when more waits than is written at once."""
    out = io.StringIO()
    writer = Writer(out)
    lines = [str(number) for number in range(7 * PORTION + 3)]
    for line in lines:
        writer.write(line)
    writer.close()
    assert out.getvalue().splitlines() == lines


def test_lines_are_written_without_being_asked_for() -> None:
    """Within a second, a burst of them too: the thread does not stop at the first portion."""
    out = io.StringIO()
    writer = Writer(out)
    for number in range(BACKLOG):
        writer.write(str(number))
    deadline = time.monotonic() + 1.0
    while not out.getvalue().endswith(f"{BACKLOG - 1}\n"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    writer.close()
