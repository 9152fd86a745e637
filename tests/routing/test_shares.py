"""Sessions and shares, switches, regions: who goes where, by rules that need no memory."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from headgate.errors import Forbidden, Internal
from headgate.model.exchange import Exchange
from headgate.model.route import RouteTarget
from headgate.routing.conditions import compile
from headgate.routing.facts import Facts
from headgate.routing.policy import Share
from headgate.routing.residency import allowed, narrowed
from headgate.routing.shares import named_in, percentile, session_of
from headgate.routing.switch import Rule, Switch, Tier
from routing.requests import WHO, request

CHAT = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("dialect", "more", "session"),
    [
        ("openai_chat", {"user": "u"}, "u"),
        ("openai_chat", {"safety_identifier": "s"}, "s"),
        ("openai_chat", {"prompt_cache_key": "p"}, "p"),
        ("openai_chat", {"user": "u", "prompt_cache_key": "p"}, "u"),
        ("openai_chat", {"user": "", "prompt_cache_key": "p"}, "p"),
        ("openai_chat", {}, ""),
        ("openai_chat", {"metadata": {"user_id": "m"}}, "m"),
        ("openai_chat", {"user": "u", "metadata": {"user_id": 7}}, "u"),
        ("openai_chat", {"metadata": {"a": '"user_id"'}}, ""),
        ("openai_responses", {"input": "hi", "prompt_cache_key": "p"}, "p"),
        ("openai_responses", {"input": "hi", "user": "u"}, "u"),
        ("anthropic_messages", {"max_tokens": 5, "metadata": {"user_id": "m"}}, "m"),
        ("openai_chat", {"messages": [{"role": "user", "content": '"user": "x"'}]}, ""),
    ],
)
def test_a_session_is_what_the_dialect_has_for_it(dialect: str, more: dict[str, Any], session: str) -> None:
    x = request(CHAT | more, dialect=dialect)
    assert session_of(x) == (f"research\0{session}" if session else "")


def test_the_header_goes_first_and_tenants_never_share_a_session() -> None:
    x = request(CHAT | {"user": "u"}, headers={"x-session-id": "h"})
    other = request(CHAT, headers={"x-session-id": "h"}, identity=replace(WHO, tenant="legal"))
    assert session_of(x) == "research\0h"
    assert session_of(other) == "legal\0h"
    assert len(session_of(request(CHAT, headers={"x-session-id": "h" * 100_000}))) < 2000


def test_bodies_that_cannot_be_read_name_none() -> None:
    for body in (b'{"user": ', b'["user": 1]', b'{"user": 3}', b'"user":', b'{"user_id":' * 100_000):
        assert named_in(body) == ""
    assert named_in(json.dumps({"user": "u"}, indent=1, separators=(",", " : ")).encode()) == "u"


@given(st.text(), st.floats(0, 100), st.floats(0, 100))
def test_a_share_is_monotone(session: str, percent: float, more: float) -> None:
    """Whoever is in at a share is in at every larger one; nobody at 0, everybody at 100."""
    where = percentile("auto", session)
    assert 0 <= where < 100
    if where < min(percent, more):
        assert where < max(percent, more)
    assert where == percentile("auto", session)


def test_a_share_is_about_as_large_as_it_says_and_different_for_each_model() -> None:
    sessions = [f"session {number}" for number in range(20_000)]
    for percent in (1, 10, 50):
        share = sum(percentile("auto", session) < percent for session in sessions) / len(sessions)
        assert share == pytest.approx(percent / 100, abs=0.01)
    both = sum(percentile("auto", s) < 10 and percentile("chat", s) < 10 for s in sessions) / len(sessions)
    assert both == pytest.approx(0.01, abs=0.004), "the same callers are not always the ones that are tried on"


# switches


def rule(number: int, when: str, **what: str) -> Rule:
    return Rule(number=number, condition=compile(when), **what)


def chosen(switch: Switch, x: Exchange) -> tuple[str, list[str]]:
    """The model's name, and the verdicts noted."""
    notes: list[str] = []
    return switch.choose("auto", Facts(x), lambda verdict, **_: notes.append(verdict)), notes


