"""The fuzzer catches each planted fault, judges codes and sentences, and draws the same inputs from the same seed."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import targets
import yaml
from fuzzing.case import Case
from fuzzing.mutations import BYTES, TEXT, bomb, change_json, change_yaml, damaged, zip_bomb
from fuzzing.oracle import judge
from fuzzing.places import PLACES, damage, files_below
from fuzzing.runner import Limits, chosen, generator_of, prepare

from withstand.errors import InputError

HERE = Path(__file__).parent
SAMPLE = {
    ".json": json.dumps({"a": [1, {"b": "text"}], "c": None}).encode(),
    ".jsonl": b'{"a": 1}\n{"a": 2}\n',
    ".yaml": b"a: {b: [1, 2]}\nc: text\n",
    ".csv": b"a,b\n1,2\n3,4\n",
    ".bin": bytes(range(256)) * 4,
}


@pytest.fixture(scope="module")
def outcomes():
    done = subprocess.run(
        [sys.executable, str(HERE / "planted.py")], capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("two lines", "raw text"),
        ("crash", "KeyError"),
        ("exit", "SystemExit"),
        ("hang", "no end within"),
        ("sleep", "no end within"),
        ("memory", "memory"),
        ("signal", "ended by signal 11"),
        ("write outside", "forbidden: open"),
        ("change outside", "forbidden: open"),
        ("remove outside", "forbidden: os.remove"),
        ("link outside", "forbidden: open"),
        ("process", "forbidden: subprocess.Popen"),
        ("shell", "forbidden: os.system"),
        ("pickle", "forbidden: pickle.find_class"),
        ("yaml", "forbidden: os.system"),
        ("connection", "forbidden: socket"),
        ("swallowed", "forbidden: open"),
        ("evaluated", "forbidden: compile"),
        ("many forks", "forbidden: more processes"),
    ],
)
def test_a_planted_fault_is_a_failure(outcomes, fault, why):
    assert outcomes[fault]["verdict"] == "failed"
    assert outcomes[fault]["why"].startswith(why)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "verdict"),
    [("fine", "accepted"), ("refusal", "refused"), ("write inside", "accepted"), ("workers", "accepted")],
)
def test_what_is_right_is_no_failure(outcomes, name, verdict):
    assert (outcomes[name]["verdict"], outcomes[name]["why"]) == (verdict, "")


@pytest.mark.parametrize(
    ("code", "told", "verdict"),
    [
        (0, "", "accepted"),
        (2, "withstand: x must be a number.\n", "refused"),
        (2, "", "failed"),
        (2, "KeyError: 3\n", "failed"),
        (2, "withstand: x.\nTraceback (most recent call last):\n", "failed"),
        (2, f"withstand: {'x' * 2000}\n", "failed"),
        (1, "withstand: the loss is non-finite.\n", "refused"),
        (1, "withstand: cannot read or write: Is a directory.\n", "failed"),
        (3, "withstand: 1 run failed.\n", "failed"),
        (70, "", "failed"),
    ],
)
def test_codes_and_sentences_are_judged(tmp_path, code, told, verdict):
    _, outside = prepare(tmp_path / "work")
    case = Case(words=("train",))
    values = {"reports": [], "stopped": "", "peak": 0, "limits": Limits(), "outside": outside}
    assert judge(case=case, status=code << 8, told=told, **values)[0] == verdict
    (outside / "kept").write_text("changed")
    assert judge(case=case, status=code << 8, told=told, **values)[0] == "failed"


@pytest.mark.parametrize("suffix", SAMPLE)
def test_the_same_seed_gives_the_same_damage_and_most_seeds_give_some(suffix):
    def draw(number):
        return damaged(generator_of(0, number), SAMPLE[suffix], suffix, [b"other"])

    drawn = [draw(number) for number in range(60)]
    assert drawn == [draw(number) for number in range(60)]
    assert sum(each != SAMPLE[suffix] for each in drawn) > 50
    assert len(set(drawn)) > 25


def test_every_mutation_changes_something_and_ends_on_an_empty_file():
    for mutation in (*BYTES, *TEXT):
        assert any(mutation(random.Random(seed), SAMPLE[".json"]) != SAMPLE[".json"] for seed in range(5))
        assert isinstance(mutation(random.Random(0), b""), bytes)


def test_structured_mutations_stay_readable():
    for seed in range(40):
        changed = change_json(random.Random(seed), SAMPLE[".json"])
        json.loads(changed)
        yaml.safe_load(change_yaml(random.Random(seed), SAMPLE[".yaml"]))


def test_bombs_are_small_and_say_that_they_are_large():
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(zip_bomb("arr_0.npy"))) as archive:
        (entry,) = archive.infolist()
        assert (entry.filename, entry.file_size > 4_000_000_000) == ("arr_0.npy", True)
        assert archive.open("arr_0.npy").read(6) == b"\x93NUMPY"
    assert len(bomb(random.Random(0), b"\x1f\x8b")) < 10_000_000


def test_every_damage_to_a_place_leaves_the_folder_beside_unchanged(tmp_path):
    for number, way in enumerate(PLACES):
        inside, outside = prepare(tmp_path / str(number))
        path = inside / "folder" / "file.json"
        path.parent.mkdir()
        path.write_bytes(SAMPLE[".json"])
        before = os.lstat(path)
        way(random.Random(0), path)
        assert way.__name__ == "swapped" or not path.exists() or os.lstat(path) != before
        assert (outside / "kept").read_text() == "kept"


def test_damage_is_drawn_from_the_generator_alone(tmp_path):
    def tree(name):
        inside, _ = prepare(tmp_path / name)
        for number in range(3):
            (inside / f"{number}.json").write_bytes(SAMPLE[".json"])
        told = [damage(rng := generator_of(1, number), rng.choice(files_below(inside))) for number in range(6)]
        return told, sorted(
            (each.name, each.read_bytes() if each.is_file() and not each.is_fifo() else b"")
            for each in inside.iterdir()
        )

    assert tree("a") == tree("b")


def test_doors_are_drawn_by_weight():
    doors = {"often": (9, None), "seldom": (1, None)}
    drawn = [chosen(doors, generator_of(0, number)) for number in range(200)]
    assert 10 < 200 - drawn.count("often") < 40


@pytest.mark.parametrize(("error", "crashes"), [(KeyError("x"), 1), (InputError("x: expected y, got z."), 0)])
def test_a_reader_that_raises_is_a_crash_and_one_that_refuses_is_none(tmp_path, monkeypatch, capsys, error, crashes):
    def read(path):
        if not path.read_bytes().startswith(b"head"):
            raise error

    monkeypatch.setitem(targets.TARGETS, "planted", (read, ()))
    assert targets.mutate("planted", [b"head and body"], seconds=0.5, kept=tmp_path) == crashes
    assert len(list(tmp_path.iterdir())) == crashes
    assert ("KeyError" in capsys.readouterr().out) == bool(crashes)
