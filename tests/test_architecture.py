"""The shape of the house, read from the source: who may import whom, who may write what, how large a room may be.

The exceptions stand in `RATCHET`, each with its reason. The list may only shrink: an entry that is no longer needed fails too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "headgate"

VALUES = {"model", "errors", "clock"}
MAY_IMPORT: dict[str, set[str]] = {
    "model": {"clock", "errors"},
    "errors": set(),
    "clock": set(),
    "net": {"errors"},
    "tasks": set(),
    "meter": VALUES,
    "dialects": VALUES | {"net"},
    "routing": VALUES | {"net", "limits"},
    "limits": VALUES,
    "guards": VALUES | {"net"},
    "providers": VALUES | {"dialects.base", "net"},
    "catalog": VALUES,
    "stores": VALUES,
    "stages": VALUES | {"routing", "limits", "guards", "stores.base", "dialects.base", "dialects.splice", "catalog"},
    "http1": VALUES | {"tasks", "net"},
    "retry_after": VALUES | {"net"},
    "upstream": VALUES | {"tasks", "dialects.base", "dialects.form", "dialects.surrogates", "net", "retry_after"},
    "prepare": VALUES | {"dialects", "providers.base", "providers.site", "net"},
    "probe": VALUES | {"tasks", "routing", "net", "providers.base", "providers.site"},
    "pace": VALUES | {"routing", "net", "meter"},
    "attempt": VALUES | {"pace", "dialects", "routing", "stores.base", "net", "upstream", "meter", "prepare"},
    "dispatch": VALUES | {"tasks", "dialects", "routing", "upstream", "meter", "prepare", "attempt", "cascade"},
    "cascade": VALUES | {"routing"},
    "judge": VALUES | {"tasks", "dialects.base", "routing", "cascade", "children", "net"},
    "answer": VALUES | {"dialects", "attempt"},
    "joint": VALUES,
    "passing": VALUES | {"stages.base", "dialects", "meter", "net", "upstream"},
    "pipeline": VALUES
    | {"tasks", "stages.base", "dialects", "dispatch", "attempt", "answer", "joint", "passing", "upstream", "net"},
    "children": VALUES | {"tasks", "limits", "pipeline", "net"},
    "flights": VALUES
    | {"net", "dialects", "upstream", "meter", "prepare", "attempt", "dispatch", "pipeline", "children", "stages.base"},
    "explain": VALUES | {"flights", "http", "stages", "meter", "dispatch", "pipeline"},
    "http": VALUES
    | {"dialects", "pipeline", "net", "explain", "stages", "stores.base", "providers.base", "providers.site", "tasks"},
    "config": VALUES,
    "faults": VALUES | {"tasks", "net"},
}
"""Room -> what it may import beside itself. What is not listed (app, cli, telemetry, config.provision, ...) may import anything."""
FREE = {"app", "snapshot", "reload", "cli", "telemetry", "__init__", "__main__"}
FREE_FILES = {"config/provision.py", "config/verify.py"}
ONLY_APP_IMPORTS_TELEMETRY = {"app.py", "cli/serve.py"}

OWNERS: dict[str, set[str]] = {
    "identity": {"stages/authenticate.py"},
    "parent": {"children.py"},
    "cause": {"children.py"},
    "priority": {"stages/admit.py"},
    "admitted": {"stages/admit.py"},
    "load": {"stages/admit.py"},
    "hold_off": {"stages/admit.py"},
    "route": {"stages/resolve.py", "http/opaque.py"},
    "head": {"stages/resolve.py"},
    "body": {"stages/resolve.py"},
    "origin": {"flights/__init__.py"},
    "served": {"dispatch.py", "flights/__init__.py"},
    "losses": {"dispatch.py", "pipeline.py", "flights/__init__.py"},
    "target_edits": {"dispatch.py", "flights/__init__.py"},
    "outcome": {"pipeline.py"},
    "status": {"pipeline.py"},
    "total_us": {"pipeline.py"},
    "record": {"stages/account.py"},
    "held_id": {"pipeline.py"},
    "held_site": {"pipeline.py"},
    "first_ns": {"dispatch.py", "flights/__init__.py"},
    "upstream_ns": {"dispatch.py", "flights/__init__.py"},
    "json": {"model/exchange.py"},
    "findings": {"stages/guard_input.py", "stages/guard_output.py"},
    "edits": {"stages/guard_input.py"},
    "trace_id": {"http/ingress.py", "children.py"},
    "span_id": {"http/ingress.py", "children.py"},
}
"""Field of an Exchange (a variable named `x`) -> the files that may assign it."""

FILE_LINES, FUNCTION_LINES, PARAMETERS = 400, 60, 6
RATCHET: dict[str, str] = {}
"""`file` or `file:function` -> why it may be larger."""


@cache
def sources() -> dict[str, ast.Module]:
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}


def room_of(file: str) -> str:
    return file.split("/")[0].removesuffix(".py")


def imports(tree: ast.Module, file: str) -> Iterator[str]:
    """Modules of ours that a file imports at run time, below `headgate`. Imports for annotations alone do not count."""
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    package = ["headgate", *file.split("/")[:-1]]
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            names = [f"{module}.{alias.name}" for alias in node.names] if module.count(".") < 2 else [module]
        for name in names:
            if name.startswith("headgate."):
                yield name.removeprefix("headgate.")


def allowed(name: str, rules: set[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:depth]) in rules for depth in range(1, len(parts) + 1))


@pytest.mark.parametrize("file", sorted(sources()))
def test_a_room_imports_only_what_it_may(file: str) -> None:
    room = room_of(file)
    if room in FREE or file in FREE_FILES:
        return
    assert room in MAY_IMPORT, f"{room} is a new room: say what it may import"
    for name in imports(sources()[file], file):
        if name.split(".")[0] != room and name != "__version__":
            assert allowed(name, MAY_IMPORT[room]), f"{file} may not import headgate.{name}"


def test_nothing_imports_the_app_and_only_the_app_imports_telemetry() -> None:
    for file, tree in sources().items():
        for name in imports(tree, file):
            if name.split(".")[0] == "app":
                assert room_of(file) == "cli", f"{file} imports the composition root"
            if name.split(".")[0] == "telemetry" and room_of(file) != "telemetry":
                assert file in ONLY_APP_IMPORTS_TELEMETRY, f"{file} imports telemetry"


def test_fields_of_an_exchange_are_written_by_their_owner() -> None:
    for file, tree in sources().items():
        for node in ast.walk(tree):
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AugAssign | ast.AnnAssign)
                else []
            )
            for target in (inner for outer in targets for inner in ast.walk(outer)):
                if (
                    isinstance(target, ast.Attribute)
                    and isinstance(target.ctx, ast.Store)
                    and isinstance(target.value, ast.Name)
                    and target.value.id == "x"
                    and target.attr in OWNERS
                ):
                    assert file in OWNERS[target.attr], f"{file}:{node.lineno} writes x.{target.attr}"


def oversized() -> dict[str, str]:
    """What is over a bound: `file` or `file:function` -> what it measures."""
    found: dict[str, str] = {}
    for file, tree in sources().items():
        lines = len((ROOT / file).read_text().splitlines())
        if lines > FILE_LINES:
            found[file] = f"{lines} lines"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in ("self", "cls")]
                if length > FUNCTION_LINES:
                    found[f"{file}:{node.name}"] = f"{length} lines"
                elif len(arguments) > PARAMETERS:
                    found[f"{file}:{node.name}"] = f"{len(arguments)} parameters"
    return found


def test_nothing_grows_beyond_its_bound() -> None:
    """Named parameters (after *) do not count: they say what they are where they are used."""
    found = oversized()
    assert {name: size for name, size in found.items() if name not in RATCHET} == {}
    assert [name for name in RATCHET if name not in found] == [], "no longer needed: take it off the list"


def test_nobody_outside_providers_compares_a_providers_name() -> None:
    """Behaviour belongs into a provider's data. (The demo's name is its own module's constant.)"""
    names = {path.stem for path in (ROOT / "providers").glob("*.py")} - {
        "base",
        "registry",
        "site",
        "paths",
        "egress",
        "instance",
        "__init__",
    }
    for file, tree in sources().items():
        if room_of(file) in ("providers", "cli", "config"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare):
                for side in (node.left, *node.comparators):
                    if isinstance(side, ast.Constant) and side.value in names - {"gemini", "anthropic", "openai"}:
                        pytest.fail(f"{file}:{node.lineno} compares a provider's name")
