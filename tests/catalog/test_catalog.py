"""The catalog against the project its data comes from: the same model for every name, the same cost for every usage."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

import pytest
from genai_prices import types
from hypothesis import example, given
from hypothesis import strategies as st

from catalog import independent
from headgate.catalog import Catalog
from headgate.catalog.compile import compiled
from headgate.catalog.loader import DATA
from headgate.catalog.matching import Equals, dashed
from headgate.catalog.model import Dated, Row, Timed, Variant
from headgate.catalog.model import Model as CatalogModel
from headgate.catalog.price import COUNTED, TOKENS, Sheet
from headgate.config.schema import Price
from headgate.model.usage import Usage

CATALOG = Catalog.load()
PROVIDERS = independent.SNAPSHOT.providers
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


def rounded(exact: Fraction) -> int:
    return math.floor(exact + Fraction(1, 2))


def test_the_data_is_what_the_installed_package_compiles_to() -> None:
    """After an update of genai-prices: `python -m headgate.catalog.compile`."""
    assert DATA.read_bytes() == compiled()


def test_the_source_is_named() -> None:
    """Whose data, which version, under which licence; the licence's text stands beside it."""
    source = CATALOG.source
    assert (source.name, source.licence) == ("genai-prices", "MIT")
    licence = (DATA.parent / "LICENSE-genai-prices").read_text()
    assert source.copyright in licence and "Permission is hereby granted" in licence


# names


def names() -> list[tuple[str, str]]:
    """Every provider with every id of its own, and those of the providers it resells; as they are and as clients vary
    them."""
    found = []
    for provider in PROVIDERS:
        resold = [other for other in PROVIDERS if other.id in (provider.fallback_model_providers or ())]
        for owner in (provider, *resold):
            found += [(provider.id, model.id) for model in owner.models]
    return found


@pytest.mark.parametrize("vary", [str, str.upper, "{}-20251211".format, "{}-2025-12-11".format, "x-{}".format])
def test_every_name_means_the_same_model(vary: Any) -> None:
    """4,000 names, also in capitals, with a date (compact and not), and with something before them."""
    for provider, name in names():
        expected = independent.meant(provider, vary(name))
        found = CATALOG._find(provider, vary(name), "")
        assert (found.id if found else None) == (expected[1].id if expected else None), (provider, vary(name))


@pytest.mark.parametrize(
    "name", ["vertex", "google-vertex", "gcp.gemini", "bedrock", "Amazon", "xai", "AzureX", "none", ""]
)
def test_every_provider_name_means_the_same_provider(name: str) -> None:
    from genai_prices.data_snapshot import find_provider_by_id

    expected = find_provider_by_id(PROVIDERS, name)
    found = CATALOG._provider(name)
    assert (found.id if found else None) == (expected.id if expected else None)


def test_what_nobody_knows() -> None:
    assert CATALOG.find("openai", "gpt-99-imaginary", NOW) is None
    assert CATALOG.find("nobody", "gpt-5", NOW) is None
    assert CATALOG.find("openai", "", NOW) is None


def test_what_is_remembered_is_bounded() -> None:
    """Names come from clients: any number of them takes no more memory than some thousands."""
    catalog = Catalog.load()
    for n in range(5000):
        catalog.find("voyageai", f"nonsense-{n}", NOW)
    assert len(catalog._found) <= 4096
    assert catalog.find("voyageai", "voyage-3", NOW) is catalog.find("voyageai", "voyage-3", NOW) is not None


def test_a_model_says_what_it_is() -> None:
    model = CATALOG.find("anthropic", "claude-3-5-haiku-20241022", NOW)
    assert model is not None
    assert (model.id, model.name, model.provider) == ("claude-3-5-haiku-latest", "Claude Haiku 3.5", "anthropic")
    assert model.context_window == 200_000 and model.max_output is None
    assert model.label(NOW) == f"anthropic/claude-3-5-haiku-latest@genai-prices-{CATALOG.source.version}"


