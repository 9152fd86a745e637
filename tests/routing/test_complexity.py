"""Complexity: what people call simple, middling and hard is told apart, by signals that say themselves, cheaply."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.routing.complexity import FEATURES, HEAD, NODES, TAIL, Score, score
from headgate.routing.reading import Reading, read
from routing.requests import request
from work import LineCount

SIMPLE, MIDDLING, HARD = "simple", "middling", "hard"
SIMPLE_UP_TO, MIDDLING_UP_TO = 6.0, 35.0

PROMPTS: list[tuple[str, str]] = [
    (SIMPLE, "hi"),
    (SIMPLE, "What is the capital of France?"),
    (SIMPLE, "Translate 'good morning' to Spanish."),
    (SIMPLE, "Thanks, that helped!"),
    (SIMPLE, "What time is it in Tokyo when it is 9am in London?"),
    (SIMPLE, "Write a birthday wish for my colleague Anna."),
    (SIMPLE, "Summarise this in one sentence: The cat sat on the mat and then went to sleep."),
    (SIMPLE, "Wie wird das Wetter morgen in Berlin?"),
    (SIMPLE, "Quelle est la capitale de l'Italie ?"),
    (SIMPLE, "法国的首都是什么？"),
    (SIMPLE, "Correct the spelling: 'I recieved teh package yesterdy'"),
    (SIMPLE, "List five fruits that are red."),
    (
        MIDDLING,
        "Write a Python function that returns the n-th Fibonacci number, and explain why your solution is fast for n = 10^6.",
    ),
    (
        MIDDLING,
        "Compare PostgreSQL and MySQL for a small web shop: pros and cons, and a recommendation. At most 300 words.",
    ),
    (
        MIDDLING,
        "Review this function:\n```python\ndef add(a, b):\n    return a + b\n```\nIs it fine, and how would you test it?",
    ),
    (
        MIDDLING,
        "Draft an email to our customers about the outage on Monday. It must be friendly, without blame, at most 150 words,"
        " and must name the next steps:\n- what happened\n- what we do now\n- whom to contact\nPlease ensure the tone is calm.",
    ),
    (
        MIDDLING,
        "Analyse the sentiment of these three reviews and justify your verdict:\n1. Great phone, poor battery.\n2. Arrived late,"
        " works fine.\n3. I want my money back!",
    ),
    (
        MIDDLING,
        'I get this error, what is wrong?\n```\nTraceback (most recent call last):\n  File "a.py", line 3, in <module>\n'
        "    import foo\nModuleNotFoundError: No module named 'foo'\n```",
    ),
    (
        MIDDLING,
        "Vergleiche die Vor- und Nachteile von Wärmepumpe und Gasheizung für ein Haus von 1970 mit 140 m², ohne Förderung,"
        " und begründe deine Empfehlung.",
    ),
    (MIDDLING, "Explique étape par étape comment démontrer que racine de 2 est irrationnelle."),
    (MIDDLING, "请比较并分析两种排序算法的优缺点，至少给出三个例子。"),
    (
        MIDDLING,
        "Write a SQL query: SELECT the ten best customers by revenue in 2025, JOIN orders and customers, and explain why each"
        " index is needed.",
    ),
    (
        MIDDLING,
        "Plan a trip of 7 days through Japan for 2 people with at most $4000, without flights on Sunday; compare train passes"
        " and justify the choice.",
    ),
    (
        MIDDLING,
        "Refactor this code so that it does not block:\n```js\nconst r = await fetch(u);\nfunction f() { return r.json(); }\n```\n"
        "It must keep its interface.",
    ),
    (
        HARD,
        "Prove that every finite group of order p^2 is abelian. Derive each step by step, justify every theorem you use, and then"
        " analyse whether the proof generalises to p^3: if not, construct a counterexample and compare the two cases. Let"
        " $$|G| = p^2$$ and assume nothing but Lagrange's theorem.",
    ),
    (
        HARD,
        "Design the architecture of a multi-region payment system: at least 99.99 % availability, at most 200 ms p99,"
        " exactly-once settlement, no more than $50,000 a month. Compare three strategies, evaluate trade-offs of consistency"
        " against latency, justify the data model, and give a migration plan step by step.\nConstraints:\n1. PCI DSS must hold\n"
        "2. No downtime\n3. Without vendor lock-in\n4. Ensure auditability",
    ),
    (
        HARD,
        "Our service deadlocks under load. Diagnose the root cause, debug it step by step, and implement a fix without changing"
        " the public interface. You must not add locks.\n```go\nfunc (s *Store) Get(k string) string {\n  s.mu.Lock()\n  defer"
        " s.mu.Unlock()\n  return s.load(k)\n}\n```\n```\ngoroutine 1 [semacquire]:\npanic: deadlock\n```\nCompare at least two"
        " designs and analyse their complexity.",
    ),
    (
        HARD,
        "Optimise this algorithm from O(n^2) to O(n log n), prove its correctness and derive the exact constant. Compare with the"
        " best known lower bound and justify why no algorithm without extra memory can do better.\n```python\ndef f(xs):\n"
        "    return [(a, b) for a in xs for b in xs if a < b]\n```\nIt must handle at least 10^7 items in at most 2000 ms.",
    ),
    (
        HARD,
        "Derive the Navier-Stokes equations from conservation of momentum step by step, evaluate which assumptions fail at high"
        " Mach numbers, and design a numerical algorithm that must be stable for CFL ≤ 1. $$\\frac{d}{dt} \\int \\rho v dx$$"
        " Justify every inference and analyse the error term.",
    ),
    (
        HARD,
        "Beweise Schritt für Schritt, dass es unendlich viele Primzahlen gibt, vergleiche mindestens drei Beweise, begründe jeden"
        " Schritt, analysiere ihre Voraussetzungen und entwirf einen eigenen Algorithmus, der Primzahlen bis 10^12 findet und"
        " höchstens 1 GB braucht.",
    ),
    (
        HARD,
        "Analyse the attached incident: investigate the root cause, evaluate our response, compare it with the runbook, synthesise"
        " lessons and design a strategy for prevention. It must contain at least five actions, exactly one metric each.\n"
        "1. 12:03 alarms\n2. 12:15 failover\n3. 12:40 data loss of 1,204 rows\n",
    ),
    (
        HARD,
        "证明这个算法的正确性，逐步推导其复杂度，分析最坏情况，比较三种优化方案，并设计一个新的数据结构。必须至少支持一百万次操作，"
        "不能使用额外内存。\n```cpp\n#include <vector>\nvoid f() { return; }\n```",
    ),
]


def asked(text: str, **more: Any) -> Reading:
    return Reading(**({"turns": 1, "last": text, "texts": [text]} | more))


def tier_of(value: float) -> str:
    return SIMPLE if value <= SIMPLE_UP_TO else MIDDLING if value <= MIDDLING_UP_TO else HARD


def test_there_are_enough_prompts() -> None:
    assert len(PROMPTS) >= 30


@pytest.mark.parametrize(("tier", "prompt"), PROMPTS, ids=lambda value: value[:30])
def test_prompts_fall_into_the_tier_that_people_would_give_them(tier: str, prompt: str) -> None:
    found = score(asked(prompt))
    assert tier_of(found.value) == tier, f"{found.value}: {found}"


@pytest.mark.parametrize(
    ("more", "feature"),
    [
        ({"tools": ["a", "b", "c"]}, "tools +4.5"),
        ({"turns": 5}, "turns +6"),
        (
            {"schema": {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}},
            "schema +7.5",
        ),
        ({"texts": ["x" * 64_000]}, "context +6"),
        ({"last": "x" * 1600}, "length +9"),
    ],
)
def test_each_signal_beyond_words_says_what_it_gave(more: dict[str, Any], feature: str) -> None:
    found = score(asked("hi", **more))
    assert str(found) == feature


def test_a_long_agent_session_is_hard_whatever_its_last_words() -> None:
    texts = ["some output of a tool " * 400] * 12
    found = score(asked("go on", turns=12, tools=[str(n) for n in range(20)], texts=texts))
    assert tier_of(found.value) == MIDDLING
    assert {name for name, _ in found.features} == {"tools", "turns", "context"}


def test_the_caps_are_a_hundred_or_more_and_each_is_reachable() -> None:
    assert sum(feature.cap for feature in FEATURES.values()) >= 100
    words = "prove derive optimise compare analyse design must least exactly without unless def func const async sql"
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(6):
        schema = {"type": "object", "properties": {"a": schema}}
    text = f"{words}\n```\na\n```\n```\nb\n```\n```\nc\n```\nTraceback \\ ^ $$ O(n {'x' * 10_000}"
    found = score(asked(text, turns=50, tools=["t"] * 50, schema=schema, texts=["x" * 1_000_000]))
    assert dict(found.features) == {name: feature.cap for name, feature in FEATURES.items()}
    assert found.value == 100.0


WORDS = st.sampled_from(
    [
        "prove",
        "must",
        "the",
        "a",
        "compare",
        "12",
        "x^2",
        "```def",
        "f()```",
        "hello",
        "without",
        "证明",
        "\n-",
        "point",
    ]
)
TEXTS = st.lists(WORDS, max_size=60).map(" ".join)


@given(TEXTS, TEXTS)
def test_more_text_is_never_simpler(first: str, second: str) -> None:
    """As long as it is looked at whole."""
    assert len(first) + len(second) < HEAD + TAIL
    assert score(asked(f"{first} {second}")).value >= score(asked(first)).value - 0.001


@given(TEXTS, st.integers(1, 30), st.integers(0, 30), st.integers(0, 5))
def test_more_of_anything_else_is_never_simpler(text: str, turns: int, tools: int, levels: int) -> None:
    schema: dict[str, Any] | None = None
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema or {}}}
    less = asked(text, turns=turns, tools=["t"] * tools, schema=schema)
    deeper = {"type": "object", "properties": {"a": schema or {"type": "string"}}}
    for more in (
        asked(text, turns=turns + 1, tools=["t"] * tools, schema=schema),
        asked(text, turns=turns, tools=["t"] * (tools + 1), schema=schema),
        asked(text, turns=turns, tools=["t"] * tools, schema=deeper),
        asked(text, turns=turns, tools=["t"] * tools, schema=schema, texts=[text, text]),
    ):
        assert score(more).value >= score(less).value


@given(TEXTS)
def test_the_score_is_the_sum_of_what_it_tells(text: str) -> None:
    found = score(asked(text))
    assert found == score(asked(text))
    assert 0 <= found.value <= 100
    assert found.value == pytest.approx(min(100, sum(points for _, points in found.features)), abs=0.05)


def lines(reading: Reading) -> tuple[Score, int]:
    """Its score, and how many lines of Python that took."""
    with LineCount() as lines:
        found = score(reading)
    return found, lines.count


def test_a_schema_that_is_a_bomb_is_looked_at_within_bounds() -> None:
    wide = {"type": "object", "properties": {str(n): {"type": "object", "properties": {}} for n in range(100_000)}}
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"type": "object", "properties": {"a": deep}}
    levels, many = lines(asked("hi", schema=wide))
    assert levels.features == (("schema", 5.0),)
    assert many < 10 * 100_000, "each of the properties is seen, and put by"
    levels, many = lines(asked("hi", schema=deep))
    assert levels.features == (("schema", FEATURES["schema"].cap),)
    assert many < 20 * NODES


def test_a_long_message_is_read_at_its_ends() -> None:
    """What stands between counts by its length (and its fences): 400 kB cost a search for those, and the rest as 4 kB do."""
    words = "Prove that x^2 must be 42, step by step; Traceback: async def main(): "
    plain = "The quick brown fox jumps over the lazy dog, again, then once more, a "
    head, tail = (words * 30)[:HEAD], (words * 30)[-TAIL:]
    (short, least), (long, most), (pasted, _) = (
        lines(asked(head + middle + tail)) for middle in (words * 20, words * 5000, (plain * 5100)[: len(words) * 5000])
    )
    assert most < 1.1 * least
    assert long == pasted
    assert dict(long.features).pop("reasoning") == dict(short.features).pop("reasoning")


def test_a_request_is_read_and_scored() -> None:
    x = request("Prove, step by step, that the square root of 2 is irrational.")
    found = score(read(x.dialect.read(x.request_json())))
    assert found == Score(16.0, (("reasoning", 16.0),))
