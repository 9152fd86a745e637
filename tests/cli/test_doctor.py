"""`headgate doctor`: what is tried by which terms, what is told of it, and the exit code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from headgate.cli import doctor, main
from headgate.faults.scenarios import EXPECTED, SCENARIOS

Doctor = Callable[..., tuple[int, str, str]]

QUICK = """
discover: false
providers:
  one: {type: openai_compatible, base_url: "http://127.0.0.1:9", timeouts: {headers: 300ms, idle: 90s}}
  other: {type: openai_compatible, base_url: "http://127.0.0.1:9", timeouts: {headers: 700s}}
models:
  fast: {targets: [one/m], retry: {attempts: 2, most_wait: 0ms}}
"""


@pytest.fixture
def ask_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Exit code, what is printed, what is said on standard error. Nothing is left in the folder."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        monkeypatch.delenv(name)

    def run(*arguments: str, config: str = "") -> tuple[int, str, str]:
        if config:
            (tmp_path / "h.yaml").write_text(config)
            arguments = (*arguments, "--config", "h.yaml")
        before = sorted(tmp_path.iterdir())
        with pytest.raises(SystemExit) as caught:
            main(["doctor", *arguments])
        assert sorted(tmp_path.iterdir()) == before
        out, err = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, out, err

    return run


def test_what_passes_is_a_table_and_exit_code_0(ask_doctor: Doctor) -> None:
    code, out, _ = ask_doctor("--only", "crlf.failover-stream", "--only", "status-503.failover-whole")
    assert code == 0, out
    lines = out.splitlines()
    assert lines[0].split() == ["SCENARIO", "THE", "CALLER", "SAW", "SECONDS", "REQUESTS"]
    assert lines[1].split()[:4] == ["crlf.failover-stream", "pass", "200", "answer"]
    found = next(line for line in lines if line.startswith("status-503.failover-whole"))
    assert "the healthy one 1" in found
    assert lines[-1] == "5 of 5 passed", "one in each dialect, and one"


def test_the_terms_of_a_model_are_tried_and_what_is_shortened_is_said(ask_doctor: Doctor) -> None:
    code, out, err = ask_doctor("--only", "silent.failover-stream", "--model", "fast", "--json", config=QUICK)
    told = json.loads(out)
    assert code == 0, told
    assert told["notes"] == [
        "timeouts.connect is 10 s in the config and 5 s in this run",
        "timeouts.first_token is 600 s in the config and 2.5 s in this run",
        "timeouts.idle is 90 s in the config and 2 s in this run",
    ]
    (scenario,) = told["scenarios"]
    assert scenario["passed"]
    assert 0.3 <= scenario["caller"]["seconds"] < 1.9, "300 ms an attempt, not the 2 s of a run without a config"
    assert scenario["attempts"][-1]["outcome"] == "done"
    assert scenario["attempts"][0]["error"] == "upstream_timeout"
    assert "note: timeouts.idle" in err


def test_what_fails_is_told_with_the_reason_and_exit_code_1(
    ask_doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that does not do as the table says stands for a gateway that does not."""
    name = "status-503.alone-whole"
    wrong = replace(SCENARIOS[name], expected=EXPECTED["healthy"])
    monkeypatch.setattr(doctor, "SCENARIOS", {name: wrong})
    code, out, _ = ask_doctor()
    assert code == 1
    assert out.splitlines()[1].split()[:2] == [name, "FAIL"]
    assert "told the error 'server_error' (status 503) where an answer was to be had" in out
    assert out.splitlines()[-1] == "0 of 1 passed"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "silnt"), 'did you mean "silent"?'),
        (("--model", "slow"), "fast"),
    ],
)
def test_what_cannot_be_tried_is_told_with_a_hint(arguments: tuple[str, ...], said: str, ask_doctor: Doctor) -> None:
    code, out, err = ask_doctor(*arguments, config=QUICK)
    assert (code, out) == (1, "")
    assert said in err
