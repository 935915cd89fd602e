"""docs/how-to/extending.md: calibration error, added as one file, is in every place; all files of the page work in the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import withstand
import withstand as ws
from withstand.rendering.terminal import as_text

PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "extending.md").read_text(encoding="utf-8")
# A file of the package: the heading or sentence that names it, then the first block of Python.
FILES = dict(re.findall(r"(?ms)`(?:src/withstand/)?(\w+/[\w/]+\.py)`:?$.*?^```python\n(.*?)^```$", PAGE))
PARSE = """
import importlib, shlex, sys

for line in sys.stdin.read().splitlines():
    command, *words = shlex.split(line)
    module = importlib.import_module(f"withstand.commands.{command}")
    real, found = module.parse, []

    def parse(*arguments, **options):
        found.append(real(*arguments, **options))
        raise KeyboardInterrupt

    module.parse = parse
    try:
        module.main(words)
    except KeyboardInterrupt:
        pass
    module.parse = real
    if command == "evaluate":
        from withstand.measuring.question import resolve

        for word in found[0].on:
            for each in resolve(word, (3, 32, 32), balls=(), pixels=None, frost="procedural"):
                print(each)
    else:
        print(found[0].as_dict())
"""


@pytest.fixture(scope="module")
def calibration_error() -> type:
    names = {"__name__": "calibration_error"}
    exec(FILES["evaluation/calibration_error.py"], names)
    return names["CalibrationError"]


@pytest.fixture(scope="module")
def model():
    """Sure of what it does not know: few steps, then large logits."""
    made = ws.SmallCNN(width=4).build((3, 32, 32), 10, seed=0)
    made = ws.fit(made, ws.Digits(), epochs=2, batch_size=64, optimizer=ws.Adam(lr=0.003), device="cpu")
    return torch.nn.Sequential(made, Louder()).eval()


class Louder(torch.nn.Module):
    def forward(self, x):
        return 5 * x


def by_hand(model, bins: int) -> float:
    """The error as in Guo et al. 2017, equation 3, bin by bin."""
    split = ws.Digits().load("test")
    (batch,) = split.batches([torch.arange(len(split))])
    with torch.no_grad():
        confidence, prediction = model(batch.x).softmax(1).max(1)
    right = prediction == batch.y
    error = 0.0
    for number in range(bins):
        inside = (confidence > number / bins) & (confidence <= (number + 1) / bins)
        if inside.any():
            gap = right[inside].double().mean() - confidence[inside].double().mean()
            error += float(gap.abs()) * int(inside.sum()) / len(split)
    return error


def test_the_file_is_about_as_long_as_the_page_promises(calibration_error):
    lines = FILES["evaluation/calibration_error.py"].splitlines()
    assert len([each for each in lines if each.strip()]) < 60


def test_calibration_error_is_in_rows_terminal_markdown_report_and_latex(calibration_error, model, tmp_path):
    results = ws.evaluate(model, ws.Digits(), on=["clean", calibration_error(bins=10)], device="cpu")
    (row,) = [each for each in results.rows["model"] if each.measure == "expected_calibration_error"]
    expected = by_hand(model, 10)
    assert expected > 0.05
    assert row.value == pytest.approx(expected, abs=1e-6)
    assert row.count == 359
    assert row.low is not None
    assert row.high is not None
    assert row.low < row.value < row.high

    number = f"{100 * expected:.1f}"
    words = "expected calibration error"
    terminal = as_text(results.tables())
    assert words in terminal
    assert re.search(rf"(?m)^ clean calibration +{number}\b", terminal)
    assert re.search(rf"\| clean calibration \| {number}\b", results.to_markdown())

    page = results.report(tmp_path / "report")
    text = page.read_text(encoding="utf-8").lower()
    assert words in text
    assert number in text
    latex = {path.name: path.read_text(encoding="utf-8") for path in (page.parent / "tables").glob("*.tex")}
    found = [name for name, each in latex.items() if words in each.lower() and number in each]
    assert "all.tex" in found
    assert len(found) >= 2


def test_several_models_are_compared_side_by_side(calibration_error, model):
    results = ws.evaluate({"loud": model, "soft": model[0]}, ws.Digits(), on=calibration_error(), device="cpu")
    values = {name: rows[0].value for name, rows in results.rows.items()}
    assert values == {
        "loud": pytest.approx(by_hand(model, 15), abs=1e-6),
        "soft": pytest.approx(by_hand(model[0], 15), abs=1e-6),
    }
    assert all(f"{100 * each:.1f}" in as_text(results.tables()) for each in values.values())


def test_every_family_has_a_file():
    assert [name.split("/")[0] for name in FILES] == [
        "evaluation",
        "perturbations",
        "perturbations",
        "objectives",
        "data",
    ]


@pytest.mark.slow
def test_files_in_the_package_are_found_by_name(tmp_path):
    source = Path(withstand.__file__).parent
    shutil.copytree(source, tmp_path / "withstand", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in FILES.items():
        assert not (source / name).exists()
        (tmp_path / "withstand" / name).write_text(text, encoding="utf-8")
    commands = re.findall(r"(?m)^withstand ((?:train|evaluate) .+)$", PAGE)
    assert len(commands) >= 8
    done = subprocess.run(
        [sys.executable, "-c", PARSE],
        input="\n".join(commands),
        env=os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for each in (
        "CalibrationError(bins=30)",
        "Missing(share=0.2)",
        "Posterize(severity=5",
        "PenalisedRisk(penalty=0.1)",
    ):
        assert each in done.stdout
    assert "Moons(" in done.stdout
