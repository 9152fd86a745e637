"""`headgate check`: what only the rooms that obey a config can say of it, with the place in the file."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from headgate.cli import main
from headgate.config.published import json_schema

Check = Callable[..., tuple[int, list[str], list[str]]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Check a text as ./h.yaml with nothing else in the environment: exit code, lines out, lines of errors."""
    monkeypatch.chdir(tmp_path)

    def run(text: str, *arguments: str, **variables: str) -> tuple[int, list[str], list[str]]:
        for name in list(os.environ):
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        (tmp_path / "h.yaml").write_text(text)
        with pytest.raises(SystemExit) as caught:
            main(["check", *(arguments or ("h.yaml",))])
        out, err = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, out.splitlines(), err.splitlines()

    return run


def test_a_fine_config_is_summed_up(check: Check) -> None:
    text = """
discover: false
providers:
  openai: {api_key: "${KEY}"}
  my-vllm: {type: openai_compatible, base_url: "http://10.0.0.5:8000/v1", accepts: {images: false}}
models: {fast: {targets: [openai/gpt-4o-mini, my-vllm/llama], dialect: openai_chat}, any/*: {targets: [openai/*]}}
keys: [{name: ci, key: sk-1, models: [fast, "openai/*", "my-vllm/x", "*", any/x]}]
guards: [{name: id, pattern: 'EMP-\\d{6}'}, {name: long, pattern: 'x+', max_length: 20}]
prices: [{model: my-vllm/*, input: 0, output: 0}]
"""
    code, out, err = check(text, KEY="sk-secret")
    assert (code, err) == (0, [])
    assert out[0].startswith("h.yaml: fine; providers: ")
    assert "openai, my-vllm" in out[0]
    assert out[0].endswith("2 models, 1 key, 2 guards, 1 price")


def test_anothers_config_is_told_apart(check: Check) -> None:
    code, _, err = check("model_list:\n- model_name: a\n")
    assert code == 1
    assert err == [
        "h.yaml:1:1: this is a config of LiteLLM's proxy (convert it: headgate import litellm h.yaml -o headgate.yaml)"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "providers: {opneai: {}}",
            'h.yaml:1:13: providers.opneai: no provider "opneai" is known (did you mean "openai"?)',
        ),
        (
            "providers:\n  mine:\n    type: nowhere_at_all\n",
            'h.yaml:3:11: providers.mine.type: no provider "nowhere_at_all" is known '
            "(for any other server: type: openai_compatible, and its base_url)",
        ),
        (
            "providers: {openai: }",
            "h.yaml:1:13: providers.openai: no key for OpenAI (give api_key, or set OPENAI_API_KEY)",
        ),
        ("providers: {v: {type: openai_compatible}}", "h.yaml:1:13: providers.v: no base URL (give base_url)"),
        (
            "providers: {v: {type: openai_compatible, base_url: example.com}}",
            "h.yaml:1:52: providers.v.base_url: a base URL must begin with https:// or http:// (write https://example.com)",
        ),
        (
            "providers: {openai: {api_key: k, settings: {organisation: x}}}",
            'h.yaml:1:34: providers.openai.settings: unknown setting of OpenAI "organisation" (did you mean',
        ),
        (
            "providers: {openai: {api_key: k, accepts: {image: false}}}",
            'h.yaml:1:34: providers.openai.accepts: unknown field "image" (did you mean "images"?)',
        ),
        (
            "providers: {groq: {api_key: k, dialects: [gemini]}}",
            'h.yaml:1:32: providers.groq.dialects: unknown dialect of Groq "gemini"',
        ),
        (
            "providers: {openai: {api_key: k, ca_file: no.pem}}",
            "h.yaml:1:43: providers.openai.ca_file: there is no file no.pem",
        ),
        (
            "server: {tls: {cert_file: a, key_file: b}}",
            "h.yaml:1:10: server.tls: the certificate cannot be used: [Errno 2] No such file or directory",
        ),
        (
            "models: {a: {targets: [groq/llama]}}",
            'h.yaml:1:24: models.a.targets[0]: no provider "groq" is configured '
            "(add it under `providers`, or set GROQ_API_KEY)",
        ),
        (
            "providers: {openai: {api_key: k}}\nmodels: {a: {targets: [openai/x, opnai/y]}}",
            'h.yaml:2:34: models.a.targets[1]: no provider "opnai" is configured (did you mean "openai"?)',
        ),
        (
            "providers: {groq: {api_key: k}}\nmodels: {a: {targets: [groq/x], dialect: gemini}}",
            'h.yaml:2:42: models.a.dialect: "groq" does not speak gemini (it speaks openai_chat',
        ),
        (
            "guards: [{name: a, pattern: 'x+'}]",
            "h.yaml:1:29: guards[0].pattern: guard 'a': its expression has no longest match: bound its repetitions",
        ),
        (
            "guards: [{name: a, pattern: 'x?'}]",
            "h.yaml:1:29: guards[0].pattern: guard 'a': its expression matches the empty",
        ),
        ("guards: [{name: a, pattern: '(x'}]", "h.yaml:1:29: guards[0].pattern: guard 'a': "),
    ],
)
def test_what_cannot_be_obeyed_is_told_with_its_place(check: Check, text: str, said: str) -> None:
    code, out, err = check(text)
    assert (code, out) == (1, [])
    assert len(err) == 1
    assert err[0].startswith(said)


