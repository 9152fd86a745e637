"""The published schema and tables are those of the classes, and the schema and the reader say the same of a file."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import get_args

import jsonschema
import pytest
import yaml
from test_load import VARIABLES, WHOLE

from headgate.config import schema
from headgate.config.forms import DURATION, PRICE, SIZE
from headgate.config.load import ConfigErrors, parse_config
from headgate.config.published import json_schema
from headgate.config.read import fields_of
from headgate.config.section import DialectName, Section
from headgate.guards import base as guards
from headgate.guards.engines import LONGEST
from headgate.net import Deadlines
from headgate.providers.registry import all_providers

DOCS = Path(__file__).parents[2] / "docs"
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


class Yaml12(yaml.SafeLoader):
    """Scalars as editors (YAML 1.2) see them: no dates, no yes and no."""


Yaml12.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0].rpartition(":")[2] in ("int", "float", "null", "merge")]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for letter in "tTfF":
    Yaml12.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false|True|False"), [letter])


def by_schema(text: str) -> bool:
    return VALIDATOR.is_valid(yaml.load(text, Yaml12))


def by_reader(text: str) -> bool:
    try:
        parse_config(text.encode(), Path("h.yaml"), VARIABLES)
    except ConfigErrors:
        return False
    return True


def test_the_files_in_docs_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("generate_config", DOCS / "generate_config.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, text in module.files().items():
        assert (DOCS / name).read_text() == text, f"run docs/generate_config.py: {name} is not what the classes say"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (WHOLE, True),
        ("server: {port: 80, max_body: 1000, drain: 1h30m}", True),
        ("server:\nproviders: {openai: }\nmodels: {a: {targets: [b/c]}}", True),
        ("providers: {a: {settings: {n: 1, b: true}, accepts: {x: [1]}}}", True),
        ("prices: [{model: a, input: 1.5, output: '2'}]", True),
        ("server: {prot: 80}", False),
        ("server: {port: '80'}", False),
        ("server: {port: -1}", False),
        ("server: {drain: 10}", False),
        ("server: {max_body: 1.5MiB}", False),
        ("discover: yes", False),
        ("models: {a: {}}", False),
        ("models: {a: {targets: []}}", False),
        ("models: {a: {targets: [b]}}", False),
        ("models: {'*a': {targets: [b/c]}}", False),
        ("models: {a: {targets: [{model: b/c, weight: 0}]}}", False),
        ("providers: {a/b: }", False),
        ("keys: [{name: a}]", False),
        ("keys: [{name: a, key: b, scopes: [root]}]", False),
        ("guards: {name: a}", False),
        ("prices: [{model: a, input: -1, output: 1}]", False),
        ("telemetry: {log: {level: loud}}", False),
    ],
)
def test_schema_and_reader_agree(text: str, valid: bool) -> None:
    assert by_schema(text) is valid
    assert by_reader(text) is valid


def test_every_field_says_what_it_is() -> None:
    for section in vars(schema).values():
        if isinstance(section, type) and issubclass(section, Section):
            for field in fields_of(section).values():
                assert field.kind.about.endswith("."), f"{section.__name__}.{field.name}"


def test_choices_are_those_of_the_rooms_that_obey_them() -> None:
    fields = fields_of(schema.Guard)
    assert get_args(fields["mode"].kind.type) == get_args(guards.Mode)
    assert get_args(fields["action"].kind.type) == get_args(guards.Action)
    assert fields["places"].default == get_args(guards.Place)
    assert {name: fields[name].default for name in ("mode", "action", "replacement", "max_length", "ignore_case")} == {
        name: getattr(guards.Guard(name="", pattern=""), name)
        for name in ("mode", "action", "replacement", "max_length", "ignore_case")
    }
    assert fields["max_length"].kind.meta is not None
    assert fields["max_length"].kind.meta.le == LONGEST
    spoken = {endpoint.dialect for provider in all_providers().values() for endpoint in provider.endpoints}
    assert spoken == set(get_args(DialectName))
    timeouts = fields_of(schema.Timeouts)
    assert {name: field.default for name, field in timeouts.items()} == {
        name: getattr(Deadlines(), name) for name in Deadlines.__struct_fields__
    }


@pytest.mark.parametrize(
    ("form", "texts"),
    [
        (DURATION, {0.25: "250ms", 10.0: "10s", 90.0: "90s", 300.0: "5m", 3600.0: "1h", 0.1: "100ms", 172800.0: "2d"}),
        (SIZE, {0: "0GiB", 1: "1", 4096: "4KiB", 64 << 20: "64MiB", 10_000_000: "10000000"}),
        (PRICE, {0: "0", 150_000_000: "0.15", 1: "0.000000001", 30_000_000_000: "30"}),
    ],
)  # fmt: skip
def test_what_a_form_writes_it_reads(form: object, texts: dict[float, str]) -> None:
    for value, text in texts.items():
        assert form.write(value) == text  # type: ignore[attr-defined]
        assert form.read(text) == value  # type: ignore[attr-defined]
