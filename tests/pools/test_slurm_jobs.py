"""Evaluations and copies as jobs of Slurm, by submitit's processes on this machine: equal to those of one process."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from withstand.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # submitit does not wait for its processes
JOBS = ["--slurm", "--chunk", "3", "--slurm-options", "cluster=local"]


@pytest.fixture(autouse=True)
def _has_submitit():
    pytest.importorskip("submitit", reason="needs the extra cluster")


def content_of(folder: Path, *suffixes: str) -> dict[str, bytes]:
    own = [each for each in sorted(folder.rglob("*")) if each.is_file() and each.name.endswith(suffixes)]
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in own}


def test_an_evaluation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--data", "digits", "--model", "small-cnn", "--model.width", "4", "--epochs", "1", "--device", "cpu"]
    for name in ("alone", "jobs"):
        assert main(["train", *words, "--name", "run", "--output", name]) == 0
    on = ["--on", "clean", "contrast/3", "--batch-size", "40", "--device", "cpu"]
    (alone,), (jobs,) = Path("alone").iterdir(), Path("jobs").iterdir()
    assert main(["evaluate", str(alone), *on]) == 0
    assert main(["evaluate", str(jobs), *on, *JOBS]) == 0
    one, two = (content_of(each / "evaluations", "rows.jsonl", ".parquet") for each in (alone, jobs))
    assert len(one) > 2
    assert one == two
    assert list(jobs.glob("evaluations/*/jobs/*_submitted.pkl"))


def test_a_copy(tmp_path):
    random = np.random.default_rng(0)
    for number in range(150):
        path = tmp_path / "source" / f"class{number % 3}" / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    words = ["--corruptions", "contrast", "--size", "32", "--device", "cpu"]
    assert main(["corrupt", str(tmp_path / "source"), str(tmp_path / "alone"), *words, "-j", "0"]) == 0
    assert main(["corrupt", str(tmp_path / "source"), str(tmp_path / "together"), *words, *JOBS]) == 0
    alone, together = (content_of(tmp_path / each, ".JPEG", "SHA256SUMS") for each in ("alone", "together"))
    assert len(alone) == 150 * 5 + 1
    assert alone == together
    assert not (tmp_path / "together" / "jobs").exists()
