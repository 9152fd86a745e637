"""A minute of the soak: real processes, a provider that breaks and keeps a book, callers that leave. Half an hour of it stands in
docs/resilience.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_ledger_is_the_providers_book_and_nothing_is_left_behind(tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
    command = [sys.executable, str(ROOT / "bench" / "soak.py"), "--minutes", "0.75", "--folder", str(tmp_path / "soak")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env=kept)
    assert done.stdout, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["wrong"] == {}, (told, (tmp_path / "soak" / "wrong.json").read_text()[:4000])
    assert done.returncode == 0
    counts = told["money"]["counts"]
    assert counts["completed"] > 100
    assert counts["estimated"] > 0