def test_all_of_it_is_told_at_once_in_the_order_of_the_file(check: Check) -> None:
    code, _, err = check(
        "providers:\n  openai:\n  nowhere: {}\nmodels:\n  a: {targets: [xx/y]}\n  b: {targets: [openai/fine]}\n"
        "guards:\n- {name: g, pattern: '.*'}\n"
    )
    assert code == 1
    assert [line.split(": ")[0] for line in err] == ["h.yaml:2:3", "h.yaml:3:3", "h.yaml:5:17", "h.yaml:8:22"]


def test_providers_of_the_environment_are_targets(check: Check) -> None:
    code, out, _ = check("models: {a: {targets: [groq/llama]}}", GROQ_API_KEY="k")
    assert code == 0
    assert "groq" in out[0]
    code, _, _ = check("discover: false\nmodels: {a: {targets: [groq/llama]}}", GROQ_API_KEY="k")
    assert code == 1


def test_one_that_lacks_a_setting_is_a_warning(check: Check) -> None:
    code, _, err = check("server: {port: 1}", CLOUDFLARE_API_TOKEN="k")
    assert code == 0
    assert len(err) == 1
    assert err[0].startswith("warning: h.yaml:1:1: cloudflare: ")


def test_patterns_that_match_nothing_are_a_warning(check: Check) -> None:
    code, _, err = check("keys: [{name: a, key: b, models: [gtp-4o]}]\nprices: [{model: opnai/*, input: 1, output: 1}]")
    assert code == 0
    assert err == [
        'warning: h.yaml:1:35: keys[0].models[0]: "gtp-4o" is no model that this gateway offers',
        'warning: h.yaml:2:18: prices[0].model: "opnai/*" is no model that this gateway offers',
    ]


def test_a_certificate_that_fits_is_fine(check: Check, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    text = "server: {tls: {cert_file: cert.pem, key_file: key.pem, client_ca_file: ca.pem}}"
    assert check(text)[0] == 0
    assert check(text.replace("key_file: key.pem", "key_file: ca.pem"))[0] == 1


def test_standard_input_and_no_file(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer = io.BytesIO(b"server: {prot: 1}")

    monkeypatch.setattr("sys.stdin", Input)
    code, _, err = check("", "-")
    assert code == 1
    assert err == ["<stdin>:1:10: server: unknown key `prot` (did you mean `port`?)"]
    with pytest.raises(SystemExit) as caught:
        main(["check"])
    assert caught.value.code == 0


def test_the_schema_is_printed(check: Check) -> None:
    code, out, _ = check("", "--schema")
    assert code == 0
    assert json.loads("\n".join(out)) == json.loads(json.dumps(json_schema()))


def test_no_secret_is_shown(check: Check) -> None:
    for text in (
        "providers: {openai: {api_key: '${S}', proxy: '${S}'}}",
        "providers: {v: {type: openai_compatible, base_url: 'https://u:${S}@host/'}}",
        "providers: {openai: {api_key: '${S}\x0b', headers: {a: '${S}é'}}}".replace("\x0b", "é"),
        "providers: {cloudflare: {api_key: '${S}', settings: {account: '${S}'}}}",
    ):
        code, out, err = check(text, S="hunter2hunter2")
        assert code == 1
        assert "hunter2" not in "\n".join(out + err)
