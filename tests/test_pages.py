"""What the pages say is so: generated pages are up to date, links lead somewhere, commands exist."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_fidelity_page_is_what_the_code_does() -> None:
    """`make docs` writes it anew."""
    generator = loaded(ROOT / "docs" / "generate_fidelity.py")
    assert (ROOT / "docs" / "fidelity.md").read_text() == generator.render()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_and_commands_exist(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for target in re.findall(r"`make ([a-z]+)`|^make ([a-z]+)", text, re.M):
        assert (target[0] or target[1]) in targets, f"{page.name} names make {target}"
    from headgate.cli import COMMANDS

    for command in re.findall(
        r"headgate ([a-z]+)", re.sub(r"headgate\.[a-z]+", "", "\n".join(re.findall(r"`[^`]+`|```.*?```", text, re.S)))
    ):
        assert command in COMMANDS or command in ("serve",), f"{page.name} names headgate {command}"


def test_the_help_of_every_command_runs() -> None:
    for arguments in ([], ["serve"], ["check"], ["keys"], ["usage"], ["explain"], ["import"]):
        done = subprocess.run(
            [sys.executable, "-m", "headgate", *arguments, "--help"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""


def test_the_projects_text_speaks_of_itself_alone() -> None:
    """No addresses of package indexes, no paths of anybody's machine, not in lock files either."""
    forbidden = re.compile(r"pypi\.org|pythonhosted|registry\.npmjs|(?<![\w./])/(work|root|home/[a-z]+)/")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    for name in listed:
        path = ROOT / name
        if not path.is_file() or name == "tests/test_pages.py":
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found = forbidden.search(text)
        assert found is None, f"{name}: {found}"
