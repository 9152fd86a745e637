"""From a file to a Config: every section's values, and every error with place, path and suggestion, all at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.config.environment import environment
from headgate.config.load import ConfigErrors, Loaded, find, load, load_marked, parse_config
from headgate.config.routes import Target
from headgate.config.schema import Config
from headgate.errors import ConfigError

WHOLE = """\
server:
  host: 0.0.0.0
  port: "${LISTEN}"
  tls: {cert_file: tls/cert.pem, key_file: /etc/key.pem, client_ca_file: "${CA:-ca.pem}"}
  trusted_proxies: [10.0.0.0/8, "::1", 192.168.1.7]
  max_body: 64MiB
  max_header_bytes: 65536
  header_timeout: 250ms
  body_timeout: 1h30m
  drain: 0.5s
  explain: "${EXPLAIN}"
data: ./state
discover: false
providers:
  openai: {api_key: "${OPENAI_API_KEY}"}
  anthropic:
  azure-eu:
    type: azure_openai
    base_url: https://eu.example.com
    settings: {api_version: 2024-10-21, retries: 2, on: no}
    dialects: [openai_chat, openai_responses]
    headers: {x-team: "${TEAM:-core}", x-count: 7}
    accepts: {images: false, drop: [seed, user], max_tokens_field: max_tokens, tool_id: "no"}
    proxy: ""
    ca_file: ca.pem
    verify: false
    timeouts: {connect: 1s, headers: 2s, first_token: 3s, idle: 4s, total: 1h}