def test_models_of_a_provider_and_the_nearest_names() -> None:
    """Without those that are on their way out; a slip of the finger is found."""
    models = CATALOG.models("openai")
    given = next(provider for provider in PROVIDERS if provider.id == "openai").models
    assert [model.id for model in models] == [model.id for model in given if not model.deprecated]
    assert len(models) > 50 and all(not model.deprecated for model in models)
    assert "gpt-4o-mini" in CATALOG.suggest("openai", "gpt-4o-mimi")
    assert CATALOG.suggest("openai", "zzzzzzzz") == [] == CATALOG.models("nobody")


# cost


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Counts that agree with each other: what is contained never exceeds what contains it."""
    count = st.integers(0, 400_000) | st.integers(0, 20)
    n = {name: draw(st.just(0) | count) for name in TOKENS}
    cache_read = n["cache_read"] + n["cache_audio_read"] + n["cache_image_read"]
    cache_write = n["cache_write"] + n["cache_write_1h"]
    audio, image = n["input_audio"] + n["cache_audio_read"], n["input_image"] + n["cache_image_read"]
    inside = n["cache_read"] + cache_write + audio + image + n["input_video"]
    return Usage(
        input=n["input"] + inside,
        output=n["output"] + n["output_reasoning"] + n["output_audio"] + n["output_image"],
        cache_read=cache_read,
        cache_write=cache_write,
        cache_write_1h=n["cache_write_1h"],
        reasoning=n["output_reasoning"],
        input_audio=audio,
        output_audio=n["output_audio"],
        cache_audio_read=n["cache_audio_read"],
        input_image=image,
        cache_image_read=n["cache_image_read"],
        input_video=n["input_video"],
        output_image=n["output_image"],
        requests=draw(st.dictionaries(st.sampled_from(["web_search", "file_search", "x_search"]), st.integers(0, 9))),
        service_tier=draw(st.sampled_from([None, "default", "standard", "priority", "flex", "fast", "batch"])),
        native=draw(st.sampled_from([{}, {}, {"speed": "fast"}, {"speed": "standard"}, {"speed": [1]}])),
    )


MODELS = [(provider, model) for provider in PROVIDERS for model in provider.models]
VARIED = [(provider, model) for provider, model in MODELS if model.price_variants or isinstance(model.prices, list)]
MOMENTS = st.floats(NOW - 3 * 365 * 86_400, NOW + 365 * 86_400, allow_nan=False)


def explained(usage: Usage, rates: set[str]) -> bool:
    """Whether something was used that these rates do not price."""
    sheet = Sheet(dict.fromkeys(rates, 1))
    return sheet.cost(usage) is None


@given(st.sampled_from(MODELS) | st.sampled_from(VARIED), usages(), MOMENTS)
@example(MODELS[0], Usage(), NOW)
def test_every_cost_is_what_the_project_calculates(
    model: tuple[types.Provider, types.ModelInfo], usage: Usage, at: float
) -> None:
    """For any model, usage, moment and way of processing: the same to the nano-dollar, rounded once; or unknown, and
    then because something was used that has no price."""
    provider, info = model
    row = next(row for row in CATALOG._models(CATALOG._providers[provider.id]) if row.id == info.id)
    found = CatalogModel(provider.id, row).cost(usage, at)
    context = {}
    if usage.service_tier:
        context["service_tier"] = usage.service_tier
        if usage.service_tier == "batch":
            context["processing"] = "batch"
    if isinstance(usage.native.get("speed"), str):
        context["speed"] = usage.native["speed"]
    prices = info.get_prices(datetime.fromtimestamp(at, UTC), context)
    rates = {
        key.removesuffix("_mtok").removesuffix("_kcount") for key, value in vars(prices).items() if value is not None
    }
    if found is None:
        assert not rates or explained(usage, rates)
        return
    exact = independent.cost(provider, info, independent.theirs(usage), at, context)
    # rates with more digits than nano-dollars (sums of binary fractions) are rounded in the data, by at most a half
    slack = (usage.input + usage.output) / 1_000_000 / 2 + 0.5
    assert abs(found - exact) <= slack
    if all(_whole(value) for value in vars(prices).values()):
        assert found == rounded(exact)


def _whole(price: Any) -> bool:
    if isinstance(price, types.TieredPrices):
        return _whole(price.base) and all(_whole(tier.price) for tier in price.tiers)
    return price is None or price * 10**9 == int(price * 10**9)


def test_amounts_by_hand() -> None:
    """Anthropic's own example prices: 3 and 15 dollars a million, cache at 3.75, 6 and 0.30, searches at 10 a
    thousand."""
    model = CATALOG.find("anthropic", "claude-3-7-sonnet-20250219", NOW)
    assert model is not None
    usage = Usage(
        input=1_000_000,
        cache_read=400_000,
        cache_write=300_000,
        cache_write_1h=100_000,
        output=10_000,
        requests={"web_search": 3},
    )
    dollars = 0.3 * 3 + 0.4 * 0.30 + 0.2 * 3.75 + 0.1 * 6 + 0.01 * 15 + 3 * 0.01
    assert model.cost(usage, NOW) == round(dollars * 10**9)


def test_rounded_once_half_up() -> None:
    """0.5 nano-dollars are one; three times 0.5 in one usage are 1.5, and so two, not three."""
    assert Sheet({"input": 500_000, "output": 0}).cost(Usage(input=1)) == 1
    assert Sheet({"input": 499_999, "output": 0}).cost(Usage(input=1)) == 0
    thrice = Sheet({"input": 500_000, "cache_read": 500_000, "output": 500_000})
    assert thrice.cost(Usage(input=2, cache_read=1, output=1)) == 2


def test_a_tier_goes_by_the_whole_input() -> None:
    """Above the threshold every token costs more, the output too; at it, none."""
    sheet = Sheet({"input": [(0, 1_000_000), (200_000, 2_000_000)], "output": [(0, 10_000_000), (200_000, 15_000_000)]})
    assert sheet.cost(Usage(input=200_000, cache_read=150_000, output=10)) == 200_100
    assert sheet.cost(Usage(input=200_001, output=10)) == 400_002 + 150


@pytest.mark.parametrize(
    ("rates", "usage"),
    [
        ({"input": 1}, Usage(input=5, output=1)),
        ({"output": 1}, Usage(input=1)),
        ({"input": 1, "output": 1}, Usage(input=1, requests={"web_search": 1})),
        ({"audio_hours": 1}, Usage()),
        ({"input_document_kpages": 1}, Usage(input=10)),
    ],
)
def test_what_has_no_price_is_unknown_not_free(rates: dict[str, Any], usage: Usage) -> None:
    assert Sheet(rates).cost(usage) is None


def test_a_model_without_any_price_is_unknown_but_what_is_free_is_free() -> None:
    """Listed without a price: subscriptions and the like. Names that end in ":free" cost nothing, and that is known."""
    usage = Usage(input=1000, output=1000)
    included = CATALOG._find("github-copilot", "gpt-4o", "")
    assert included is not None and included.cost(usage, NOW) is None
    assert CATALOG.find("github-copilot", "gpt-4o", NOW) is None
    free = CATALOG.find("openrouter", "openai/gpt-oss-20b:free", NOW)
    assert free is not None and free.cost(usage, NOW) == 0


def test_counts_that_contradict_each_other_are_cut() -> None:
    """More read from the cache than there was input: charged for what was read, never less than nothing."""
    sheet = Sheet({"input": 10_000_000, "cache_read": 1_000_000, "output": 0})
    assert sheet.cost(Usage(input=10, cache_read=30)) == 30
    assert sheet.cost(Usage(input=10, cache_read=-5)) == 100


def test_tokens_of_a_kind_without_a_rate_are_part_of_the_rest() -> None:
    sheet = Sheet({"input": 1_000_000, "output": 2_000_000})
    assert sheet.cost(Usage(input=10, cache_read=4, input_audio=3, output=5, reasoning=5)) == 20


def test_what_is_billed_by_the_request() -> None:
    assert Sheet({"input": 0, "output": 0, "requests": 5_000_000_000_000}).cost(Usage(input=1)) == 5_000_000


# time


def dated(*prices: tuple[dict[str, Any], int]) -> CatalogModel:
    rows = tuple(Dated(rates={"input": rate, "output": 0}, **when) for when, rate in prices)
    return CatalogModel("p", Row(id="m", match=Equals("m"), prices=rows))


def at(day: int, hour: int = 0) -> float:
    return datetime(2026, 1, day, hour, tzinfo=UTC).timestamp()


MILLION = Usage(input=1_000_000)


def test_a_price_holds_from_its_day_on() -> None:
    """Midnight UTC belongs to the new price; before all of them the first holds; asking back and forth gives the
    same."""
    model = dated(({}, 1), ({"since": date(2026, 1, 10)}, 2), ({"since": date(2026, 1, 20)}, 3))
    for _ in range(2):
        assert [model.cost(MILLION, at(10) + off) for off in (-0.001, 0)] == [1, 2]
        assert [model.cost(MILLION, at(day)) for day in (25, 15, 5)] == [3, 2, 1]
    assert (model.label(at(15)), model.label(at(5))) == ("p/m@2026-01-10", "p/m@")
    only_later = dated(
        ({"since": date(2026, 1, 10)}, 2),
    )
    assert only_later.cost(MILLION, at(5)) == 2


def test_a_price_of_some_hours_of_the_day() -> None:
    """Off-peak, also over midnight; the end does not belong to it."""
    day = dated(({}, 1), ({"hours": (3600, 7200)}, 2))
    assert [day.cost(MILLION, at(3) + second) for second in (3599, 3600, 7199, 7200)] == [1, 2, 2, 1]
    night = dated(({}, 1), ({"hours": (79_200, 3600)}, 2))
    assert [night.cost(MILLION, at(3, hour)) for hour in (0, 1, 12, 21, 22, 23)] == [2, 1, 1, 1, 2, 2]


@given(
    st.lists(
        st.builds(
            Dated,
            rates=st.fixed_dictionaries({"input": st.integers(1, 9)}),
            since=st.none() | st.dates(date(2026, 1, 1), date(2026, 1, 9)),
            hours=st.none() | st.tuples(st.integers(0, 86_399), st.integers(0, 86_399)),
        ),
        min_size=1,
        max_size=4,
    ),
    st.lists(st.floats(at(1) - 90_000, at(10), allow_nan=False), min_size=1, max_size=8),
)
def test_the_window_of_a_price_is_never_too_wide(prices: list[Dated], moments: list[float]) -> None:
    """What is remembered for a time equals what is found afresh at each moment."""
    rows = Row(id="m", match=Equals("m"), prices=tuple(prices))
    kept = CatalogModel("p", rows)
    for moment in moments:
        assert kept.cost(MILLION, moment) == CatalogModel("p", rows).cost(MILLION, moment)


def test_variants_replace_single_rates() -> None:
    """The tier that the provider says it used; the first variant that holds counts for each rate; others stay."""
    row = Row(
        id="m",
        match=Equals("m"),
        prices=(Dated(rates={"input": 10, "output": 0, "cache_read": 5}),),
        variants=(
            Variant(when={"service_tier": "priority"}, rates={"input": 30}, since=date(2026, 1, 5)),
            Variant(when={"service_tier": "priority"}, rates={"input": 20, "cache_read": 6}),
            Variant(when={"service_tier": "priority", "speed": "fast"}, rates={"input": 99, "output": 7}),
        ),
    )
    model = CatalogModel("p", row)

    def cost(day: int, tier: str | None = None, speed: object = None, output: int = 0) -> int | None:
        native = {} if speed is None else {"speed": speed}
        usage = Usage(input=2_000_000, cache_read=1_000_000, output=output, service_tier=tier, native=native)
        return model.cost(usage, at(day))

    assert cost(1) == cost(1, "default") == cost(1, speed="fast") == 15
    assert (cost(1, "priority"), cost(9, "priority")) == (26, 36)
    assert cost(9, "priority", "fast", 1_000_000) == 43
    assert cost(9, "priority", [1]) == 36
    assert CatalogModel("p", row, variants=False).cost(Usage(input=1_000_000, service_tier="priority"), at(9)) == 10


def test_tiers_that_an_upstream_invents_do_not_fill_the_memory() -> None:
    model = CATALOG.find("openai", "gpt-5-mini", NOW)
    assert model is not None
    for n in range(1000):
        assert model.cost(Usage(input=1_000_000, service_tier=f"tier-{n}"), NOW) == model.cost(MILLION, NOW)
    assert len(model._window.sheets) <= 64


# config


def price(model: str, **more: Any) -> Price:
    return Price(model=model, **({"input": 10**9, "output": 4 * 10**9} | more))


def test_prices_of_the_config_go_first() -> None:
    """By provider or by the site's name, literally or by a pattern; the catalog itself stays as it was."""
    laid = CATALOG.overlay([price("openai/gpt-5-mini"), price("mine/*", cache_read=0)])
    usage = Usage(input=1_000_000, cache_read=500_000, output=1_000_000)
    found = laid.find("openai", "gpt-5-mini", NOW)
    assert found is not None and found.cost(usage, NOW) == 5 * 10**9
    assert found.context_window == 400_000 and found.label(NOW) == "openai/gpt-5-mini@config"
    mine = laid.find("compatible", "llama", NOW, site="mine")
    assert mine is not None and mine.cost(usage, NOW) == 4_500_000_000
    assert (mine.id, mine.context_window, mine.label(NOW)) == ("llama", None, "mine/llama@config")
    assert laid.find("compatible", "llama", NOW) is None
    before = CATALOG.find("openai", "gpt-5-mini", NOW)
    assert before is not None and before.cost(usage, NOW) != 5 * 10**9


