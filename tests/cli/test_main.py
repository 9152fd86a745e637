"""The command line: what it says, with which exit code, and what it imports to say so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headgate import __version__
from headgate.cli import COMMANDS, main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int | None)
    return caught.value.code or 0, out, err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version") == (0, f"headgate {__version__}\n", "")


@pytest.mark.parametrize("arguments", [("--help",), ("-h",)])
def test_help_lists_every_command(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "")
    for name, command in COMMANDS.items():
        assert f"  {name}" in out
        assert command.help in out


def test_no_command_is_a_wrong_use_that_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    assert code == 2
    assert "Commands:" in out + err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chek",), "No such command 'chek'. Did you mean 'check'?"),
        (("check", "--shema"), "No such option: --shema"),
        (("serve", "--port", "x"), "argument --port: expected a number"),
        (("serve", "--prot", "1"), "unrecognized arguments: --prot"),
        (("serve", "--port", "70000"), "expected a number from 0 to 65535"),
        (("import", "litellm"), "Missing argument"),
    ],
)
def test_a_wrong_use_is_told_and_exits_with_two(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_an_expected_error_is_a_line_and_exits_with_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    gone = tmp_path / "gone.yaml"
    assert run(capsys, "check", str(gone)) == (1, "", f"{gone}: the config cannot be read: No such file or directory\n")
    assert run(capsys, "import", "litellm", str(gone)) == (1, "", f"{gone}: No such file or directory\n")
    assert run(capsys, "serve", "--config", str(gone))[0] == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, out, err = run(capsys, name, "--help")
    assert (code, err) == (0, "")
    assert f"headgate {name}" in out


def modules(*arguments: str) -> set[str]:
    """What a process has imported when it leaves."""
    script = (
        "import sys\nfrom headgate.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n"
        "    print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_asking_for_help_imports_neither_the_gateway_nor_a_parser_of_config() -> None:
    for arguments in (("--help",), ("--version",), ("serve", "--help")):
        imported = modules(*arguments)
        assert not {"uvicorn", "headgate.app", "yaml", "rich", "headgate.cli.check"} & imported, arguments


def test_what_serves_carries_no_command_line_library() -> None:
    assert not {"typer", "pydantic"} & modules("serve", "--config", "/nowhere/headgate.yaml")


def test_a_config_is_read_without_a_validation_library(tmp_path: Path) -> None:
    config = tmp_path / "headgate.yaml"
    config.write_text("server: {port: 1}\n")
    script = (
        "import sys\nfrom pathlib import Path\nfrom headgate.config.load import load\nload(Path(sys.argv[1]), {})\n"
        "print('\\n'.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(config)], capture_output=True, text=True, check=True)
    assert not {"pydantic", "typer", "asyncio"} & set(done.stdout.split())


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "headgate", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"headgate {__version__}\n"
