"""`headgate import litellm`: each feature becomes ours, or is told with its line; the output passes `headgate check`.

features.yaml holds one small config a feature: what goes in, what comes out, what is told. whole.yaml is a config of
the size and mixture that people run; whole.out.yaml what it becomes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.cli import main
from headgate.cli.importers import emit
from headgate.cli.importers.litellm import convert
from headgate.cli.importers.litellm_routes import STRATEGIES
from headgate.cli.importers.litellm_upstreams import BARE, UPSTREAMS
from headgate.config.load import Loaded, parse_config
from headgate.config.provision import STRATEGIES as OURS
from headgate.config.provision import plan
from headgate.config.schema import Config
from headgate.config.switching import faults
from headgate.config.verify import verify
from headgate.errors import ConfigError
from headgate.model.route import Route
from headgate.providers.registry import all_providers

HERE = Path(__file__).parent / "litellm"
FEATURES = list(yaml.safe_load_all((HERE / "features.yaml").read_text()))


def variables(text: str) -> dict[str, str]:
    """A value for every variable that a config names without a default."""
    names = re.findall(r"\$\{(?:env:)?([^}:]+)\}", text)
    return {name: "https://x.example.com" if name.endswith(("BASE", "URL")) else "7" for name in names}


def converted(source: str) -> tuple[dict[str, Any], list[str], str]:
    config, notes = convert(source.encode(), Path("config.yaml"))
    text = emit.document(config, "Converted.", notes)
    return yaml.safe_load(text) or {}, emit.told(notes), text


def accepted(text: str, more: Mapping[str, str] = {}) -> Loaded:
    """The output as `check` takes it; fails with what is wrong."""
    environment = {**variables(text), **more}
    loaded = parse_config(text.encode(), Path("headgate.yaml"), environment)
    verify(loaded, environment)
    return loaded


def keys_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The variables that hold the keys of providers that the config gives none."""
    names: dict[str, str] = {}
    for name, section in (config.get("providers") or {}).items():
        provider = all_providers()[(section or {}).get("type", name)]
        for variable in provider.env[:1]:
            names[variable] = "k"
        for setting in provider.settings:
            names |= dict.fromkeys(setting.env[:1], "x")
    return names


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature["feature"])
def test_a_feature_becomes_ours_or_is_told(feature: dict[str, Any]) -> None:
    config, told, text = converted(feature["in"])
    expected = yaml.safe_load(feature["out"]) or {}
    assert {key: config.get(key) for key in expected} == expected
    lines = [line.strip() for line in told if line.startswith("  ")]
    assert [line for line in lines if line in feature["told"] or "without master_key" not in line] == feature["told"]
    accepted(text, keys_of(config))


def test_there_are_many_features() -> None:
    assert len(FEATURES) >= 40


