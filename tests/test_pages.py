"""What the pages say is so: generated pages are up to date, links lead somewhere, configs load, commands run."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from headgate.config.load import parse_config
from headgate.config.verify import verify
from headgate.providers.registry import all_providers

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
    for script in re.findall(r"`python ([\w/]+\.py)", text):
        assert (ROOT / script).is_file(), f"{page.name} names {script}"
    from headgate.cli import COMMANDS

    for command in re.findall(
        r"headgate ([a-z]+)", re.sub(r"headgate\.[a-z]+", "", "\n".join(re.findall(r"`[^`]+`|```.*?```", text, re.S)))
    ):
        assert command in COMMANDS or command in ("serve",), f"{page.name} names headgate {command}"


KEYS = {name: "k" for provider in all_providers().values() for name in provider.env[:1]}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


def variables(text: str) -> dict[str, str]:
    return {**KEYS, **{name: f"sk-{name}" for name in re.findall(r"\$\{([A-Z_]+)\}", text)}}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_config_on_a_page_is_accepted(page: Path) -> None:
    for text in blocks(page, "yaml"):
        loaded = parse_config(text.encode(), Path(page.name), variables(text))
        verify(loaded, variables(text))


FILES = {
    "request.json": json.dumps(
        {
            "model": "auto",
            "user": "ann",
            "messages": [{"role": "user", "content": "Compare the two designs step by step."}],
        }
    ),
    "config.yaml": "model_list: [{model_name: auto, litellm_params: {model: openai/gpt-4o, api_key: k}}]\n",
}
"""What commands on the pages name."""


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "console")], ids=lambda page: page.name)
def test_every_command_on_a_page_runs(page: Path, tmp_path: Path) -> None:
    """One after another, in a folder with the page's first config; what is shown behind a command is said by it, in that order."""
    first = next(iter(blocks(page, "yaml")), "")
    config = yaml.safe_load(first) or {}
    config.setdefault("models", {}).setdefault("auto", {"targets": ["demo/chat"]})
    config.setdefault("keys", []).append({"name": "ci", "key": "sk-ci", "tenant": "research", "priority": 3})
    commands = "".join(blocks(page, "console"))
    if "keys create --name ci" in commands:
        config["keys"].pop()
    if "-o headgate.yaml" not in commands:
        (tmp_path / "headgate.yaml").write_text(yaml.safe_dump(config))
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    environment = {**variables(first), "HEADGATE_DATA": str(tmp_path / "data"), "PATH": os.environ["PATH"]}
    environment |= {"PYTHONPATH": str(ROOT / "src")}
    for block in blocks(page, "console"):
        for command, shown in re.findall(r"^\$ headgate (.*)\n((?:(?!\$ ).*\n)*)", block, re.M):
            done = subprocess.run(
                [sys.executable, "-m", "headgate", *shlex.split(command)],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            said = iter(done.stdout.splitlines())
            for line in shown.splitlines():
                assert line in said, f"{command} does not say {line!r}\n{done.stdout}"


SOURCES = "".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.py")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_metrics_headers_and_paths_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text()
    for metric in re.findall(r"\bheadgate_[a-z_]+\b", text):
        assert f'"{metric.removesuffix("_total").removesuffix("_bucket")}"' in SOURCES, f"{page.name} names {metric}"
    for header in re.findall(r"\bx-headgate-[a-z]+\b", text):
        assert f'b"{header}"' in SOURCES, f"{page.name} names {header}"


def test_the_help_of_every_command_runs() -> None:
    for arguments in ([], ["serve"], ["check"], ["keys"], ["usage"], ["explain"], ["import"], ["doctor"]):
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
