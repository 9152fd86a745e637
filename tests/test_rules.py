"""What decides which model a request takes, end to end on real sockets: rules, canaries, tiers, regions, sunsets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fakes import Reply, Upstream
from raw import CHAT, Answer, ask, chunk, completion, sse
from running import KEY, Running
from test_life import row_of, rows

CHATS = "/v1/chat/completions"
EU_KEY, TENANT_KEY, NARROW_KEY = "sk-hg-key-of-europe-0", "sk-hg-key-of-a-tenant", "sk-hg-key-of-one-alias"
HARD = "Prove step by step, derive, compare and analyse it. You must design an algorithm without loops and justify it."


def model(targets: list[Any], **more: Any) -> dict[str, Any]:
    return {"targets": targets, **more}


def config(eu: Upstream, us: Upstream) -> dict[str, Any]:
    def provider(upstream: Upstream, **more: Any) -> dict[str, Any]:
        return {
            "type": "openai_compatible",
            "base_url": upstream.url + "/base",
            "api_key": "provider-key",
            "dialects": ["openai_chat"],
            **more,
        }

    both = ["eu/m-eu", "us/m-us"]
    return {
        "providers": {"eu": provider(eu, region="eu"), "us": provider(us, region="us"), "plain": provider(us)},
        "tenants": {"bound": {"regions": ["eu"]}},
        "keys": [
            {"name": "suite", "key": KEY, "tenant": "suite", "scopes": ["trail", "admin", "explain"]},
            {"name": "eu", "key": EU_KEY, "tenant": "suite", "regions": ["eu"], "scopes": ["explain"]},
            {"name": "bound", "key": TENANT_KEY, "tenant": "bound"},
            {"name": "narrow", "key": NARROW_KEY, "tenant": "suite", "models": ["auto"]},
        ],
        "models": {
            "auto": model(
                ["us/hardest"],
                rules=[
                    {
                        "when": '"x-team" in headers && headers["x-team"] == "legal"',
                        "refuse": "Legal has its own gateway.",
                    },
                    {"when": '"broken" in tags && tags[9] == "x"', "use": "us/never"},
                    {"when": "request.tools", "use": "tooled"},
                ],
                tiers=[{"use": "us/simple", "up_to": 6}, {"use": "us/middling", "up_to": 30}],
            ),
            "tooled": model(
                ["us/first"], rules=[{"when": 'key.name != "suite"', "use": "us/other"}], answer_model="alias"
            ),
            "tried": model(["us/stable"], canary={"use": "us/new", "percent": 40}),
            "spread": model(both, fallbacks=["plain/m-plain"], on_filter=["us/m-filter"]),
            "home": model(["us/m-us", "eu/m-eu"], regions=["eu"], strategy="round_robin"),
            "abroad": model(["us/m-us"]),
            "tagged": model([{"model": "us/paid", "tags": ["paid", "batch"]}, "us/free"]),
            "members": model([{"model": "us/paid", "tags": ["paid"]}]),
            "ruled": model(["eu/m-eu"], regions=["eu"], rules=[{"when": "request.stream", "use": "abroad"}]),
            "ending": model(["us/old"], deprecated={"sunset": "2999-12-31", "successor": "us/next"}),
            "ended": model(["us/old"], deprecated={"sunset": "2020-01-31", "successor": "us/next"}),
            "gone": model(["us/old"], deprecated={"sunset": "2020-01-31"}),
        },
    }


@pytest.fixture(scope="module")
def us() -> Iterator[Upstream]:
    fake = Upstream()
    yield fake
    fake.close()


@pytest.fixture(scope="module")
def ruled(upstream: Upstream, us: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("ruled"), config(upstream, us))
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def clean(upstream: Upstream, us: Upstream) -> None:
    upstream.reset()
    us.reset()


def chat(gateway: Running, name: str, text: str = "hi", **more: Any) -> Answer:
    body = {"model": name, "messages": [{"role": "user", "content": text}], **more.pop("body", {})}
    return ask(gateway, "POST", CHATS, body, **more)


def asked(upstream: Upstream) -> list[str]:
    """The models that the provider was asked for."""
    return [json.loads(request.body)["model"] for request in upstream.requests]


def fine(upstream: Upstream, times: int = 1) -> None:
    upstream.script(*[Reply(pieces=[completion()]) for _ in range(times)])


def explained(gateway: Running, body: dict[str, Any], key: str = KEY) -> dict[str, Any]:
    answer = ask(gateway, "POST", "/v1/explain", {"path": CHATS, "body": body}, key=key)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


def notes(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What Resolve noted, by verdict."""
    return {note["verdict"]: note for note in told["trail"] if note["stage"] == "resolve"}


