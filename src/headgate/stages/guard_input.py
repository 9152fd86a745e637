"""Pattern guards on what the client sends: every text slot of the request, tool arguments as decoded strings, numbers and names.

Nearly all requests hold nothing, which one search of their bytes tells: only where it finds something are they parsed, and each slot
looked at. (Requests with media are parsed at once: their texts are the smaller part.)
A member that an object has twice is refused there: what we read is the last, and the provider might take the first (RFC 8259 §4).
A redaction is a named edit ("guard:NAME") at the slot's place: the rest of the body stays as it is. A block is a refusal that names
the guard, never the text.
"""

from __future__ import annotations

from collections.abc import Iterable
from json import loads
from typing import Any

import msgspec

from headgate.dialects.base import Edit
from headgate.errors import BadRequest, Blocked
from headgate.guards.arguments import redact_arguments
from headgate.guards.base import Finding
from headgate.guards.pattern import Patterns, blocking
from headgate.model.events import Path
from headgate.model.exchange import Exchange
from headgate.stages.base import Stage


class GuardInput(Stage):
    name = "guard_input"

    def __init__(self, patterns: Patterns) -> None:
        self._texts = patterns.for_place("request")
        self._arguments = patterns.for_place("tool_arguments")
        self._unread = patterns.unread("request", "tool_arguments")

    async def start(self, x: Exchange) -> None:
        if self._texts is None and self._arguments is None:
            return
        body = x.body
        if x.head is not None and x.head.prose and self._unread and self._unread.first(body, 0, len(body))[0] < 0:
            x.trail.note(self.name, "clean")
            return
        json = x.request_json()
        _check_members(body)
        slots = list(x.dialect.slots(json))
        if (
            self._texts is not None
            and all(slot.kind == "text" for slot in slots)
            and self._texts.none_in([s.text for s in slots])
        ):
            x.trail.note(self.name, "clean")
            return
        findings: list[Finding] = []
        for slot in slots:
            if slot.kind != "text":
                if self._arguments is None:
                    continue
                text, found = redact_arguments(self._arguments, slot.text)
            elif self._texts is not None:
                text, found = self._texts.redact(slot.text)
            else:
                continue
            if not found:
                continue
            findings += found
            if text != slot.text:
                value = text.encode() if slot.kind == "object" else msgspec.json.encode(text)
                _set(json, slot.path, msgspec.json.decode(value))
                names = ",".join(finding.guard for finding in found)
                x.edits.append(Edit(name=f"guard:{names}", path=slot.path, value=value))
        x.findings.extend(findings)
        self._verdict(x, findings)

    def _verdict(self, x: Exchange, findings: Iterable[Finding]) -> None:
        names = sorted({finding.guard for finding in findings})
        stop = blocking(findings)
        if stop is not None:
            x.trail.note(self.name, "blocked", guard=stop.guard)
            raise Blocked(f"the request was blocked by the guard {stop.guard!r}")
        x.trail.note(self.name, "found" if names else "clean", guards=names, edits=len(x.edits))


def _check_members(body: bytes) -> None:
    """Costs 9 µs for 2 kB, 0.8 ms for 400 kB of text, 2.8 ms for a picture of 1 MB. Raises BadRequest."""
    try:
        loads(body, object_pairs_hook=_single)
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply") from error


def _single(members: list[tuple[str, Any]]) -> None:
    names = {name for name, _ in members}
    if len(names) < len(members):
        twice = next(name for name in names if sum(name == other for other, _ in members) > 1)
        raise BadRequest(f"the member {twice[:64]!r} is given twice", code="duplicate_member")


def _set(json: Any, path: Path, value: Any) -> None:
    for key in path[:-1]:
        json = json[key]
    if json[path[-1]] is None:  # a slot points at a text: its dialect is wrong about this one
        raise BadRequest("a text of the request is not where it should be")
    json[path[-1]] = value
