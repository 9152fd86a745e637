"""What pattern guards cost: `python bench/guards.py`.

Prints µs a scan of whole texts without a match and with a few, in ASCII and not, for 1, 5 and 50 guards; and µs a
delta of a stream (text and tool arguments), with the characters that a window holds back on average. Processor time,
the best of seven runs.
"""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable

from headgate.guards.arguments import ArgumentsWindow, redact_arguments
from headgate.guards.base import Guard
from headgate.guards.pattern import Patterns, compile
from headgate.guards.window import Window

SENTENCE = "the gate at the head of the canal lets in as much water as the fields below it need and no more"
WORDS = SENTENCE.split()
FIRST = [
    Guard(name="ssn", pattern=r"\b\d{3}-\d{2}-\d{4}\b"),
    Guard(name="mail", pattern=r"\b[\w.%+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}\b"),
    Guard(name="card", pattern=r"\b(?:\d{4}[ -]?){3}\d{4}\b"),
    Guard(name="key", pattern=r"\bsk-[\w-]{20,}", max_length=100),
    Guard(name="address", pattern=r"\b(?:\d{1,3}\.){3}\d{1,3}\b"),
]
MORE = [Guard(name=f"code{number}", pattern=rf"\b[A-Z]{{2}}{number:02}-\d{{4,8}}\b") for number in range(45)]
SETS = {1: FIRST[:1], 5: FIRST, 50: FIRST + MORE}


def patterns(count: int) -> Patterns:
    made = compile(SETS[count]).for_place("answer")
    assert made is not None
    return made


def text(size: int, sign: str = "") -> str:
    words = f"{SENTENCE} {sign}. "
    return (words * (size // len(words) + 1))[:size]


def best(act: Callable[[], object], number: int) -> float:
    """µs a call."""
    return min(timeit.repeat(act, timer=time.process_time, number=number, repeat=7)) / number * 1e6


def whole() -> None:
    print(f"{'µs a whole text':<28}{'1 guard':>12}{'5 guards':>12}{'50 guards':>12}")
    made = {count: patterns(count) for count in SETS}
    for size, number in ((1_000, 2000), (10_000, 300), (400_000, 10)):
        for name, body in (
            ("no match, ASCII", text(size)),
            ("no match, é and 😀", text(size, "é😀")),
            ("10 matches, ASCII", text(size - 120) + "123-45-6789 " * 10),
        ):
            row = "".join(f"{best(lambda p=p, b=body: p.redact(b), number):12.1f}" for p in made.values())
            print(f"{size:>7,} {name:<20}{row}")


def streamed() -> None:
    print(f"\n{'µs a delta of a stream':<28}{'1 guard':>12}{'5 guards':>12}{'50 guards':>12}")
    deltas = [f" {word}" for word in WORDS] * 200
    foreign = [f" {word}é" for word in WORDS] * 200
    fragments = ['{"', "query", '":"', *deltas[:1000], '","n":', "1", "2", "}"]
    for name, parts, kind in (
        ("text, ASCII", deltas, Window),
        ("text, é", foreign, Window),
        ("tool arguments", fragments, ArgumentsWindow),
    ):
        row = ""
        for count in SETS:
            made = patterns(count)

            def run(made: Patterns = made, parts: list[str] = parts, kind: type = kind) -> None:
                window = kind(made)
                for part in parts:
                    window.feed(part, part)
                window.flush()

            row += f"{best(run, 3) / len(parts):12.2f}"
        print(f"{name:<28}{row}")
    row = ""
    for count in SETS:
        window: Window[str] = Window(patterns(count))
        fed = out = held = 0
        for delta in deltas:
            fed += len(delta)
            out += sum(len(item) for item, _ in window.feed(delta, delta))
            held += fed - out
        row += f"{held / len(deltas):12.2f}"
    print(f"{'characters held on average':<28}{row}")
    print(f"{'reach':<28}" + "".join(f"{patterns(count).reach:12}" for count in SETS))


def arguments() -> None:
    print(f"\n{'µs whole arguments':<28}{'1 guard':>12}{'5 guards':>12}{'50 guards':>12}")
    made = [patterns(count) for count in SETS]
    body = '{"rows":[' + ",".join(f'{{"id":{number},"note":"{SENTENCE}"}}' for number in range(90)) + "]}"
    for name, json in (("10 kB", body), ("10 kB, escapes", body.replace("canal", "can\\u00e4l\\n"))):
        row = "".join(f"{best(lambda p=p, j=json: redact_arguments(p, j), 30):12.1f}" for p in made)
        print(f"{name:<28}{row}")


def hostile() -> None:
    """Texts made to be slow: beginnings that lead nowhere, and nothing but matches."""
    print(f"\n{'ms for 400,000 hostile characters':<40}")
    made = compile(
        [
            Guard(name="mail", pattern=r"[\w.]+@\w+\.\w+", max_length=100),
            Guard(name="tag", pattern=r"<[^>]*>", max_length=50),
        ]
    ).for_place("answer")
    assert made is not None
    for name, body in (
        ("one word", "a" * 400_000),
        ("words of 600, then @x.org", ("a" * 600 + "@x.org ") * 660),
        ("nothing but <", "<" * 400_000),
        ("nothing but matches", "<a>" * 133_333),
        ("é, then matches", "é<a>" * 100_000),
    ):
        print(f"{name:<40}{best(lambda b=body: made.redact(b), 1) / 1000:12.1f}")


if __name__ == "__main__":
    whole()
    streamed()
    arguments()
    hostile()
