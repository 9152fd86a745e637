"""Recorded traffic under usual guards: what streams in small pieces comes out as the single pass has it."""

from __future__ import annotations

import pytest

import recordings
from headgate.guards.arguments import ArgumentsWindow, redact_arguments
from headgate.guards.base import Guard
from headgate.guards.pattern import compile
from headgate.guards.window import Window

USUAL = [
    Guard(name="mail", pattern=r"\b[\w.%+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}\b", replacement="[mail]"),
    Guard(name="number", pattern=r"\b\d{3,5}\b", replacement="[number]"),
    Guard(name="key", pattern=r"\b(?:sk|msg|req|call|chatcmpl)[-_]\w+", max_length=24, replacement='"key"'),
    Guard(name="word", pattern=r"^the\b|\bthe$", ignore_case=True, mode="observe"),
]


@pytest.mark.corpus
@pytest.mark.parametrize("dialect", sorted(set(recordings.DIALECTS.values())))
def test_recorded_bodies_streamed_are_whole(dialect: str) -> None:
    """Bodies of answers, as text and as JSON (of streams, which are none, the rest is plain text)."""
    patterns = compile(USUAL).for_place("answer")
    assert patterns is not None
    seen = found = 0
    for recording in recordings.recordings(dialect):
        body = recording.reply.decode("utf-8", "surrogateescape")
        if len(body) > 5_000:
            continue
        seen += 1
        parts = [body[at : at + 11] for at in range(0, len(body), 11)]
        for window, whole in (
            (Window[int](patterns), patterns.redact(body)),
            (ArgumentsWindow[int](patterns), redact_arguments(patterns, body)),
        ):
            out = [share for number, part in enumerate(parts) for share in window.feed(number, part)] + window.flush()
            assert "".join(text for _, text in out) == whole[0], recording
            assert window.findings == whole[1], recording
            found += len(whole[1])
        if seen == 60:
            break
    assert seen and found
