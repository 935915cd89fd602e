"""Forecasts: the time is a closed form; a dry run counts what is missing and writes nothing."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from withstand.cli import main
from withstand.evaluation.loop import blocks
from withstand.measuring import probe
from withstand.pools.forecast import Forecast


@pytest.mark.parametrize(
    ("blocks", "processes", "machines", "expected"),
    [
        (10, 1, 1, 2 + 100),
        (10, 2, 1, 2 + 50),
        (10, 4, 1, 2 + 30),  # one process does three blocks
        (10, 4, 2, 2 + 20),
        (3, 8, 1, 2 + 100 / 3),
        (0, 2, 1, 2),
    ],
)
def test_the_time_is_that_of_the_process_with_most_blocks(blocks, processes, machines, expected):
    found = Forecast(
        title="",
        counts={},
        blocks=blocks,
        seconds=100.0 if blocks else 0.0,
        device="cpu",
        processes=processes,
        start=2.0,
    )
    assert found.elapsed(machines) == pytest.approx(expected)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()}


def said(words: list[str], capsys) -> dict[str, str]:
    capsys.readouterr()
    assert main([*words, "--dry-run"]) == 0
    return dict(re.findall(r"^ (\S.*?) {2,}(\S.*)$", capsys.readouterr().out, re.MULTILINE))


@pytest.mark.parametrize("blocks", [0, 2])
def test_a_forecast_of_nothing_says_so(blocks):
    found = Forecast(title="", counts={}, blocks=blocks, seconds=float(blocks), device="cpu").grid()
    assert any("Nothing is missing" in each for each in found.notes) == (blocks == 0)


def test_a_dry_run_of_an_evaluation(tmp_path, capsys):
    words = ["--data", "digits", "--model", "small-cnn", "--model.width", "4", "--epochs", "1", "--device", "cpu"]
    assert main(["train", *words, "--name", "run", "--output", str(tmp_path)]) == 0
    (run,) = (each for each in tmp_path.iterdir() if each.is_dir())
    before = files_of(tmp_path)
    words = ["evaluate", str(run), "--batch-size", "50", "--device", "cpu", "--on"]
    found = said([*words, "clean", "fog/1", "fog/2"], capsys)
    assert files_of(tmp_path) == before
    assert (found["conditions"], found["samples"]) == ("3", "359")
    assert main([*words, "clean", "fog/1"]) == 0
    assert said([*words, "clean", "fog/1", "fog/2"], capsys)["conditions"] == "1"  # the others are known
    assert said([*words, "clean", "fog/1"], capsys)["samples"] == "0"


def test_a_dry_run_of_a_copy(tmp_path, capsys):
    for number in range(5):
        path = tmp_path / "source" / "cat" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 40, 3), number, dtype=np.uint8)).save(path)
    words = ["corrupt", str(tmp_path / "source"), str(tmp_path / "copy"), "--corruptions", "fog", "contrast"]
    words += ["--size", "32", "--device", "cpu", "-j", "1"]
    found = said(words, capsys)
    assert not (tmp_path / "copy").exists()
    assert (found["images"], found["corruptions and severities"], found["files"]) == ("5", "10", "50")
    assert main(words) == 0
    assert said(words, capsys)["images"] == "0"


def test_processes_that_will_measure_are_not_taken_to_decode(tmp_path, monkeypatch):
    seen = []

    def watched(*words, engine, **options):
        seen.append(engine.num_workers)
        return blocks(*words, engine=engine, **options)

    monkeypatch.setattr(probe, "blocks", watched)
    model = "from torch.nn import Flatten, Linear, Sequential\n\n\ndef net():\n    return Sequential(Flatten(), Linear(3072, 10))"
    (tmp_path / "net.py").write_text(model)
    words = ["evaluate", f"{tmp_path / 'net.py'}:net", "--data", "digits", "--device", "cpu", "--on", "clean"]
    assert main([*words, "--output", str(tmp_path), "-j", "2", "--dry-run"]) == 0
    assert set(seen) == {0}


@pytest.mark.parametrize(
    ("once", "each", "limit"), [(0.1, 0.001, 500), (1.0, 0.001, 64), (0.0, 0.01, 500), (0.0, 2.0, 9)]
)
def test_the_probe_tells_what_a_batch_takes_from_what_a_sample_takes(once, each, limit):
    asked = []

    def run(count):
        asked.append(once + each * count)
        return asked[-1]

    count, share = probe._looks(run, limit, seconds=2.0)
    assert count <= limit
    assert asked[-1] <= max(2.0, once + each * 4)
    per_sample = asked[-1] * (1 - share) / count + asked[-1] * share / limit
    assert per_sample * limit == pytest.approx(once + each * limit)
