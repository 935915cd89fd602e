"""Provenance that a run or a sweep recorded."""

import json
from pathlib import Path
from typing import Any

PROVENANCE = "provenance.json"


def read_known(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds; nothing if it is not there or cannot be read: no number depends on it."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
