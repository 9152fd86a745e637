"""Every recorded usage costs what genai-prices calculates: from its own extraction, and through our decoders.

Where the two ways of reading differ, the reason is in REASONS, as a rule that tells such answers; each must apply to
some.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from genai_prices import types

from catalog import independent, told
from headgate.catalog import Catalog, Model
from headgate.catalog.price import TOOLS
from headgate.dialects import anthropic_messages, gemini, openai_chat, openai_completions, openai_responses
from headgate.dialects.base import Dialect
from headgate.dialects.json_array import Parser as JsonArrayParser
from headgate.dialects.sse import Parser
from headgate.errors import UpstreamMalformed
from headgate.model.events import Fold
from headgate.model.usage import Usage
from recordings import Recording, recordings

pytestmark = pytest.mark.corpus

CATALOG = Catalog.load()
AT = 1_795_000_000.0
"""2026-11-18: the same moment for both sides."""
PROVIDERS = {provider.id: provider for provider in independent.SNAPSHOT.providers}
DIALECTS: dict[str, Dialect] = {
    module.DIALECT.name: module.DIALECT
    for module in (anthropic_messages, gemini, openai_chat, openai_completions, openai_responses)
}


class Case(NamedTuple):
    row: Recording
    extracted: types.Usage
    meant: tuple[types.Provider, types.ModelInfo]
    model: Model | None
    context: dict[str, str]

    def exact(self) -> Fraction:
        """What genai-prices calculates, nano-dollars."""
        return independent.cost(*self.meant, self.extracted, AT, self.context)


def cases(dialect: str) -> Iterator[Case]:
    """The answers with a usage that genai-prices can extract and a model that it knows."""
    for row in recordings(dialect):
        document = told.document(row) if row.status < 300 else None
        if document is None:
            continue
        own = told.PROVIDERS.get(row.provider, row.provider)
        try:
            name, extracted = _extracted(own, dialect, document)
        except (ValueError, AttributeError):  # counts that are missing, modalities that came as numbers
            continue
        for provider in dict.fromkeys((own, told.FLAVORS[dialect][0])):
            if name and (meant := independent.meant(provider, name)):
                yield Case(row, extracted, meant, CATALOG.find(provider, name, AT), _context(document))
                break


def _extracted(provider: str, dialect: str, document: dict[str, Any]) -> tuple[str | None, types.Usage]:
    """By the provider's own rules for this dialect where there are some, else by those of the dialect's inventor."""
    inventor, flavor = told.FLAVORS[dialect]
    flavors = {one.api_flavor for one in PROVIDERS[provider].extractors or ()} if provider in PROVIDERS else set()
    for one in (flavor, "default"):
        if one in flavors:
            return PROVIDERS[provider].extract_usage(document, api_flavor=one)
    return PROVIDERS[inventor].extract_usage(document, api_flavor=flavor)


def _context(document: dict[str, Any]) -> dict[str, str]:
    usage = document.get("usage") or {}
    tier = document.get("service_tier") or usage.get("service_tier")
    so = {"service_tier": tier, "speed": usage.get("speed")}
    return {name: value for name, value in so.items() if isinstance(value, str)}


def decoded(row: Recording) -> Usage | None:
    """What our decoder says of the whole answer."""
    decoder, fold = DIALECTS[row.dialect].decoder(), Fold()
    parser = Parser() if row.sse else JsonArrayParser() if row.reply.lstrip().startswith(b"[") else None
    if parser is None:
        events = list(decoder.whole(row.reply).events)
    else:
        items = [item for item in parser.feed(row.reply) + parser.end() if item.data is not None]
        events = [event for item in items for event in decoder.feed(item.event, item.data or b"").events]
        events += decoder.end()
    for event in events:
        fold.feed(event)
    return fold.close().usage


def same(found: int | None, exact: Fraction) -> bool:
    """Within one rounding."""
    return found is not None and abs(found - exact) <= Fraction(1, 2)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_extracted_usages_cost_the_same(dialect: str) -> None:
    """Unknown is only what has no price there either: they count it as nothing, we say so."""
    outcomes: Counter[str] = Counter()
    for case in cases(dialect):
        try:
            exact = case.exact()
        except ValueError:
            outcomes["contradiction"] += 1  # more cached than there was input: there is no cost to compare with
            continue
        if case.model is None:
            assert exact == 0, case.row
            outcomes["unpriced"] += 1
            continue
        usage = independent.ours(
            case.extracted,
            service_tier=case.context.get("service_tier"),
            native={"speed": case.context["speed"]} if "speed" in case.context else None,
        )
        cost = case.model.cost(usage, AT)
        if cost is None:
            assert exact == 0, case.row
            outcomes["unpriced"] += 1
            continue
        assert same(cost, exact), case
        outcomes["same"] += 1
    assert outcomes["same"] > 20, outcomes
    assert outcomes["same"] > 50 * (outcomes["unpriced"] + outcomes["contradiction"]), outcomes


def _tools(case: Case, usage: Usage) -> bool:
    """We count server-tool uses where the answer shows them (calls among the output, queries of a search): the
    extraction knows counters in the usage object only. Without them, the cost is the same."""
    counted = set(usage.requests) & set(TOOLS.values())
    assert case.model is not None
    return bool(counted) and same(case.model.cost(_with(usage, requests={}), AT), case.exact())


def _hidden_reasoning(case: Case, usage: Usage) -> bool:
    """The total holds tokens that neither prompt nor completion does: thoughts, which are billed as output. The
    extraction reads the completion alone."""
    native = usage.native
    total = native.get("total_tokens", 0)
    shown = native.get("prompt_tokens", 0) + native.get("completion_tokens", 0)
    return total > shown and usage.output == total - native["prompt_tokens"]


def _other_counter(case: Case, usage: Usage) -> bool:
    """Mistral and Moonshot count cached tokens elsewhere than the extraction looks for them. Without them, the same."""
    assert case.model is not None
    counted = usage.cache_read in [usage.native.get(name) for name in ("num_cached_tokens", "cached_tokens")]
    return counted and same(case.model.cost(_with(usage, cache_read=0), AT), case.exact())


REASONS: dict[str, Callable[[Case, Usage], bool]] = {
    "tools": _tools,
    "hidden reasoning": _hidden_reasoning,
    "another counter": _other_counter,
}


def _with(usage: Usage, **changes: Any) -> Usage:
    return Usage(**({name: getattr(usage, name) for name in usage.__struct_fields__} | changes))


def test_decoded_usages_cost_the_same() -> None:
    """Through the decoders that meter real traffic, whole and streamed."""
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    unexplained = []
    for case in (case for dialect in DIALECTS for case in cases(dialect) if case.model is not None):
        try:
            exact, usage = case.exact(), decoded(case.row)
        except (ValueError, UpstreamMalformed):
            outcomes["unreadable"] += 1
            continue
        assert usage is not None and case.model is not None, case.row
        cost = case.model.cost(usage, AT)
        if same(cost, exact):
            outcomes[case.row.dialect] += 1
            continue
        reason = next((name for name, applies in REASONS.items() if applies(case, usage)), None)
        reasons[reason or ""] += 1
        if reason is None:
            unexplained.append((case.row, case.extracted, usage, cost, float(exact)))
    assert not unexplained, unexplained[:3]
    assert set(reasons) == set(REASONS)
    assert all(outcomes[dialect] > 20 for dialect in DIALECTS) and outcomes["unreadable"] <= 3, outcomes
    assert outcomes.total() > 20 * reasons.total()
