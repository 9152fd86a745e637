"""What the catalog knows of a model is used where a dialect demands it: Anthropic's output cap, and how Claude is told to think."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dry import Dry

CONFIG = """
providers:
  anthropic: {api_key: k}
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dry]:
    folder = tmp_path_factory.mktemp("facts")
    (folder / "headgate.yaml").write_text(CONFIG)
    dry = Dry(folder / "headgate.yaml", folder / "data")
    yield dry
    dry.close()


def written(gateway: Dry, model: str, **more: Any) -> dict[str, Any]:
    body = {"model": f"anthropic/{model}", "messages": [{"role": "user", "content": "hi"}], **more}
    sent: dict[str, Any] = json.loads(gateway("/v1/chat/completions", json.dumps(body).encode()).body)
    return sent


@pytest.mark.parametrize(
    ("model", "cap"), [("claude-opus-4-5", 64_000), ("claude-opus-4-6", 128_000), ("claude-unheard-of", 4096)]
)
def test_without_a_cap_of_the_client_the_models_own_is_sent(gateway: Dry, model: str, cap: int) -> None:
    assert written(gateway, model)["max_tokens"] == cap
    assert written(gateway, model, max_tokens=77)["max_tokens"] == 77


def test_each_generation_is_told_to_think_in_its_own_way(gateway: Dry) -> None:
    """Models before Opus 4.6 know budgets only, and refuse the adaptive word."""
    older = written(gateway, "claude-sonnet-4-5", reasoning_effort="low")
    assert older["thinking"]["type"] == "enabled" and 1024 <= older["thinking"]["budget_tokens"] < older["max_tokens"]
    newer = written(gateway, "claude-opus-4-6", reasoning_effort="low")
    assert newer["thinking"]["type"] == "adaptive" and newer["output_config"] == {"effort": "low"}
