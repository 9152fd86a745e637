"""Rules, tiers, canaries and regions that cannot work are refused before they serve, each at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate.config.load import ConfigErrors, parse_config
from headgate.config.provision import plan
from headgate.config.verify import verify
from headgate.errors import ConfigError

HEAD = "discover: false\n"


def model(name: str, *lines: str, targets: str = "[demo/m]") -> str:
    return f"  {name}:\n    targets: {targets}\n" + "".join(f"    {line}\n" for line in lines)


def told(models: str, rest: str = "") -> tuple[list[str], list[str]]:
    """(errors, warnings) of `headgate check`. What it refuses, provisioning refuses too."""
    loaded = parse_config(f"{HEAD}{rest}models:\n{models}".encode(), Path("h.yaml"), {})
    try:
        _, warnings = verify(loaded, {})
    except ConfigErrors as errors:
        with pytest.raises(ConfigError):
            plan(loaded.config, {})
        return [str(error) for error in errors.errors], []
    plan(loaded.config, {})
    return [], [str(warning) for warning in warnings]


@pytest.mark.parametrize(
    ("models", "error"),
    [
        (
            model("a", "strategy: cheapest", targets="[{model: demo/m, weight: 3}, demo/n]"),
            "h.yaml:4:39: models.a.targets[0].weight: the strategy `cheapest` knows no weights"
            " (leave it out, or take one of least_busy, weighted)",
        ),
        (model("a", "strategy: order", targets="[{model: demo/m, weight: 3}]"), "`order` knows no weights"),
        (
            model("a", "retry: {attempts: 5, most: 2}"),
            "h.yaml:5:23: models.a.retry.attempts: one target is asked 5 times, and all of them together 2 times"
            " (raise `most`, or lower `attempts`)",
        ),
        (
            model("a", "fallbacks: [demo/n, dmeo/n]"),
            'h.yaml:5:25: models.a.fallbacks[1]: no provider "dmeo" is configured (did you mean "demo"?)',
        ),
        (model("a", "on_context: [nowhere/n]"), 'models.a.on_context[0]: no provider "nowhere"'),
        (model("a", "on_filter: [{model: nowhere/n}]"), 'models.a.on_filter[0]: no provider "nowhere"'),
        (
            model("a", "deprecated: {sunset: 2027-01-01, successor: nowhere/n}"),
            'models.a.deprecated.successor: no provider "nowhere"',
        ),
        (
            model("a", 'rules: [{when: "true", use: nobody}]'),
            'h.yaml:5:33: models.a.rules[0].use: "nobody" is no model that this gateway offers'
            ' (name a model of this config, or "provider/model")',
        ),
        (
            model("chat", "canary: {use: chta, percent: 5}"),
            'models.chat.canary.use: "chta" is no model that this gateway offers (did you mean "chat"?)',
        ),
        (model("a", "shadow: {use: nobody, percent: 5}"), 'models.a.shadow.use: "nobody" is no model'),
        (model("a", "shadow: {use: a, percent: 5}"), "models.a.shadow.use: it would be its own shadow"),
        (model("a", "cascade: {judge: {use: nobody, ask: x}}"), 'models.a.cascade.judge.use: "nobody" is no model'),
        (
            model("a", "cascade: {judge: {use: a, ask: x}}"),
            'models.a.cascade.judge.use: what it says would be judged itself: "a" has a judge',
        ),
        (
            model("a", "cascade: {judge: {use: b, ask: x}}")
            + model("b", "canary: {use: c, percent: 5}")
            + model("c", "cascade: {judge: {use: demo/m, ask: x}}"),
            'models.a.cascade.judge.use: what it says would be judged itself: "c" has a judge',
        ),
        (model("a", "tiers: [{use: nobody/m, up_to: 5}]"), 'models.a.tiers[0].use: "nobody/m" is no model'),
        (model("a", 'rules: [{when: "true"}]'), "models.a.rules[0]: this rule has neither `use` nor `refuse`"),
        (
            model("a", 'rules: [{when: "true", use: demo/x, refuse: no}]'),
            "models.a.rules[0]: this rule has both `use` and `refuse`",
        ),
        (
            model(
                "a",
                "rules:",
                '  - {when: "request.turns > 1", use: demo/x}',
                '  - {when: "request.turn > 1", use: demo/x}',
            ),
            "h.yaml:7:16: models.a.rules[1].when: there is no word `request.turn` at character 1 (did you mean `request.turns`?)",
        ),
        (
            model("a", "tiers: [{use: demo/x, up_to: 30}, {use: demo/y, up_to: 30}]"),
            "models.a.tiers[1].up_to: 30 is not more than the 30 of the tier before",
        ),
        (model("a", "canary: {use: a, percent: 5}"), "models.a.canary.use: requests would go in a circle: a > a"),
        (
            model("a", "canary: {use: b, percent: 5}")
            + model("b", "tiers: [{use: c, up_to: 5}]")
            + model("c", 'rules: [{when: "true", use: a}]'),
            "models.c.rules[0].use: requests would go in a circle: a > b > c > a",
        ),
        (
            model('"demo/*"', 'rules: [{when: "true", use: demo/small}]', targets='["demo/*"]'),
            "requests would go in a circle: demo/* > demo/*",
        ),
        (
            "".join(model(f"m{n}", f"canary: {{use: m{n + 1}, percent: 5}}") for n in range(5)) + model("m5"),
            "models.m0: requests would be sent on more than 4 times",
        ),
    ],
)
def test_what_cannot_work_is_refused_at_its_place(models: str, error: str) -> None:
    errors, _ = told(models)
    assert len(errors) == 1, errors
    assert error in errors[0]


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        (
            "providers: {o: {type: openai, api_key: k, breaker: {open_for: 2m}}}\n",
            "providers.o.breaker.open_most: 60 s at most is less than the 120 s of `open_for` (raise it)",
        ),
        ("retry: {base: 9s}\n", "retry.cap: 8 s at most is less than the 9 s of the first pause (`base`) (raise it)"),
    ],
)
def test_a_most_below_its_first_is_refused(rest: str, error: str) -> None:
    errors, _ = told(model("a"), rest)
    assert [one.partition(": ")[2] for one in errors] == [error], "once"
    errors, _ = told(model("a", "retry: {base: 2s, cap: 1s}"))
    assert "models.a.retry.cap: 1 s at most" in errors[0]


def test_a_key_and_its_tenant_without_a_common_region_are_refused() -> None:
    rest = "keys: [{name: k, key: sk-hg-1, tenant: t, regions: [eu]}]\ntenants: {t: {regions: [us]}}\n"
    errors, _ = told(model("a"), rest)
    assert 'keys[0].regions: its tenant "t" may use us: nothing is in both' in errors[0]


def test_regions_that_nothing_is_in_are_a_warning() -> None:
    rest = "keys: [{name: k, key: sk-hg-1, regions: [eu, mars]}]\ntenants: {t: {regions: [moon]}}\n"
    _, warnings = told(model("a", "regions: [eu, us]", targets="[{model: demo/m, region: eu}]"), rest)
    assert [warning.partition(": ")[2] for warning in warnings] == [
        'models.a.regions[1]: no target of it is in "us"',
        'keys[0].regions[1]: no target and no provider is in "mars"',
        'tenants.t.regions[0]: no target and no provider is in "moon"',
    ]


SERVER = "type: openai_compatible, base_url: http://127.0.0.1:9/v1, api_key: x"
TWO = f"providers: {{here: {{{SERVER}, region: eu}}, there: {{{SERVER}, region: us}}}}\n"


@pytest.mark.parametrize(
    ("use", "reached"),
    [
        ("there/m", False),
        ("here/m", True),
        ("demo/m", False),
        ("far", False),
        ("near", True),
        ("bound", False),
        ("led", True),
        ("led-away", False),
        ("far/any", False),
    ],
)
def test_a_shadow_or_a_judge_out_of_reach_of_the_models_regions_is_a_warning(use: str, reached: bool) -> None:
    """No request of the model could go there. Rules and canaries of the shadow's may lead it into reach, its own regions out of it."""
    others = (
        model("far", targets="[there/m]")
        + model("near", "fallbacks: [here/m]", targets="[there/m]")
        + model("bound", "regions: [us]", targets="[there/m, here/m]")
        + model("led", "canary: {use: near, percent: 1}", targets="[there/m]")
        + model("led-away", "canary: {use: there/n, percent: 1}", targets="[there/m]")
        + model('"far/*"', targets='["there/*"]')
    )
    for aside in (f"shadow: {{use: {use}, percent: 1}}", f"cascade: {{judge: {{use: {use}, ask: Is it good?}}}}"):
        assert told(model("a", aside, targets="[here/m]") + others, TWO) == ([], []), "it is free to go anywhere"
        errors, warnings = told(model("a", "regions: [eu]", aside, targets="[here/m, here/n]") + others, TWO)
        assert errors == []
        if reached:
            assert warnings == []
        else:
            (warning,) = warnings
            assert f'requests of this model stay in eu, and "{use}" has no target there' in warning


def test_what_works_is_fine() -> None:
    models = (
        model("auto", 'rules: [{when: "request.turns > 9", refuse: too long}, {when: "request.tools", use: big}]')
        + model("big", "tiers: [{use: demo/x, up_to: 5}, {use: wild/y, up_to: 50}]", "canary: {use: new, percent: 0.5}")
        + model("new")
        + model('"wild/*"', targets='["demo/*"]')
        + "".join(model(f"m{n}", f"canary: {{use: m{n + 1}, percent: 5}}") for n in range(4))
        + model("m4")
    )
    assert told(models) == ([], [])
