"""`headgate explain`: who would be asked, and of each other target why not; what is wrong with the question."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headgate.cli import main

CONFIG = """
discover: false
providers:
  openai: {api_key: k}
  mistral: {api_key: k, region: eu}
models:
  auto:
    targets: [openai/gpt-4o-mini, mistral/mistral-small-latest]
    fallbacks: [openai/gpt-4o]
    on_context: [openai/gpt-4.1]
    on_filter: [mistral/mistral-large-latest]
    deprecated: {sunset: 2099-01-01, successor: openai/gpt-5}
  seeing:
    targets: [{model: openai/gpt-3.5-turbo, abilities: {images: false}}, openai/gpt-4o]
  eu: {targets: [openai/gpt-4o, mistral/mistral-small-latest], regions: [eu]}
"""
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}


def explain(
    capsys: pytest.CaptureFixture[str], folder: Path, request: object, *more: str
) -> tuple[int, list[str], str]:
    """Exit code, the lines of the decision (no trail, no bodies), standard error."""
    (folder / "h.yaml").write_text(CONFIG + f"data: {folder / 'data'}\n")
    (folder / "r.json").write_text(request if isinstance(request, str) else json.dumps(request))
    with pytest.raises(SystemExit) as caught:
        main(["explain", str(folder / "r.json"), "-c", str(folder / "h.yaml"), *more])
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, [line for line in out.splitlines() if not line.startswith("   ")], err


def asked(model: str, *parts: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, *parts]}]}


def test_of_each_target_why_or_why_not(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, lines, _ = explain(capsys, tmp_path, asked("auto"))
    assert code == 0
    assert lines[-6:] == [
        "1. -> openai/gpt-4o-mini: next in order",
        "2. mistral/mistral-small-latest: a fallback",
        "3. openai/gpt-4o: a fallback",
        "4. openai/gpt-4.1: only after: context window exceeded",
        "5. mistral/mistral-large-latest: only after: content filter",
        "6. openai/gpt-5: only after: model gone",
    ]


def test_what_a_target_cannot_do_and_where_it_may_not_be(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _, lines, _ = explain(capsys, tmp_path, asked("seeing", IMAGE))
    assert lines[-2:] == [
        "1. openai/gpt-3.5-turbo: takes no images",
        "2. -> openai/gpt-4o: the only one that can take it",
    ]
    _, lines, _ = explain(capsys, tmp_path, asked("eu"))
    assert "left_out=['openai/gpt-4o (region unknown)']" in "".join(lines)
    assert lines[-1] == "1. -> mistral/mistral-small-latest: the only target"


def test_warnings_are_no_part_of_the_explanation(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider with half of its settings in the environment is skipped, and said so on standard error."""
    monkeypatch.setenv("DATABRICKS_TOKEN", "k")
    (tmp_path / "h.yaml").write_text(f"data: {tmp_path / 'data'}\n")
    (tmp_path / "r.json").write_text(json.dumps(asked("demo/chat")))
    try:
        with pytest.raises(SystemExit):
            main(["explain", str(tmp_path / "r.json"), "-c", str(tmp_path / "h.yaml"), "--json"])
    finally:
        out, err = capsys.readouterr()
    assert json.loads(out)["verdict"] == "allowed"
    assert "provider skipped" in err


@pytest.mark.parametrize(
    ("request_", "more", "said"),
    [
        ("[1]", (), "{file}: a request is a JSON object, as an SDK would send it\n"),
        ("{", (), "{file}: not valid JSON: "),
        ("[" * 100_000, (), "{file}: not valid JSON: "),
        (asked("auto"), ("--header", "x-team"), "'x-team' is no header: write name: value\n"),
        (asked("auto"), ("--key", "nobody"), "there is no valid key 'nobody'; headgate keys list shows them\n"),
        (asked("auto"), ("--path", "/v1/nope"), "/v1/nope does not generate: there is nothing to explain\n"),
    ],
)
def test_what_is_wrong_with_the_question(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, request_: object, more: tuple[str, ...], said: str
) -> None:
    code, lines, err = explain(capsys, tmp_path, request_, *more)
    assert (code, lines) == (1, [])
    assert err.startswith(said.format(file=tmp_path / "r.json"))