def test_a_whole_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The output is what is kept beside it, its comments what is told on standard error, and it passes check."""
    output = tmp_path / "headgate.yaml"
    with pytest.raises(SystemExit) as caught:
        main(["import", "litellm", str(HERE / "whole.yaml"), "-o", str(output)])
    assert caught.value.code == 0
    out, err = capsys.readouterr()
    text = output.read_text()
    assert out == ""
    assert text == (HERE / "whole.out.yaml").read_text()
    comments = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#")]
    for line in err.strip().splitlines()[:-2]:
        assert line.strip() in comments
    assert os.stat(output).st_mode & 0o777 == 0o600
    config = accepted(text, {"MISTRAL_API_KEY": "k", "OPENAI_API_KEY": "k"}).config
    assert {target.provider for model in config.models.values() for target in model.targets} <= set(config.providers)


def test_every_line_that_is_told_is_a_line_of_the_source() -> None:
    lines = (HERE / "whole.yaml").read_text().splitlines()
    _, notes = convert((HERE / "whole.yaml").read_bytes(), Path("config.yaml"))
    for note in notes:
        key = re.split(r"[.\[\]]", note.path)[-1]
        if key and note.kind != "advice":
            assert key in lines[note.line - 1], note


@pytest.mark.parametrize("prefix", [prefix for prefix, upstream in UPSTREAMS.items() if upstream.type])
def test_every_prefix_leads_to_a_provider_that_can_be_built(prefix: str) -> None:
    for params in ("", ", api_base: 'http://localhost:9000/v1', api_key: k"):
        config, told, text = converted(
            f"model_list: [{{model_name: m, litellm_params: {{model: {prefix}/org/model{params}}}}}]"
            "\ngeneral_settings: {master_key: k}"
        )
        if prefix in ("custom_openai", "openai_like", "xinference", "litellm_proxy") and not params:
            continue  # these have no address of their own
        if any("ended its public service" in line for line in told) and not params:
            continue
        assert not any("Not converted" in line for line in told), told
        loaded = accepted(text, keys_of(config))
        assert len(loaded.config.models["m"].targets) == 1


@pytest.mark.parametrize("prefix", [prefix for prefix, upstream in UPSTREAMS.items() if upstream.type is None])
def test_what_is_not_served_says_why(prefix: str) -> None:
    config, told, text = converted(f"model_list:\n- model_name: m\n  litellm_params: {{model: {prefix}/x}}")
    assert "models" not in config
    assert f"line 3: model_list[].litellm_params.model: m: `{prefix}`: {UPSTREAMS[prefix].why}" in [
        t.strip() for t in told
    ]
    accepted(text)


def test_bare_names_lead_where_litellm_takes_them() -> None:
    assert {prefix for _, prefix in BARE} <= set(UPSTREAMS)
    config, _, _ = converted(
        "model_list:\n- {model_name: a, litellm_params: {model: gpt-4o}}\n"
        "- {model_name: b, litellm_params: {model: claude-3-haiku}}\n"
    )
    assert config["models"] == {"a": {"targets": ["openai/gpt-4o"]}, "b": {"targets": ["anthropic/claude-3-haiku"]}}


def test_what_is_told_shows_no_value() -> None:
    source = (HERE / "whole.yaml").read_text().replace("os.environ/", "sk-hunter2-")
    _, told, text = converted(source)
    assert "hunter2" in text, "what is converted is converted"
    assert "hunter2" not in "\n".join(told)


class TestCommand:
    def run(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["import", "litellm", *arguments])
        out, err = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, out, err

    def test_without_output_the_config_goes_to_standard_output(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source = tmp_path / "config.yaml"
        source.write_text("model_list: [{model_name: a, litellm_params: {model: groq/x, rpm: 3}}]")
        code, out, err = self.run(capsys, str(source))
        assert code == 0
        assert yaml.safe_load(out)["models"] == {"a": {"targets": ["groq/x"]}}
        assert "Not converted:\n  line 1: model_list[].litellm_params.rpm: " in err

    def test_an_output_is_not_replaced_unasked(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        source, output = tmp_path / "config.yaml", tmp_path / "headgate.yaml"
        source.write_text("model_list: []")
        output.write_text("mine")
        code, _, err = self.run(capsys, str(source), "-o", str(output))
        assert (code, output.read_text()) == (1, "mine")
        assert err.endswith(f"{output}: it exists already (give another name, or --force)\n")
        assert self.run(capsys, str(source), "-o", str(output), "--force")[0] == 0
        assert output.read_text().startswith("# Converted from LiteLLM's config.yaml")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("server: {port: 1}", "{file}: this is no config of LiteLLM's proxy (it has none of model_list, "),
            ("[1]", "{file}: this is no config of LiteLLM's proxy"),
            ("model_list: [", "{file}:2:1: not valid YAML: "),
        ],
    )
    def test_another_file_is_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
    ) -> None:
        source = tmp_path / "config.yaml"
        source.write_text(text + "\n")
        code, out, err = self.run(capsys, str(source))
        assert (code, out) == (1, "")
        assert err.startswith(said.format(file=source))


LEAVES = st.sampled_from(
    [
        "x",
        "os.environ/KEY",
        "openai/gpt-4o",
        "azure/x",
        "*",
        "openai/*",
        "1",
        "-1",
        "0.5",
        "1e-7",
        "true",
        "no",
        "a b",
        "${X}",
        "é\n#",
        "",
    ]
)
NODES = st.recursive(
    LEAVES | st.none(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(LEAVES, below, max_size=3),
    max_leaves=6,
)
WHOLE = yaml.safe_load((HERE / "whole.yaml").read_text())


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, below in items for place in _places(below, (*path, key)))]


PLACES = _places(WHOLE)[1:]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(PLACES), NODES), min_size=1, max_size=6))
def test_whatever_stands_there_the_output_is_read(
    changes: list[tuple[tuple[Any, ...], Any]],
) -> None:
    """A whole config with anything in place of some values is refused clearly, or becomes one that our reader takes."""
    source = yaml.safe_load((HERE / "whole.yaml").read_text())
    for path, value in changes:
        node = source
        try:
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    text = yaml.safe_dump(source, allow_unicode=True)
    try:
        config, notes = convert(text.encode(), Path("config.yaml"))
    except ConfigError:
        return
    out = emit.document(config, "Converted.", notes)
    try:
        loaded = parse_config(out.encode(), Path("headgate.yaml"), variables(out))
    except ConfigError as error:
        pytest.fail(f"{error}\n{out}")
    assert isinstance(loaded.config, Config)
    assert list(faults(loaded.config)) == [], out


class TestRoutes:
    """What is converted decides as it did there: the written file is loaded, and explained by the code that serves."""

    MODELS = """