def test_a_price_of_the_config_begins_at_its_day() -> None:
    """Until then the catalog's holds, or none; of two that began, the later day; of one day, the later in the file."""
    laid = CATALOG.overlay(
        [
            price("openai/gpt-5-mini", since=date(2026, 1, 10), input=2),
            price("openai/gpt-5-mini", since=date(2026, 1, 5), input=1),
            price("openai/gpt-5-mini", since=date(2026, 1, 10), input=3),
            price("mine/x", since=date(2026, 1, 5), input=1),
        ]
    )
    found = laid.find("openai", "gpt-5-mini", NOW)
    before = CATALOG.find("openai", "gpt-5-mini", NOW)
    assert found is not None and before is not None
    assert [found.cost(MILLION, at(day)) for day in (4, 5, 9, 10)] == [before.cost(MILLION, at(4)), 1, 1, 3]
    assert found.label(at(9)) == "openai/gpt-5-mini@config:2026-01-05"
    assert laid.find("mine", "x", at(4)) is None
    mine = laid.find("mine", "x", at(5))
    assert mine is not None and mine.cost(MILLION, at(5)) == 1 and mine.cost(MILLION, at(4)) is None


def test_searches_keep_the_catalogs_price() -> None:
    """The config states prices of tokens: those alone are replaced, tiers and cache included."""
    laid = CATALOG.overlay([price("anthropic/claude-3-7*", input=0, output=0)])
    found = laid.find("anthropic", "claude-3-7-sonnet-20250219", NOW)
    assert found is not None
    usage = Usage(input=10, cache_read=5, cache_write=5, output=1, requests={"web_search": 2})
    assert found.cost(usage, NOW) == 20_000_000