# rules


def test_a_rule_refuses_before_anybody_is_called(ruled: Running, upstream: Upstream, us: Upstream) -> None:
    answer = chat(ruled, "auto", headers={"x-team": "legal"})
    assert (answer.status, answer.json["error"]["code"]) == (403, "refused_by_rule")
    assert answer.json["error"]["message"] == "Legal has its own gateway."
    assert us.requests == upstream.requests == []
    assert row_of(ruled, answer.headers["x-request-id"])["outcome"] == "refused"


def test_a_rule_leads_on_and_the_callers_name_stays(ruled: Running, us: Upstream) -> None:
    """By another model's rules too; the key needs to be allowed the first name only."""
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    fine(us, 2)
    answer = chat(ruled, "auto", body={"tools": tools})
    assert (answer.status, asked(us)) == (200, ["first"])
    assert answer.json["model"] == "auto", "the route that serves shows the alias: the caller's"
    assert row_of(ruled, answer.headers["x-request-id"])["model"] == "auto"
    assert chat(ruled, "auto", body={"tools": tools}, key=NARROW_KEY).status == 200
    assert asked(us) == ["first", "other"]
    assert chat(ruled, "tooled", key=NARROW_KEY).status == 403


def test_a_rule_that_breaks_refuses_and_is_logged(ruled: Running, us: Upstream) -> None:
    answer = chat(ruled, "auto", headers={"x-headgate-tags": "broken"})
    assert (answer.status, answer.json["error"]["code"]) == (500, "rule_broke")
    assert "rule 2 of 'auto'" in answer.json["error"]["message"]
    assert us.requests == []
    (logged,) = ruled.wait_for(lambda: [line for line in ruled.lines() if line["event"] == "a rule broke"])
    assert logged["request"] == answer.headers["x-request-id"]
    assert "IndexError" in logged["cause"]


def test_models_with_rules_are_not_for_paths_that_nobody_reads(ruled: Running, us: Upstream) -> None:
    answer = ask(ruled, "POST", "/us/v1/embeddings", {"model": "auto", "input": "x"})
    assert (answer.status, answer.json["error"]["code"]) == (403, "rules_not_judged")
    assert us.requests == []


# tiers, canaries


def test_tiers_take_what_is_not_too_hard(ruled: Running, us: Upstream) -> None:
    fine(us, 3)
    for text in ("hi", "Compare the two, and review them.", HARD):
        assert chat(ruled, "auto", text).status == 200
    assert asked(us) == ["simple", "middling", "hardest"]


def test_a_canary_keeps_a_session_on_its_side(ruled: Running, us: Upstream) -> None:
    sides: dict[str, set[str]] = {}
    for session in [f"s{number}" for number in range(20)] * 2:
        us.reset()
        fine(us)
        assert chat(ruled, "tried", headers={"x-session-id": session}).status == 200
        sides.setdefault(session, set()).update(asked(us))
    assert all(len(side) == 1 for side in sides.values())
    assert {name for side in sides.values() for name in side} == {"stable", "new"}


# regions


@pytest.mark.parametrize("key", [EU_KEY, TENANT_KEY])
def test_a_request_stays_in_its_regions(ruled: Running, upstream: Upstream, us: Upstream, key: str) -> None:
    """A key's and a tenant's alike, for an alias and for a plain name."""
    fine(upstream, 2)
    assert chat(ruled, "spread", key=key).status == 200
    assert chat(ruled, "eu/anything", key=key).status == 200
    for name in ("abroad", "us/anything", "plain/anything"):
        answer = chat(ruled, name, key=key)
        assert (answer.status, answer.json["error"]["code"]) == (403, "region_not_allowed"), name
        assert "eu" in answer.json["error"]["message"]
    assert us.requests == []


@pytest.mark.parametrize("stream", [False, True])
def test_no_call_leaves_for_another_region_also_when_the_only_allowed_target_is_down(
    ruled: Running, upstream: Upstream, us: Upstream, stream: bool
) -> None:
    """Not by a fallback, not by a typed one, not in mid-stream."""
    filtered = b'{"error":{"message":"flagged","code":"content_filter","type":"invalid_request_error"}}'
    for reply in (
        Reply(500, pieces=[b'{"error":{"message":"down","code":"server_error"}}'], after="close"),
        Reply(raw=b"", after="reset"),
        Reply(400, pieces=[filtered]),
        Reply(headers={"content-type": "text/event-stream"}, pieces=sse(chunk("half")), chunked=True, after="reset"),
    ):
        upstream.reset()
        upstream.script(*[reply] * 10)
        answer = chat(ruled, "spread", key=EU_KEY, body={"stream": stream})
        assert answer.status >= 400 or b"error" in answer.body
        assert upstream.requests
        assert us.requests == []
        row = row_of(ruled, answer.headers["x-request-id"])
        assert {a["provider"] for a in rows(ruled, "attempts", request_id=row["id"])} == {"eu"}