model_list:
- {model_name: a, litellm_params: {model: groq/first, api_key: k, order: 1, weight: 3}}
- {model_name: a, litellm_params: {model: xai/first, api_key: k, order: 1, weight: 1}}
- {model_name: a, litellm_params: {model: groq/second, api_key: k, order: 2}}
- {model_name: long, litellm_params: {model: xai/long, api_key: k}}
- {model_name: other, litellm_params: {model: mistral/m, api_key: k}}
router_settings:
  enable_pre_call_checks: true
  num_retries: 1
  fallbacks: [{a: [other]}]
  context_window_fallbacks: [{a: [long]}]
"""

    def route(self, source: str, name: str, **named: str) -> Route:
        _, _, text = converted(source)
        return plan(accepted(text, named).config, named).aliases[name]

    def test_ranks_weights_and_kinds(self) -> None:
        route = self.route(self.MODELS, "a")
        assert [(target.name, target.rank, target.weight, target.purpose) for target in route.targets] == [
            ("groq/first", 0, 3, ""),
            ("xai/first", 0, 1, ""),
            ("groq/second", 1, None, ""),
            ("mistral/m", 2, None, ""),
            ("xai/long", 0, None, "context"),
        ]
        assert route.policy.retry.attempts == 2

    def test_explain_says_the_same(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        source, output, request = tmp_path / "l.yaml", tmp_path / "h.yaml", tmp_path / "r.json"
        source.write_text(self.MODELS)
        request.write_text(json.dumps({"model": "a", "messages": [{"role": "user", "content": "hi"}]}))
        for arguments in (
            ["import", "litellm", str(source), "-o", str(output)],
            ["check", str(output)],
            ["explain", str(request), "-c", str(output), "--json"],
        ):
            with pytest.raises(SystemExit) as caught:
                main(arguments)
            assert caught.value.code == 0, capsys.readouterr().err
            out = capsys.readouterr().out
        told = {f"{target['provider']}/{target['model']}": target for target in json.loads(out)["targets"]}
        (chosen,) = [name for name, target in told.items() if target["chosen"]]
        assert chosen in ("groq/first", "xai/first")
        assert "of 4" in told[chosen]["why"]
        assert told["groq/second"]["why"] == told["mistral/m"]["why"] == "a fallback"
        assert "context" in told["xai/long"]["why"]

    def test_keys_that_serve_all_the_same_share_by_weight(self) -> None:
        several = next(feature for feature in FEATURES if feature["feature"].startswith("several keys"))
        route = self.route(several["in"], "b", OPENAI_KEY_EAST="e", OPENAI_KEY_WEST="w")
        assert [(target.name, target.rank, target.weight) for target in route.targets] == [
            ("groq/x", 0, 2),
            ("openai/o3", 0, 1),
            ("openai#west/o3", 0, 3),
        ]

    @pytest.mark.parametrize("name", STRATEGIES)
    def test_every_strategy_is_ours(self, name: str) -> None:
        source = f"""
model_list:
- {{model_name: a, litellm_params: {{model: groq/x, api_key: k}}}}
- {{model_name: a, litellm_params: {{model: xai/x, api_key: k}}}}
router_settings: {{routing_strategy: {name}}}
"""
        route = self.route(source, "a")
        assert route.policy.strategy == OURS[STRATEGIES[name][0]]
        assert {target.rank for target in route.targets} == {0}
