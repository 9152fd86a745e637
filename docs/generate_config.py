"""Writes docs/config.schema.json and docs/config.md from headgate.config.schema. Run it after changing that."""

from __future__ import annotations

import json
from pathlib import Path

from headgate.config.published import json_schema, tables

HERE = Path(__file__).parent


def files() -> dict[str, str]:
    """File name -> what it must hold."""
    head = (HERE / "config_head.md").read_text()
    return {
        "config.schema.json": json.dumps(json_schema(), indent=2) + "\n",
        "config.md": f"{head}\n{tables()}",
    }


if __name__ == "__main__":
    for name, text in files().items():
        (HERE / name).write_text(text)
