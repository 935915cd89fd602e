"""A model that is no better than guessing is pointed out."""

from dataclasses import replace

import pytest

from withstand.measuring.results import Results
from withstand.reports.chance import chance_notes
from withstand.reports.scores import Scores
from withstand.study.digest import Digest
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.study import Study

TOP1 = Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True)
CLASSES = ("a", "b", "c", "d")


def notes_of(folder):
    return chance_notes(Scores.gather(Digest.of(Study.of(folder))))


def right(label, number):
    """Return answers of which the first ones are correct."""
    return [each if place < number else (each + 1) % 4 for place, each in enumerate(label)]


@pytest.mark.parametrize(("hits", "is_said"), [(100, True), (115, True), (160, False), (40, True)])
def test_of_equal_classes_chance_is_one_of_them(keep_run, tmp_path, hits, is_said):
    label = [k % 4 for k in range(400)]
    keep_run(tmp_path / "net", {"clean": right(label, hits)}, label=label, classes=CLASSES)
    expected = "net is at chance level on clean inputs: not significantly above 25.0 % (one of 4 classes)."
    assert notes_of(tmp_path) == [expected] * is_said


def test_of_unequal_classes_chance_is_the_largest_one(keep_run, tmp_path):
    label = [0] * 280 + [1, 2, 3] * 40
    answers = {"clean": label, "fog/3": [0] * 400, "snow/3": right(label, 360)}
    keep_run(tmp_path / "net", answers, label=label, classes=CLASSES)
    expected = "net is at chance level under fog: not significantly above 70.0 % (always the largest class)."
    assert notes_of(tmp_path) == [expected]


@pytest.mark.parametrize(("kind", "number"), [("attacked", 0), ("", 1)])
def test_accuracy_under_attack_is_not_compared_with_chance(made_up_outcomes, kind, number):
    columns = {"clean": {"correct": [True] * 40}, "noise": {"correct": [False] * 40}}
    measures = {"clean": (TOP1,), "noise": (replace(TOP1, name="worst", kind="attacked") if kind else TOP1,)}
    results = Results({"net": made_up_outcomes(columns, measures, label=[0, 1] * 20)})
    assert len(chance_notes(Scores.gather(Digest.of(Study.of_results(results))))) == number
