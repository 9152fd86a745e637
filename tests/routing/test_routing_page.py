"""docs/routing.md says what the code does: `make docs` writes it anew."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from headgate.config.load import parse_config
from headgate.config.provision import plan
from headgate.providers.registry import all_providers
from headgate.routing.complexity import HEAD, TAIL
from routing.test_complexity import MIDDLING_UP_TO, SIMPLE_UP_TO

DOCS = Path(__file__).parents[2] / "docs"


def page() -> str:
    return (DOCS / "routing.md").read_text()


def test_the_page_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("generate_routing", DOCS / "generate_routing.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert page() == generator.render()


def test_its_first_example_has_the_thresholds_of_the_code() -> None:
    written = re.findall(r"```yaml\n(.*?)```", page(), re.S)[0]
    environment = {name: "k" for provider in all_providers().values() for name in provider.env[:1]}
    switch = (
        plan(parse_config(written.encode(), Path("h.yaml"), environment).config, environment).aliases["auto"].switch
    )
    assert switch is not None
    assert [tier.up_to for tier in switch.tiers] == [SIMPLE_UP_TO, MIDDLING_UP_TO]
    assert len(switch.rules) == 3


def test_its_figures_are_the_codes() -> None:
    assert f"first {HEAD:,} and the last {TAIL:,} characters" in page()
    assert f"up to {SIMPLE_UP_TO:g} is" in page()
    assert f"up to {MIDDLING_UP_TO:g} a task" in page()
