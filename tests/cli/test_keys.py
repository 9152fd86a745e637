"""`headgate keys`: what it makes, shows and revokes, on a data folder alone."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from headgate.cli import main
from headgate.stores import keys
from headgate.stores.sqlite import open_stores


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No config but what a test writes; the data folder is `data`."""
    monkeypatch.chdir(tmp_path)
    for name in ("HEADGATE_CONFIG", "HEADGATE_DATA", "HOST", "PORT"):
        monkeypatch.delenv(name, raising=False)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(("keys", *arguments))
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int | None)
    return caught.value.code or 0, out, err


def made(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The key, which stands alone on its line."""
    code, out, err = run(capsys, "create", *arguments)
    assert (code, err) == (0, "")
    (key,) = (line for line in out.splitlines() if line.startswith("sk-hg-"))
    return key


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    code, out, err = run(capsys, "list", *arguments, "--json")
    assert (code, err) == (0, "")
    found: list[dict[str, Any]] = json.loads(out)
    return found


def test_a_key_is_made_and_shown_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With a line to try it; what is kept is its digest."""
    code, out, err = run(capsys, "create", "--name", "web")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    key = lines[2]
    assert keys.well_formed(key)
    words = shlex.split("\n".join(lines[4:]))
    assert words[:2] == ["curl", "http://127.0.0.1:8080/v1/chat/completions"]
    assert f"Authorization: Bearer {key}" in words
    assert json.loads(words[-1]) == {"model": "demo/chat", "messages": [{"role": "user", "content": "Hello"}]}
    stores = open_stores(tmp_path / "data" / "headgate.db")
    (row,) = stores.keys.all()
    stores.close()
    pepper = keys.pepper(tmp_path / "data" / "pepper")
    assert bytes.fromhex(row.digest) == keys.digest(pepper, key)
    assert (row.name, row.tenant, row.models, row.scopes, row.expires) == ("web", "default", (), (), None)
    assert key[:-4] not in run(capsys, "list")[1] + run(capsys, "list", "--json")[1]


def test_all_that_a_key_may_be_told(capsys: pytest.CaptureFixture[str]) -> None:
    key = made(
        capsys,
        *("--name", "batch", "--tenant", "acme", "--models", "gpt-*,fast", "--models", "openai/*"),
        *("--scopes", "trail", "--scopes", "admin", "--expires", "2099-01-01", "--priority", "8"),
    )
    (row,) = listed(capsys)
    assert keys.well_formed(key) and row["hint"] == key[-4:]
    assert (row["name"], row["tenant"], row["models"]) == ("batch", "acme", ["gpt-*", "fast", "openai/*"])
    assert (row["scopes"], row["expires"], row["state"]) == (["trail", "admin"], "2099-01-01T00:00:00Z", "valid")
    assert row["priority"] == 8


@pytest.mark.parametrize(
    ("models", "asked"), [(["gpt-*", "fast"], "fast"), (["gpt-*"], None), ([], "demo/chat"), (["o'hara"], "o'hara")]
)
def test_the_line_to_try_it_asks_what_the_key_may(
    capsys: pytest.CaptureFixture[str], models: list[str], asked: str | None
) -> None:
    """Its first model without a star; with stars only, the list of models."""
    code, out, _ = run(capsys, "create", "--name", "web", *(word for name in models for word in ("--models", name)))
    words = shlex.split("\n".join(out.splitlines()[4:]))
    assert code == 0
    if asked is None:
        assert words[1].endswith("/v1/models")
    else:
        assert json.loads(words[-1])["model"] == asked


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--name", "x", "--expires", "2001-01-01"), "is past"),
        (("--name", "x", "--expires", "tomorrow"), "expected a date"),
        (("--name", "x", "--models", "a b"), "a model name"),
        (("--name", ""), "expected"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = run(capsys, "create", *arguments)
    assert (code, out) == (1, "") and said in err
    assert not Path("data/headgate.db").exists()


def test_a_name_is_given_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Until its key is revoked."""
    made(capsys, "--name", "web")
    code, out, err = run(capsys, "create", "--name", "web")
    assert (code, out, err) == (1, "", "there is a key 'web' already\n")
    run(capsys, "revoke", "web")
    made(capsys, "--name", "web")
    assert [row["state"] for row in listed(capsys)] == ["revoked", "valid"]


def test_keys_expire(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made(capsys, "--name", "web", "--expires", "1h")
    assert listed(capsys)[0]["state"] == "valid"
    from headgate import clock

    later = clock.wall() + 3601
    monkeypatch.setattr(clock, "wall", lambda: later)
    assert listed(capsys)[0]["state"] == "expired"


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "create", "--name", "web", "--models", "fast")[0] == 0
    given = listed(capsys)[0]
    code, out, _ = run(capsys, "list")
    head, row = out.splitlines()
    assert code == 0
    assert head.split() == [
        "NAME",
        "ID",
        "KEY",
        "TENANT",
        "MODELS",
        "SCOPES",
        "PRIORITY",
        "CREATED",
        "EXPIRES",
        "STATE",
    ]
    created = given["created"][:10]
    assert row.split() == ["web", given["id"], f"…{given['hint']}", "default", "fast", "-", "5", created, "-", "valid"]


@pytest.mark.parametrize("by", ["name", "id", "key"])
def test_a_key_is_revoked(capsys: pytest.CaptureFixture[str], by: str) -> None:
    """By name or id; and by the key itself, which is what people have at hand when it leaked."""
    key = made(capsys, "--name", "web")
    code, out, err = run(capsys, "revoke", key if by == "key" else listed(capsys)[0][by])
    assert code == 0 and out.startswith("revoked")
    assert ("list of processes" in err) == (by == "key")
    assert key not in out + err
    assert listed(capsys)[0]["state"] == "revoked"


def test_what_is_not_there_cannot_be_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    """With the nearest name; a key that nobody has is not repeated."""
    made(capsys, "--name", "batch-jobs")
    assert run(capsys, "revoke", "batch-job") == (
        1,
        "",
        "there is no valid key 'batch-job': did you mean 'batch-jobs'?\n",
    )
    unknown = keys.make(bytes(32))
    code, out, err = run(capsys, "revoke", unknown)
    assert code == 1 and unknown not in out + err and unknown[-4:] in err


def test_keys_of_the_config_belong_to_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Listed; neither made again nor revoked here. Its data folder is used, beginning at the file."""
    config = tmp_path / "conf" / "h.yaml"
    config.parent.mkdir()
    config.write_text("data: store\nkeys:\n- {name: app, key: a-key-of-our-own, tenant: acme}\n")
    made(capsys, "--name", "web", "-c", str(config))
    assert (config.parent / "store" / "headgate.db").exists()
    rows = listed(capsys, "-c", str(config))
    assert [(row["name"], row["state"]) for row in rows] == [("web", "valid"), ("app", "declared")]
    assert rows[1]["hint"] == "-own" and "a-key-of" not in json.dumps(rows)
    code, _, err = run(capsys, "create", "--name", "app", "-c", str(config))
    assert code == 1 and "declares a key 'app'" in err
    code, _, err = run(capsys, "revoke", "app", "-c", str(config))
    assert code == 1 and "remove it there" in err


def test_a_wrong_folder_is_told_not_made(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Listing or revoking somewhere else than the gateway works would look as if there were no keys."""
    for arguments in (("list",), ("revoke", "web")):
        code, out, err = run(capsys, *arguments, "--data", str(tmp_path / "typo"))
        assert (code, out) == (1, "") and "no gateway has kept anything" in err
    assert not (tmp_path / "typo").exists()


def test_a_config_that_is_not_there_is_no_data_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """--data and --config are one option: what is called like a config is one."""
    code, out, err = run(capsys, "create", "--name", "web", "--config", str(tmp_path / "typo.yaml"))
    assert (code, out) == (1, "") and "typo.yaml" in err
    assert not (tmp_path / "typo.yaml").exists()


def test_the_data_folder_of_the_environment(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADGATE_DATA", str(tmp_path / "other"))
    made(capsys, "--name", "web")
    assert (tmp_path / "other" / "headgate.db").exists()
    assert listed(capsys, "--data", str(tmp_path / "other"))[0]["name"] == "web"
