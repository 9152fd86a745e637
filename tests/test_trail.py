"""The trail in a header: each step, of choices and failures whom and why, and no more than a header holds."""

from __future__ import annotations

from headgate.model.trail import SHOWN, Trail


def test_steps_with_whom_and_why() -> None:
    trail = Trail()
    trail.note("resolve", "ok", model="m", targets=["a/x"])
    trail.note("dispatch", "chosen", target="a/x", why="next in order", passed={"b/y": "a fallback"})
    trail.note("dispatch", "failed", target="a/x", error="upstream_timeout", status=0, us=9)
    trail.note("dispatch", "failed", target="a/x", error="server_error", status=503, us=9)
    trail.note("mirror", "not mirrored", use="b/y", why="no target is left")
    trail.note("dispatch", "gave up", why="every target has failed", passed={})
    assert trail.short() == (
        "resolve=ok; dispatch=chosen (a/x: next in order); dispatch=failed (a/x: upstream_timeout);"
        " dispatch=failed (a/x: server_error 503); mirror=not mirrored (b/y: no target is left);"
        " dispatch=gave up (every target has failed)"
    )


def test_a_long_trail_is_cut_for_the_header() -> None:
    trail = Trail()
    for number in range(SHOWN + 5):
        trail.note("dispatch", "failed", target="a/x", error="e" * 1000, status=number)
    short = trail.short()
    assert short.endswith("; +5")
    assert len(short) < SHOWN * 250
    assert len(trail.full()) == SHOWN + 5