def test_a_models_own_regions_hold_for_everybody_and_on_the_way(
    ruled: Running, upstream: Upstream, us: Upstream
) -> None:
    fine(upstream, 3)
    for _ in range(3):
        assert chat(ruled, "home").status == 200
    answer = chat(ruled, "ruled", body={"stream": True})
    assert (answer.status, answer.json["error"]["code"]) == (403, "region_not_allowed"), "a rule leads nowhere else"
    assert us.requests == []


def test_paths_that_are_passed_through_stay_in_their_regions_too(
    ruled: Running, upstream: Upstream, us: Upstream
) -> None:
    fine(upstream)
    assert ask(ruled, "POST", "/eu/v1/embeddings", {"model": "e", "input": "x"}, key=EU_KEY).status == 200
    for path, body in (("/us/v1/embeddings", {"model": "e", "input": "x"}), ("/us/v1/embeddings", {"input": "x"})):
        answer = ask(ruled, "POST", path, body, key=EU_KEY)
        assert (answer.status, answer.json["error"]["code"]) == (403, "region_not_allowed")
    assert us.requests == []


# sunsets


def test_an_end_that_is_planned_is_told(ruled: Running, us: Upstream) -> None:
    fine(us, 2)
    answer = chat(ruled, "ending")
    assert asked(us) == ["old"]
    assert answer.headers["sunset"] == "Tue, 31 Dec 2999 00:00:00 GMT"
    since = answer.headers["deprecation"]
    assert since.startswith("@")
    assert int(since[1:]) % 86400 == 0
    assert int(since[1:]) < 32503593600
    assert "sunset" not in chat(ruled, "abroad").headers


def test_from_its_sunset_on_the_successor_serves(ruled: Running, us: Upstream) -> None:
    fine(us)
    answer = chat(ruled, "ended")
    assert (answer.status, asked(us)) == (200, ["next"])
    assert answer.headers["sunset"] == "Fri, 31 Jan 2020 00:00:00 GMT"
    assert answer.headers["deprecation"] == "@1580428800"
    gone = chat(ruled, "gone")
    assert (gone.status, gone.json["error"]["code"]) == (404, "model_ended")
    assert asked(us) == ["next"]


# tags


def test_a_target_with_tags_takes_only_requests_that_carry_one(ruled: Running, us: Upstream) -> None:
    fine(us, 3)
    chat(ruled, "tagged", headers={"x-headgate-tags": "night, batch"})
    chat(ruled, "tagged")
    assert chat(ruled, "tagged", body={"metadata": {"paid": "yes"}}).status == 200
    assert asked(us) == ["paid", "free", "paid"]
    nobody = chat(ruled, "members", headers={"x-headgate-tags": "free"})
    assert (nobody.status, nobody.json["error"]["code"]) == (400, "no_capable_target")
    assert "us/paid it takes only requests tagged paid" in nobody.json["error"]["message"]
    assert len(us.requests) == 3


# explain


def test_explain_shows_every_decision(ruled: Running, us: Upstream) -> None:
    told = notes(explained(ruled, CHAT | {"model": "auto"}))
    assert told["no rule held"]["rules"] == 3
    assert told["tier"] | {"use": "us/simple", "score": 0.0} == told["tier"]
    told = notes(explained(ruled, {"model": "auto", "messages": [{"role": "user", "content": HARD}]}))
    assert told["tier"]["use"] == "auto"
    assert "reasoning +32" in told["tier"]["features"]
    told = notes(explained(ruled, CHAT | {"model": "tried", "user": "u"}))
    assert told["canary"]["percent"] == 40
    assert (told["canary"]["side"], told["canary"]["by"]) in (("canary", "session"), ("stable", "session"))
    told = notes(explained(ruled, CHAT | {"model": "spread"}, key=EU_KEY))
    assert told["regions"]["allowed"] == ["eu"]
    assert told["regions"]["left_out"] == ["us/m-us (us)", "plain/m-plain (region unknown)", "us/m-filter (us)"]
    told = notes(explained(ruled, CHAT | {"model": "ended"}))
    assert (told["sunset"]["since"], told["sunset"]["use"]) == ("2020-01-31", ["us/next"])
    refused = explained(ruled, CHAT | {"model": "abroad"}, key=EU_KEY)
    assert (refused["verdict"], refused["error"]["code"]) == ("refused", "region_not_allowed")
    assert us.requests == []
