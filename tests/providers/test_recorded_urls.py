"""What we build is what recorded clients called: URLs of every provider that the recordings know."""

from __future__ import annotations

from collections import defaultdict
from urllib.parse import unquote, urlsplit

import pytest

import recordings
from headgate.providers.registry import BUILT_IN
from headgate.providers.site import url
from providers import wire

ELSEWHERE = {
    ("writer", "openai_completions"),  # text completions in a dialect of Writer's own
    ("openai", "anthropic_messages"),  # messages of the old assistants' threads
    ("huggingface", "openai_chat"),  # through paths of the providers behind the router
    ("ollama", "openai_chat"),  # the cloud, not a local server
    ("azure", "openai_chat"),  # many resources: see below
    ("azure", "openai_completions"),
    ("azure", "openai_responses"),
    ("snowflake", "openai_chat"),
}


def _recorded() -> dict[tuple[str, str], set[str]]:
    """(provider, dialect) -> URLs without query, a model in the path replaced."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in recordings.recordings():
        if row.provider in BUILT_IN and row.url.startswith("https://"):
            found[row.provider, row.dialect].add(_without_model(row.url, row.dialect))
    return found


def _without_model(address: str, dialect: str) -> str:
    address = address.partition("?")[0]
    head, _, verb = address.rpartition(":")
    return f"{head.rpartition('/')[0]}/MODEL:{verb}" if dialect == "gemini" else address


@pytest.mark.corpus
def test_built_urls_are_among_the_recorded_ones() -> None:
    recorded = {key: urls for key, urls in _recorded().items() if key not in ELSEWHERE}
    assert len({name for name, _ in recorded}) >= 13
    for (name, dialect), urls in recorded.items():
        written = wire.transcript(name)["endpoints"][dialect]
        assert _without_model(written["url"], dialect) in urls, (name, dialect)
        if "stream_url" in written:
            assert _without_model(written["stream_url"], dialect) in urls, (name, dialect)


@pytest.mark.corpus
def test_azures_two_forms_are_the_recorded_ones() -> None:
    paths = {urlsplit(row.url).path for row in recordings.recordings() if row.provider == "azure"}
    assert "/openai/v1/responses" in paths
    deployments = {path for path in paths if path.startswith("/openai/deployments/")}
    assert deployments
    site = wire.site("azure_deployments")
    for path in deployments:
        model = path.split("/")[3]
        dialect = "openai_chat" if path.endswith("/chat/completions") else "openai_completions"
        built = url(site, site.endpoint(dialect), "", "generate", unquote(model), False)
        assert built.partition("?")[0] == path


@pytest.mark.corpus
def test_snowflakes_address_is_the_recorded_one_but_for_the_account() -> None:
    (recorded,) = _recorded()["snowflake", "openai_chat"]
    written = wire.transcript("snowflake")["endpoints"]["openai_chat"]["url"]
    assert recorded.partition(".")[2] == written.partition(".")[2]
