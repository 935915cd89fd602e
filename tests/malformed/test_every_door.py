"""The fixtures of the fuzzer are valid, and the same number makes the same input."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzzing.doors import DOORS
from fuzzing.every_door import EVERY_DOOR
from fuzzing.places import MOST_BYTES
from fuzzing.runner import chosen, generator_of, prepare

FUZZ = Path(__file__).parent / "fuzz.py"
pytestmark = pytest.mark.malformed


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The folder of the fixtures, and the outcomes of every door on undamaged files."""
    folder = tmp_path_factory.mktemp("doors")
    outcomes, fixtures = folder / "outcomes.json", folder / "fixtures"
    words = ["--undamaged", str(outcomes), "--fixtures", str(fixtures), "--seconds", "60"]
    subprocess.run([sys.executable, str(FUZZ), *words], timeout=900, check=True)
    return fixtures, json.loads(outcomes.read_text())


def test_every_door_accepts_its_fixtures_undamaged(opened):
    _, outcomes = opened
    assert len(outcomes) > 30
    assert not [
        f"{each['door']}: {each['command']}: {each['told']}" for each in outcomes if each["verdict"] != "accepted"
    ]


def test_the_same_number_makes_the_same_input(opened, tmp_path):
    def made(number):
        rng = generator_of(0, number)
        name = chosen(EVERY_DOOR, rng)
        inside, _ = prepare(tmp_path / "work")
        found = hashlib.sha256(
            f"{name} {EVERY_DOOR[name][1](rng, inside, opened[0])}".encode(errors="backslashreplace")
        )
        for path in sorted(inside.rglob("*")):
            found.update(os.fsencode(path))
            if path.is_file() and not path.is_symlink() and path.stat().st_size < MOST_BYTES:
                found.update(path.read_bytes())
        return name, found.hexdigest()

    drawn = [made(number) for number in range(80)]
    assert drawn == [made(number) for number in range(80)]
    assert len({name for name, _ in drawn}) > 20


def test_every_door_of_files_damages_one(opened, tmp_path):
    for name, (_, door) in DOORS.items():
        for number in range(3):
            inside, _ = prepare(tmp_path / "work")
            assert door(generator_of(0, number), inside, opened[0]).damage, name
