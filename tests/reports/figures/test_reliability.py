"""Reliability diagrams: their points are the bins of the calibration error."""

import numpy as np
import pytest

from withstand.measuring.results import Results
from withstand.reports.figures.pictures import pictures
from withstand.reports.figures.reliability import LEAST, reliability_pictures
from withstand.reports.figures.tools.style import figure_style
from withstand.study.measures.measure import Measure
from withstand.study.study import Study

ECE = Measure(
    name="ece",
    column="confidence",
    reduction="calibration_error",
    parameters={"bins": 5},
    words="calibration error",
    percent=True,
    better="lower",
)


@pytest.fixture
def study(made_up_outcomes):
    rng = np.random.default_rng(0)
    tables = {}
    for name, power in (("good", 1), ("sure", 3)):
        confidence = rng.uniform(0.3, 1, 400)
        columns = {"confidence": confidence, "correct": rng.random(400) < confidence**power}
        tables[name] = made_up_outcomes({"clean calibration": columns}, [ECE], data="Test", seed=0, shape=(2,))
    return Study.of_results(Results(tables))


def test_every_bin_with_enough_samples_is_a_point_with_its_accuracy(study):
    (picture,) = reliability_pictures(study)
    frame = study.table_of("sure").of("clean calibration").frame
    inside = frame.filter((frame["confidence"] > 0.6) & (frame["confidence"] <= 0.8))
    share = inside["correct"].mean()
    (text,) = [each for each in picture.values.values() if each.startswith("sure at confidence 70%")]
    assert f"{100 * share:.1f} %" in text
    shown = [each for each in picture.values.values() if each.startswith("sure")]
    counts = np.bincount(np.ceil(frame["confidence"].to_numpy() * 5).astype(int))
    assert len(shown) == (counts >= LEAST).sum()
    with figure_style():
        drawn = picture.draw()
    assert {"good", "sure"} <= {each.get_text() for axes in drawn.axes for each in axes.texts}


def test_it_is_among_the_pictures_of_a_report(study):
    assert [each.name for each in pictures(study)] == ["reliability-ece-clean-calibration"]


def test_without_a_calibration_error_there_is_none(made_up_outcomes):
    top1 = Measure(name="top1", column="correct")
    table = made_up_outcomes({"clean": {"correct": [True, False]}}, [top1], data="Test", seed=0, shape=(2,))
    assert reliability_pictures(Study.of_results(Results({"a": table}))) == []