# shapes


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("gpt-5.2-20251211", "gpt-5.2-2025-12-11"),
        ("claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet-2024-10-22-v2:0"),
        ("x-20251341", "x-20251341"),
        ("x-20250230", "x-20250230"),
        ("x-2025121", "x-2025121"),
        ("x-202512111", "x-202512111"),
        ("x-19991231", "x-19991231"),
    ],
)
def test_compact_dates(name: str, written: str) -> None:
    assert dashed(name) == written


def test_every_rate_of_the_data_is_a_whole_number_of_a_known_kind() -> None:
    """No float ever; tiers ascend from 0; units that a Usage does not count are known ones."""
    uncounted = set()
    for provider in CATALOG._data.providers:
        for row in CATALOG._models(provider):
            for one in (*row.prices, *row.variants):
                assert isinstance(one, Timed)
                uncounted |= set(one.rates) - COUNTED
                for rate in one.rates.values():
                    tiers = rate if isinstance(rate, list) else [(0, rate)]
                    assert tiers[0][0] == 0 and sorted(tiers) == tiers
                    assert all(type(n) is int and n >= 0 for tier in tiers for n in tier)
    assert uncounted == {
        "audio_hours",
        "input_audio_hours",
        "input_document_kpages",
        "input_annotated_document_kpages",
        "input_mchars",
        "input_text_messages",
        "output_citation",
        "output_video",
    }
