"""The registry: cheap to open, and nobody takes another provider's name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.errors import ConfigError
from headgate.providers.base import Provider
from headgate.providers.registry import BUILT_IN, Registry, all_providers, installed


def test_names_are_listed_without_importing_a_provider() -> None:
    """What a cold start pays for providers it does not use."""
    script = (
        "import sys; from headgate.providers.registry import BUILT_IN, all_providers; assert 'groq' in all_providers();"
        "print(sorted({f'headgate.providers.{m}' for m in BUILT_IN.values()} & set(sys.modules)),"
        " 'importlib.metadata' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[] False"


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_provider_goes_by_the_name_in_the_table(name: str) -> None:
    provider = all_providers()[name]
    assert isinstance(provider, Provider)
    assert provider.name == name


def test_the_registry_is_a_mapping() -> None:
    providers = all_providers()
    assert list(providers)[: len(BUILT_IN)] == list(BUILT_IN)
    assert len(providers) >= len(BUILT_IN)
    assert providers["openai"] is providers["openai"]
    assert "nobody" not in providers
    with pytest.raises(KeyError):
        providers["nobody"]


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path, in which packages can be installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for module in [name for name in sys.modules if name.startswith("acme_")]:
        del sys.modules[module]


def _install(folder: Path, package: str, points: str, code: str = "") -> None:
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[headgate.providers]\n{points}\n")
    (folder / f"{package}.py").write_text(code)


_CODE = (
    "from headgate.providers.base import Endpoint, Provider\n"
    "ACME = Provider(name='acme', title='Acme', docs=(), base_url='https://api.acme.test/v1',"
    " endpoints=(Endpoint(dialect='openai_chat'),))\n"
)


def test_a_third_party_registers_by_entry_point(third_party: Path) -> None:
    _install(third_party, "acme_one", "acme = acme_one:ACME", _CODE)
    registry = Registry({"openai": "openai"}, installed([str(third_party)]))
    assert list(registry) == ["openai", "acme"]
    assert registry["acme"].base_url == "https://api.acme.test/v1"


def test_two_installations_of_one_package_are_no_clash(third_party: Path, tmp_path: Path) -> None:
    """The first on the path counts, as for imports."""
    _install(third_party, "acme_one", "acme = acme_one:ACME", _CODE)
    other = tmp_path / "other"
    other.mkdir()
    _install(other, "acme_one", "acme = acme_one:ACME", _CODE)
    assert [point.name for point in installed([str(third_party), str(other)])] == ["acme"]


def test_no_package_no_points(tmp_path: Path) -> None:
    (tmp_path / "plain-1.0.dist-info").mkdir()
    (tmp_path / "plain-1.0.dist-info" / "entry_points.txt").write_text("[console_scripts]\nplain = plain:main\n")
    assert list(installed([str(tmp_path), str(tmp_path / "missing")])) == []


@pytest.mark.parametrize("name", ["openai", "acme"])
def test_a_clash_of_names_is_refused(third_party: Path, name: str) -> None:
    """Also when both come from third parties; both packages are named."""
    _install(third_party, "acme_one", f"{name} = acme_one:ACME", _CODE)
    _install(third_party, "acme_two", f"{name} = acme_two:ACME", _CODE)
    with pytest.raises(ConfigError, match=f'two providers are named "{name}"') as told:
        Registry({"openai": "openai"}, installed([str(third_party)]))
    assert "acme_" in str(told.value)


@pytest.mark.parametrize(
    ("point", "code", "told"),
    [
        ("acme_one:ACME", "raise RuntimeError('no luck')", "no luck"),
        ("acme_one:ACME", "ACME = 3", "is a int"),
        ("acme_one:NONE", _CODE, "cannot be imported"),
        ("acme_one:ACME", _CODE.replace("name='acme'", "name='other'"), 'calls itself "other"'),
    ],
)
def test_a_third_party_that_does_not_load_is_refused(third_party: Path, point: str, code: str, told: str) -> None:
    _install(third_party, "acme_one", f"acme = {point}", code)
    registry = Registry({}, installed([str(third_party)]))
    with pytest.raises(ConfigError, match=told) as error:
        registry["acme"]
    assert "acme_one" in str(error.value)
