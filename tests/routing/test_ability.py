"""The ability filter: what is known keeps away, what is unknown does not, and the reason is told in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.model.ability import Abilities, Needs
from headgate.routing.ability import CANNOT, lacking

FLAGS = [*CANNOT, "reasoning"]
SIZES = st.integers(0, 2_000_000)
NEEDS = st.builds(Needs, **{name: st.booleans() for name in FLAGS}, tokens=SIZES, output=SIZES)
KNOWN = st.builds(
    Abilities,
    **{name: st.none() | st.booleans() for name in FLAGS},
    context=st.none() | SIZES,
    max_output=st.none() | SIZES,
)


@pytest.mark.parametrize(
    ("needs", "abilities", "told"),
    [
        (Needs(images=True), Abilities(images=False), "takes no images"),
        (Needs(images=True), Abilities(images=True), None),
        (Needs(images=True), Abilities(images=None), None),
        (Needs(), Abilities(images=False, tools=False, context=1), None),
        (Needs(audio=True), Abilities(audio=False), "takes no audio"),
        (Needs(documents=True), Abilities(documents=False), "takes no documents"),
        (Needs(video=True), Abilities(video=False), "takes no video"),
        (Needs(tools=True), Abilities(tools=False), "calls no tools"),
        (Needs(schema=True), Abilities(schema=False), "is not bound to a JSON schema"),
        (Needs(reasoning=True), Abilities(reasoning=False), None),
        (
            Needs(tokens=200_000),
            Abilities(context=128_000),
            "its context of 128,000 tokens is too small for at least 200,000",
        ),
        (Needs(tokens=128_000), Abilities(context=128_000), None),
        (
            Needs(output=64_000),
            Abilities(max_output=4_096),
            "its output of 4,096 tokens at most is less than the 64,000 asked for",
        ),
        (Needs(output=4_096), Abilities(max_output=4_096), None),
        (Needs(images=True, tools=True), Abilities(images=False, tools=False), "takes no images"),
    ],
)
def test_what_a_model_lacks(needs: Needs, abilities: Abilities, told: str | None) -> None:
    assert lacking(needs, abilities) == told


@given(NEEDS)
def test_the_unknown_keeps_nobody_away(needs: Needs) -> None:
    assert lacking(needs, None) is None and lacking(needs, Abilities()) is None


@given(NEEDS, KNOWN)
def test_knowing_less_never_keeps_more_away(needs: Needs, known: Abilities) -> None:
    """A model that may be tried stays so when any single fact about it is forgotten; a request of nothing goes anywhere."""
    assert lacking(Needs(), known) is None
    for name in (*FLAGS, "context", "max_output"):
        forgotten = Abilities(
            **{other: getattr(known, other) for other in (*FLAGS, "context", "max_output") if other != name}
        )
        assert lacking(needs, known) is not None or lacking(needs, forgotten) is None


@given(NEEDS, KNOWN)
def test_a_model_is_left_out_for_a_fact_alone(needs: Needs, known: Abilities) -> None:
    denied = any(getattr(needs, name) and getattr(known, name) is False for name in CANNOT)
    narrow = known.context is not None and needs.tokens > known.context
    short = known.max_output is not None and needs.output > known.max_output
    assert (lacking(needs, known) is not None) is (denied or narrow or short)
