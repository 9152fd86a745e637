"""Runs scenarios against a gateway, and judges them from three sides: the caller's, the provider's, the ledger's.

Rules of this file:
- The gateway is known by its address and a key (with the scope to read its own requests' records), as everybody knows it.
- A verdict lists everything that is wrong, each as one sentence; an empty list is a pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import Struct

from headgate import clock, tasks
from headgate.faults import answers
from headgate.faults.answers import CHAT
from headgate.faults.caller import Gateway, Told, ask, look_up
from headgate.faults.provider import Provider
from headgate.faults.scenarios import Scenario, Terms
from headgate.faults.wire import Seen

RECORDED = 8.0
"""Seconds within which a request's record can be read: it follows its answer in a second, on a machine that is not busy."""
CLOSED = 1.0
"""Seconds after the caller's answer within which each of its connections to the provider is over."""
RETRY_MARGIN = 0.05


class Verdict(Struct, kw_only=True):
    scenario: Scenario
    told: Told
    faulty: list[Seen]
    healthy: list[Seen]
    attempts: list[dict[str, Any]]
    failures: list[str]


async def run(
    scenarios: Sequence[Scenario],
    gateway: Gateway,
    provider: Provider,
    terms: Terms,
    *,
    at_once: int = 24,
    heard: Callable[[Verdict], None] = lambda verdict: None,
) -> list[Verdict]:
    """All verdicts, in the order of the scenarios. `heard` gets each as soon as it is known."""
    gate = asyncio.Semaphore(at_once)

    async def one(scenario: Scenario) -> Verdict:
        async with gate:
            verdict = await play(scenario, gateway, provider, terms)
        heard(verdict)
        return verdict

    work = [tasks.spawn(one(scenario), f"scenario {scenario.name}") for scenario in scenarios]
    try:
        return [await task for task in work]
    finally:
        for task in work:
            if not task.done():
                await tasks.cancel(task)


async def play(scenario: Scenario, gateway: Gateway, provider: Provider, terms: Terms) -> Verdict:
    bound = scenario.bound(terms)
    for _ in range(scenario.calls - 1):
        await ask(gateway, scenario.dialect, scenario.name, scenario.stream, bound)
        await asyncio.sleep(0.2)  # the provider closes the kept connection meanwhile, or will with the next request
    told = await ask(gateway, scenario.dialect, scenario.name, scenario.stream, bound)
    attempts = await recorded(gateway, told.request_id)
    if not scenario.kept:
        await provider.let_go((scenario.faulty, scenario.healthy), told.ended + CLOSED - clock.mono())
    faulty, healthy = provider.seen(scenario.faulty), provider.seen(scenario.healthy)
    failures = [*of_caller(scenario, told), *of_provider(scenario, terms, told, faulty, healthy)]
    failures += of_ledger(scenario, terms, told, attempts)
    return Verdict(scenario=scenario, told=told, faulty=faulty, healthy=healthy, attempts=attempts, failures=failures)


async def recorded(gateway: Gateway, identity: str) -> list[dict[str, Any]]:
    """The attempts of a request as the ledger has them, [] where it never has."""
    until = clock.mono() + RECORDED
    while identity and clock.mono() < until:
        found = await look_up(gateway, f"/v1/requests/{identity}")
        if found.status == 200:
            attempts: list[dict[str, Any]] = msgspec.json.decode(found.body)["attempts"]
            return sorted(attempts, key=lambda attempt: attempt["number"])
        await asyncio.sleep(0.1)
    return []


# ---------------------------------------------------------------------- the caller's side


def of_caller(scenario: Scenario, told: Told) -> list[str]:
    if told.problem:
        return [told.problem]
    if not told.request_id:
        return ["the answer has no x-request-id"]
    if told.success and not told.error:
        right = [answers.text(model) for model in scenario.answers]
        if not right:
            return ["told a success where only an error is true"]
        return [] if told.text in right else [f"not the right answer: {told.text[:200]!r}"]
    if not told.error:
        return ["neither a complete answer nor an error"]
    if not scenario.may_fail:
        return [f"told the error {told.error!r} (status {told.status}) where an answer was to be had"]
    return _of_error(scenario, told)