models:
  gpt-4.1:
    targets: [openai/gpt-4.1, {model: azure-eu/deployments/gpt, weight: 3}]
    strict: true
    answer_model: alias
    dialect: openai_chat
  "yes": {targets: [openai/no]}
  any/*: {targets: [openai/*, azure-eu/x-*-y]}
keys:
  - {name: ci, key: "${CI_KEY}", tenant: team-7, models: ["gpt-4.1", "openai/*", "*"], scopes: [trail],
     expires: 2027-01-01}
  - {name: me, key: sk-local, expires: "2027-01-01T12:00:00+02:00"}
guards:
  - {name: employee-id, pattern: 'EMP-\\d{6}$', mode: warn, action: block, places: [answer], max_length: 64,
     replacement: "", ignore_case: true}
prices: [{model: azure-eu/*, input: 0.1, output: "12.000000001", cache_read: 3, since: 2026-01-31}]
telemetry: {log: {level: debug, format: console, requests: false}, metrics: {enabled: false, public: true}}
"""
VARIABLES = {"LISTEN": "9000", "EXPLAIN": "false", "OPENAI_API_KEY": "sk-secret-1", "CI_KEY": "sk-secret-2"}


def read(text: str, variables: Mapping[str, str] = VARIABLES, file: str = "/etc/headgate/headgate.yaml") -> Loaded:
    return parse_config(text.encode(), Path(file), variables)


def errors(text: str, variables: Mapping[str, str] = VARIABLES) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        read(text, variables, "h.yaml")
    return [str(error) for error in caught.value.errors]


def test_every_section_is_obeyed() -> None:
    config = read(WHOLE).config
    server = config.server
    assert (server.host, server.port, server.explain) == ("0.0.0.0", 9000, False)
    assert server.tls is not None
    assert (server.tls.cert_file, server.tls.key_file) == ("/etc/headgate/tls/cert.pem", "/etc/key.pem")
    assert server.tls.client_ca_file == "/etc/headgate/ca.pem"
    assert server.trusted_proxies == (IPv4Network("10.0.0.0/8"), IPv6Network("::1"), IPv4Network("192.168.1.7"))
    assert (server.max_body, server.max_header_bytes) == (67108864, 65536)
    assert (server.header_timeout, server.body_timeout, server.drain) == (0.25, 5400.0, 0.5)
    assert config.data == Path("/etc/headgate/state")
    assert config.discover is False
    assert {name: p.type for name, p in config.providers.items()} == {
        "openai": "openai",
        "anthropic": "anthropic",
        "azure-eu": "azure_openai",
    }
    azure = config.providers["azure-eu"]
    assert config.providers["openai"].api_key == "sk-secret-1"
    assert config.providers["anthropic"].api_key is None, "by the provider's own variable"
    assert azure.settings == {"api_version": "2024-10-21", "retries": "2", "on": "no"}
    assert azure.headers == {"x-team": "core", "x-count": "7"}
    assert azure.accepts == {
        "images": False,
        "drop": ["seed", "user"],
        "max_tokens_field": "max_tokens",
        "tool_id": "no",
    }
    assert (azure.proxy, azure.verify, azure.ca_file) == ("", False, "/etc/headgate/ca.pem")
    times = azure.timeouts
    assert (times.connect, times.headers, times.first_token, times.idle, times.total) == (1, 2, 3, 4, 3600)
    model = config.models["gpt-4.1"]
    assert model.targets == (Target(model="openai/gpt-4.1"), Target(model="azure-eu/deployments/gpt", weight=3))
    assert [(t.provider, t.upstream_model) for t in model.targets] == [
        ("openai", "gpt-4.1"),
        ("azure-eu", "deployments/gpt"),
    ]
    assert (model.strict, model.answer_model, model.dialect) == (True, "alias", "openai_chat")
    assert "yes" in config.models
    first, second = config.keys
    assert (first.key, first.tenant, first.models) == ("sk-secret-2", "team-7", ("gpt-4.1", "openai/*", "*"))
    assert (first.expires, second.expires) == (1798761600.0, 1798761600.0 + 10 * 3600)
    guard = config.guards[0]
    assert (guard.pattern, guard.mode, guard.action, guard.places) == (r"EMP-\d{6}$", "warn", "block", ("answer",))
    assert (guard.replacement, guard.max_length, guard.ignore_case) == ("", 64, True)
    price = config.prices[0]
    assert (price.input, price.output, price.cache_read, price.cache_write) == (
        100_000_000,
        12_000_000_001,
        3_000_000_000,
        None,
    ), "nano-dollars, exact"
    assert price.since == date(2026, 1, 31)
    assert (config.telemetry.log.level, config.telemetry.log.requests) == ("debug", False)
    assert config.telemetry.metrics.public is True


def test_a_text_is_what_is_written_whatever_it_looks_like() -> None:
    config = read("keys: [{name: 007, key: 1e3, tenant: no}]\nguards: [{name: 2026-01-01, pattern: true}]").config
    assert [(key.name, key.key, key.tenant) for key in config.keys] == [("007", "1e3", "no")]
    assert [(guard.name, guard.pattern) for guard in config.guards] == [("2026-01-01", "true")]


def test_nothing_given_is_everything_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(None, {}) == Config()
    for text in ("", "# nothing\n", "server:\nproviders:\nkeys: ~\ntelemetry: {log: null}\n"):
        assert read(text, {}).config == Config()


def transcripts() -> list[tuple[str, list[str]]]:
    """refusals.txt: configs parted by blank lines, what is said of them behind "! "."""
    blocks = (Path(__file__).parent / "refusals.txt").read_text().rstrip().split("\n\n")
    lines = [block.split("\n") for block in blocks]
    return [
        (
            "\n".join(line for line in block if line[:2] != "! "),
            [f"h.yaml:{line[2:]}" for line in block if line[:2] == "! "],
        )
        for block in lines
    ]


@pytest.mark.parametrize(("text", "said"), transcripts(), ids=lambda part: part if isinstance(part, str) else "")
def test_refusals(text: str, said: list[str]) -> None:
    assert errors(text) == said


def test_all_errors_are_told_together_in_the_order_of_the_file() -> None:
    said = errors(
        "server: {port: x, hots: y}\nproviders:\n  openai: {api_key: '${GONE}'}\nkeys: 1\nmodels: {a: {targets: [b]}}\n"
    )
    assert [line.split(": ")[0] for line in said] == [
        "h.yaml:1:16",
        "h.yaml:1:19",
        "h.yaml:3:21",
        "h.yaml:4:7",
        "h.yaml:5:24",
    ]


def test_broken_yaml_is_one_error_with_its_place() -> None:
    assert errors("providers:\n  openai: {api_key: ${KEY}}\n") == [
        "h.yaml:2:22: not valid YAML: while parsing a flow mapping did not find expected ',' or '}' "
        '(between { } quote it: "${VAR}")'
    ]


SECRET = "hunter2hunter2"


@given(st.data())
def test_no_error_and_no_repr_shows_a_secret(data: st.DataObject) -> None:
    """A secret by variable may stand in place of any value of a whole config: what comes out never shows it."""
    lines = WHOLE.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    words = lines[at].split(": ")
    words[data.draw(st.integers(0, len(words) - 1))] = data.draw(
        st.sampled_from(["'${S}'", "[ '${S}' ]", "{a: '${S}'}", "'x ${S} y'", "'${file:${S}}'"])
    )
    lines[at] = ": ".join(words)
    try:
        config = read("\n".join(lines), {**VARIABLES, "S": SECRET}).config
    except ConfigErrors as error:
        shown = str(error).replace(f"/etc/headgate/{SECRET} cannot be read", "")
        assert SECRET not in shown
    else:
        assert "sk-secret" not in repr(config)


def test_secrets_hide_themselves() -> None:
    shown = repr(read(WHOLE, {**VARIABLES, "TEAM": "team-secret"}).config)
    for secret in ("sk-secret-1", "sk-secret-2", "sk-local", "team-secret"):
        assert secret not in shown


class TestWhere:
    def test_a_path_has_the_place_of_its_value_or_of_what_is_around_it(self) -> None:
        loaded = read(WHOLE, file="h.yaml")
        assert loaded.where("providers.azure-eu.base_url") == "h.yaml:19:15"
        assert loaded.where("providers.azure-eu.settings.region") == "h.yaml:20:5"
        assert loaded.where("providers.openai.base_url") == "h.yaml:15:3"
        assert loaded.where("models.gpt-4.1.targets[1].model") == "h.yaml:30:39"
        assert loaded.where("guards[0].pattern") == "h.yaml:41:34"
        assert loaded.where("nowhere") == "h.yaml:1:1"

    def test_an_error_about_a_path_reads_like_the_others(self) -> None:
        assert str(read(WHOLE, file="h.yaml").error("guards[0].pattern", "has no bound", "give max_length")) == (
            "h.yaml:41:34: guards[0].pattern: has no bound (give max_length)"
        )
        assert str(Loaded(config=Config()).error("providers.openai", "no key")) == "providers.openai: no key"


class TestFinding:
    def test_the_named_file_goes_before_the_variable_and_that_before_the_usual_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert find(None, {}) is None
        (tmp_path / "headgate.yaml").write_text("server: {port: 1}")
        (tmp_path / "other.yaml").write_text("server: {port: 2}")
        (tmp_path / "named.yaml").write_text("server: {port: 3}")
        variables = {"HEADGATE_CONFIG": "other.yaml"}
        assert load(None, {}).server.port == 1
        assert load(None, variables).server.port == 2
        assert load(Path("named.yaml"), variables).server.port == 3

    def test_a_named_file_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as named:
            load(tmp_path / "gone.yaml", {})
        assert str(named.value) == f"{tmp_path}/gone.yaml: the config cannot be read: No such file or directory"
        with pytest.raises(ConfigError) as by_variable:
            load(None, {"HEADGATE_CONFIG": str(tmp_path)})
        assert (
            str(by_variable.value)
            == f"{tmp_path}: the config cannot be read: Is a directory (named by HEADGATE_CONFIG)"
        )

    def test_the_environment_fills_what_the_file_leaves_open(self, tmp_path: Path) -> None:
        file = tmp_path / "headgate.yaml"
        variables = {"HOST": "::", "PORT": "80", "HEADGATE_DATA": "/var/lib/headgate"}
        file.write_text("server: {drain: 1s}")
        config = load(file, variables)
        assert (config.server.host, config.server.port, config.data) == ("::", 80, Path("/var/lib/headgate"))
        file.write_text("server: {port: 1, host: localhost}\ndata: state")
        config = load_marked(file, variables).config
        assert (config.server.host, config.server.port, config.data) == ("localhost", 1, tmp_path / "state")

    def test_a_variable_that_cannot_be_obeyed_is_an_error(self) -> None:
        for port in ("http", "-1", "65536", "８０"):
            with pytest.raises(ConfigErrors, match="PORT: not a TCP port"):
                read("", {"PORT": port})
        assert read("", {"PORT": " "}).config.server.port == 8080


def test_the_snapshot_of_the_environment_does_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_TEST", "1")
    snapshot = environment()
    monkeypatch.setenv("HEADGATE_TEST", "2")
    assert snapshot["HEADGATE_TEST"] == "1"
    with pytest.raises(TypeError):
        snapshot["HEADGATE_TEST"] = "3"  # type: ignore[index]