ALL = Switch(
    rules=(
        rule(1, '"legal" in tags', refuse="Legal has its own gateway."),
        rule(2, "request.turns > 5", use="long"),
        rule(3, "request.turns > 2", use="middle"),
    ),
    canary=Share(use="new", percent=30),
    tiers=(Tier(use="small", up_to=6), Tier(use="medium", up_to=20)),
)
HARD = "Prove, derive, compare and analyse it step by step."


def turns(number: int) -> dict[str, Any]:
    return CHAT | {"messages": [{"role": "user", "content": "hi"}] * number, "user": "settled"}


def test_the_first_rule_that_holds_decides() -> None:
    assert percentile("auto", "research\0settled") > 30
    assert chosen(ALL, request(turns(6))) == ("long", ["rule"])
    assert chosen(ALL, request(turns(3))) == ("middle", ["rule"])
    assert chosen(ALL, request(turns(1))) == ("small", ["no rule held", "canary", "tier"])
    with pytest.raises(Forbidden, match=r"Legal has its own gateway\.") as refused:
        chosen(ALL, request(turns(6), headers={"x-headgate-tags": "legal"}))
    assert (refused.value.status, refused.value.code) == (403, "refused_by_rule")


def test_tiers_take_what_is_not_too_hard_and_leave_the_rest_to_the_model() -> None:
    tiers = Switch(tiers=ALL.tiers)
    assert chosen(tiers, request("hi"))[0] == "small"
    assert chosen(tiers, request("Compare the two, step by step."))[0] == "medium"
    assert chosen(tiers, request(HARD))[0] == ""


@given(st.text(max_size=20), st.integers(0, 100))
def test_a_session_stays_on_its_side_of_a_canary(session: str, percent: int) -> None:
    """Whatever it asks, and whichever request it is."""
    canary = Switch(canary=Share(use="new", percent=percent))
    sides = {
        chosen(canary, request(CHAT | {"user": f"u{session}", "messages": messages}, identifier=identifier))[0]
        for messages in (CHAT["messages"], [{"role": "user", "content": HARD}])
        for identifier in ("req_1", "req_2")
    }
    assert len(sides) == 1


def test_without_a_session_requests_are_split() -> None:
    canary = Switch(canary=Share(use="new", percent=50))
    sides = [chosen(canary, request("hi", identifier=f"req_{number}"))[0] for number in range(200)]
    assert 60 < sides.count("new") < 140


def test_a_rule_that_breaks_refuses_and_says_which() -> None:
    switch = Switch(rules=(rule(1, "request.turns > 90", use="a"), rule(2, 'tags[7] == "x"', use="b")))
    notes: list[tuple[str, dict[str, Any]]] = []
    with pytest.raises(Internal, match="rule 2 of 'auto'") as broke:
        switch.choose("auto", Facts(request("hi")), lambda verdict, **detail: notes.append((verdict, detail)))
    assert broke.value.status == 500
    assert notes[0][0] == "rule broke"
    assert notes[0][1]["rule"] == 2


# regions

REGIONS = st.frozensets(st.sampled_from(["eu", "us", "ap", "eu-west-1"]))


def test_a_target_without_region_is_not_allowed_where_regions_are_demanded() -> None:
    nowhere, eu = RouteTarget(site="a", model="m"), RouteTarget(site="a", model="m", region="eu")
    assert allowed(nowhere, frozenset())
    assert not allowed(nowhere, frozenset(("eu",)))
    assert allowed(eu, frozenset(("eu", "us")))
    assert not allowed(eu, frozenset(("eu-west-1",))), "names are compared as they are written"


@given(st.lists(REGIONS), st.sampled_from(["eu", "us", "ap", "eu-west-1", ""]))
def test_narrowing_never_allows_more_than_any_constraint(constraints: list[frozenset[str]], region: str) -> None:
    target = RouteTarget(site="a", model="m", region=region)
    by_each = all(allowed(target, constraint) for constraint in constraints)
    try:
        assert allowed(target, narrowed(*constraints)) == by_each
    except Forbidden as refused:
        assert refused.code == "region_not_allowed"
        assert not by_each
