"""Every provider fault through a running gateway: the caller, the provider and the ledger each tell what became of it.

All scenarios run at once through one gateway, as faults do; a test is one scenario's verdict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from headgate.faults.caller import Gateway
from headgate.faults.laboratory import Verdict, run
from headgate.faults.provider import Provider
from headgate.faults.scenarios import SCENARIOS, Scenario, Terms, models, sites
from headgate.net import Deadlines
from running import KEY, Running

TERMS = Terms(deadlines=Deadlines(connect=5.0, headers=2.0, first_token=2.5, idle=2.0, total=20.0))


async def _verdicts(folder: Path, chosen: Sequence[Scenario]) -> dict[str, Verdict]:
    provider = Provider(folder)
    await provider.start()
    try:
        config = {"providers": sites(provider, TERMS.deadlines), "models": models(chosen)}
        gateway = await asyncio.to_thread(Running, folder / "gateway", config)
        try:
            known = Gateway(host="127.0.0.1", port=gateway.port, key=KEY)
            found = await run(chosen, known, provider, TERMS)
        finally:
            log = await asyncio.to_thread(gateway.stop)
    finally:
        await provider.close()
    assert '"level":"error"' not in log, log
    assert "Traceback" not in log, log
    return {verdict.scenario.name: verdict for verdict in found}


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    """The verdicts of the scenarios that this run has asked for."""
    asked = [getattr(item, "callspec", None) for item in request.session.items]
    chosen = {spec.params["name"] for spec in asked if spec is not None and spec.params.get("name") in SCENARIOS}
    return asyncio.run(
        _verdicts(tmp_path_factory.mktemp("laboratory"), [SCENARIOS[name] for name in SCENARIOS if name in chosen])
    )


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_fault(name: str, verdicts: dict[str, Verdict]) -> None:
    """The right answer from a healthy target or one clear typed error, in time; no request too many; a true ledger."""
    assert verdicts[name].failures == []
