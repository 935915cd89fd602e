"""The files from which inputs are mutated are valid: every door opens with each of its commands, undamaged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent / "fuzz.py"


@pytest.mark.malformed
def test_every_door_accepts_its_fixtures_undamaged(tmp_path):
    outcomes = tmp_path / "outcomes.json"
    words = [sys.executable, str(FUZZ), "--undamaged", str(outcomes), "--seconds", "60"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=900, check=False)
    found = json.loads(outcomes.read_text())
    assert len(found) > 40
    assert not [f"{each['door']}: {each['command']}: {each['told']}" for each in found if each["verdict"] != "accepted"]
    assert done.returncode == 0, done.stdout + done.stderr
