"""README.md: the block of commands or Python under each heading runs exactly as written, and what is said around it is so."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SHELL = ["bash", "-euo", "pipefail", "-c"]
PYTHON = [sys.executable, "-c"]


def section(heading: str) -> str:
    """Return what stands between a heading and the next one."""
    (found,) = re.findall(rf"(?ms)^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", README)
    return found


def block(heading: str) -> str:
    """Return the one block of a section: runs of lines with four spaces in front, and empty ones between them."""
    (found,) = re.findall(r"(?m)^(?: {4}.*\n|\n(?= {4}|\n+ {4}))+", section(heading))
    return textwrap.dedent(found)


def run(program: list[str], heading: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a section's block as a reader would, in a folder of its own, without a network."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*program, block(heading)],
        cwd=folder,
        env=os.environ | {"PATH": path, "WITHSTAND_OFFLINE": "1", "COLUMNS": "80", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def photos(folder: Path) -> None:
    """Write pictures of 32 x 32 pixels in two classes: which half is bright."""
    generator = np.random.default_rng(0)
    for part, number in (("train", 10), ("val", 2)):
        for place, name in enumerate(("lower", "upper")):
            (folder / part / name).mkdir(parents=True)
            for count in range(number):
                pixels = generator.integers(0, 80, (32, 32, 3), dtype=np.uint8)
                pixels[16 * (1 - place) : 16 * (2 - place)] += 150
                Image.fromarray(pixels).save(folder / part / name / f"{count}.png")


def readings(path: Path) -> None:
    """Write a table of three sensors, which are in different units, and three classes."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 3))
    y = np.digitize(x[:, 0] + x[:, 1] * x[:, 2], (-0.6, 0.6))
    columns = dict(zip(("pressure", "temperature", "vibration"), (x * (3, 10, 0.1) + (20, 60, 1)).T, strict=True))
    pl.DataFrame(columns | {"state": [("loose", "good", "worn")[each] for each in y]}).write_csv(path)


@pytest.mark.slow
def test_the_story_of_a_folder_of_images(tmp_path):
    photos(tmp_path / "photos")
    done = run(SHELL, "A folder of images", tmp_path)
    header = next(line for line in done.stdout.splitlines() if "plain-" in line and "noisy-" in line)
    assert header.index("plain-") < header.index("noisy-")
    for condition in ("clean", "gaussian_noise", "glass_blur", "fog", "jpeg_compression", "mean of corruptions"):
        assert re.search(rf"(?m)^ {condition}\S* +\d+\.\d +\d+\.\d$", done.stdout), condition
    page = (tmp_path / "runs" / "report" / "index.html").read_text(encoding="utf-8")
    assert "plain" in page
    assert "noisy" in page


@pytest.mark.slow
def test_the_story_of_a_table(tmp_path):
    readings(tmp_path / "readings.csv")
    lines = run(PYTHON, "A table", tmp_path).stdout.splitlines()
    radius, score = re.findall(r"([\d.]+), right on ([\d.]+)%", lines[0])[0]
    assert float(radius) in (0.0, 0.1, 0.2, 0.4)
    scores = [float(re.findall(r": ([\d.]+)%$", line)[0]) for line in lines[1:]]
    assert len(scores) == 3
    assert 100 >= float(score) >= scores[0] >= scores[1] >= scores[2] >= 0
    assert float(score) > 60
    assert (tmp_path / "frontier.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_story_of_a_study(tmp_path):
    done = run(SHELL, "A study", tmp_path)
    assert re.search(r"(?m)^90 runs, 90 missing: at least .* of training; measuring comes on top", done.stdout)
    runs = tmp_path / "runs" / "moons-small"
    assert len(list(runs.glob("*/rows.jsonl"))) == len(list(runs.glob("*/model.safetensors"))) == 6
    assert not (tmp_path / "runs" / "moons").exists()
    for method in ("plain", "noise", "adversarial"):
        assert re.search(rf"(?m)^ radius 0.4, {method} +2/2 +\d", done.stdout)
    report = runs / "report"
    assert (report / "index.html").is_file()
    assert list((report / "tables").glob("*.tex"))
    assert list((report / "figures").glob("*.svg"))


@pytest.mark.slow
def test_the_lines_of_python(tmp_path):
    table = run(PYTHON, "In Python", tmp_path).stdout
    for condition in ("clean", "contrast", "Speckle std=0.3", "mean of corruptions"):
        assert re.search(rf"(?m)^\| {condition} \|.* \d+\.\d \|", table), condition


def test_pages_that_are_named_exist():
    for page in re.findall(r"\]\(((?!http)[^)#]+)", README):
        assert (Path(__file__).parents[1] / page).exists(), page