def _of_error(scenario: Scenario, told: Told) -> list[str]:
    found = []
    if scenario.midway:
        if told.status != 200 or not told.text:
            found.append("content was to be had before the failure")
        if not answers.text(scenario.faulty).startswith(told.text):
            found.append(f"the text before the failure is not the provider's: {told.text[:200]!r}")
    elif told.text:
        found.append(f"text of a failed attempt: {told.text[:200]!r}")
    elif told.status != 200 and told.status not in scenario.expected.statuses:
        found.append(f"status {told.status}, not one of {sorted(scenario.expected.statuses)}")
    elif told.status == 200 and not scenario.stream:
        found.append("an error with status 200")
    if scenario.dialect == scenario.speaks == CHAT and told.error not in scenario.expected.codes:
        found.append(f"error {told.error!r}, not one of {sorted(scenario.expected.codes)}")
    return found


# ---------------------------------------------------------------------- the provider's side


def of_provider(scenario: Scenario, terms: Terms, told: Told, faulty: list[Seen], healthy: list[Seen]) -> list[str]:
    found = []
    least, most = scenario.requests(terms)
    if not least <= len(faulty) <= most:
        found.append(f"the faulty target saw {len(faulty)} requests, not {_between(least, most)}")
    needed = told.success and told.text == answers.text(scenario.healthy)
    if len(healthy) != needed:
        found.append(f"the healthy target saw {len(healthy)} requests, not {int(needed)}")
    found += [f"a {seen.method} of {seen.path}" for seen in faulty if seen.method != "POST"]
    for before, after in pairwise(faulty):
        if after.at - before.at < scenario.expected.apart - RETRY_MARGIN:
            found.append(f"asked again after {after.at - before.at:.2f} s, told to wait {scenario.expected.apart} s")
    if scenario.kept:
        return found
    open_ = [seen for seen in (*faulty, *healthy) if seen.closed is None or seen.closed > told.ended + CLOSED]
    found += [f"the connection of {seen.request_id} was not closed within a second" for seen in open_]
    return found


def _between(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


# ---------------------------------------------------------------------- the ledger's side


def of_ledger(scenario: Scenario, terms: Terms, told: Told, attempts: list[dict[str, Any]]) -> list[str]:
    if not attempts:
        return ["the ledger has no attempt"]
    found = []
    succeeded = told.success and not told.error
    for attempt in attempts[:-1] if succeeded else attempts:
        found += _of_failed(scenario, attempt)
    if succeeded:
        last = attempts[-1]
        model = next((model for model in scenario.answers if told.text == answers.text(model)), "")
        counts = (last["outcome"], last["target"], *_usage(last), last["estimated"])
        true = ("done", model, answers.INPUT, answers.OUTPUT, False)
        if counts != true:
            found.append(f"the ledger has {counts}, not {true}")
    least, most = scenario.requests(terms)
    tried = sum(attempt["target"] == scenario.faulty for attempt in attempts)
    if scenario.reached and scenario.calls == 1 and not least <= tried <= most:
        found.append(f"the ledger has {tried} attempts at the faulty target, not {_between(least, most)}")
    return found


def _usage(attempt: dict[str, Any]) -> tuple[int, int]:
    """(input, output) tokens."""
    usage = attempt.get("usage") or {}
    return usage.get("input", 0), usage.get("output", 0)


def _of_failed(scenario: Scenario, attempt: dict[str, Any]) -> list[str]:
    found = []
    if (attempt["outcome"], attempt["target"]) != ("failed", scenario.faulty):
        found.append(f"the ledger has {attempt['outcome']} at {attempt['target']}")
    if scenario.speaks == CHAT and attempt["error"] not in scenario.expected.codes:
        found.append(f"the ledger has the error {attempt['error']!r}, not one of {sorted(scenario.expected.codes)}")
    if scenario.midway and not (_usage(attempt)[1] and attempt["estimated"]):
        found.append("the ledger does not estimate what a cut answer used")
    return found
