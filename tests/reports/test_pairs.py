"""Differences of single runs have intervals over the samples, and the table says so."""

from dataclasses import replace

import numpy as np
import pytest

from withstand.measuring.results import Results
from withstand.reports.pairs import SamplePairs
from withstand.reports.scores import Scores
from withstand.reports.sheets import differences_sheet
from withstand.study.digest import Digest
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.study import Study

TOP1 = Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True)
OTHER = replace(TOP1, name="other", column="correct", words="other accuracy", topic="Others")
MEDIAN = Measure(name="distance", column="distance", reduction="median", words="median distance", better="higher")
PLAIN, ROBUST = [True] * 25 + [False] * 75, [False] * 5 + [True] * 65 + [False] * 30


def columns(right):
    return {"clean": {"correct": right, "distance": [float(each) for each in right]}}


@pytest.fixture
def digest(made_up_outcomes):
    measures = (TOP1, OTHER, MEDIAN)
    tables = {
        "robust": made_up_outcomes(columns(ROBUST), measures),
        "plain": made_up_outcomes(columns(PLAIN), measures),
        "elsewhere": made_up_outcomes(columns(ROBUST), measures, identifier=[f"{k}.png" for k in range(100)]),
    }
    return Digest.of(Study.of_results(Results(tables)))


def pairs_of(digest):
    return SamplePairs(digest=digest, scores=Scores.gather(digest))


def index_of(digest, name):
    return next(each.index for each in digest.combinations if each.name == name)


def test_the_interval_is_that_of_the_mean_of_the_samples_differences(digest):
    gains = np.subtract(ROBUST, PLAIN, dtype=float)
    half = 1.959964 * gains.std(ddof=1) / 10
    for name in ("top1", "other"):  # between groups of accuracies, and of any other share
        column = next(each for each in digest.columns if each.measure == name)
        found = pairs_of(digest).of(index_of(digest, "robust"), column)
        assert (found.low, found.high) == (pytest.approx(gains.mean() - half), pytest.approx(gains.mean() + half))
        assert found.samples == 100


def test_other_samples_and_medians_have_no_interval(digest):
    other, distance = (next(each for each in digest.columns if each.measure == name) for name in ("other", "distance"))
    assert pairs_of(digest).of(index_of(digest, "elsewhere"), other) is None
    assert pairs_of(digest).of(index_of(digest, "robust"), distance) is None


def test_the_table_says_what_its_intervals_are_over(digest):
    sheet = differences_sheet(digest, pairs=pairs_of(digest))
    assert "95 % interval over the test samples, paired" in sheet.caption
    assert "seeds" not in sheet.caption
    robust = next(line for line in sheet.lines if line[0].text == "robust")
    assert [each.tone for each in robust[2:]] == ["better", "better", ""]
    assert [bool(each.low) for each in robust[2:]] == [True, True, False]
    assert "Without an interval: Median distance." in sheet.notes
    # Without outcomes there is nothing to pair.
    assert "without an interval" in differences_sheet(digest).caption


def test_the_baseline_comes_first_and_its_choice_is_said(digest):
    assert [each.name for each in digest.combinations] == ["plain", "robust", "elsewhere"]
    assert digest.baseline_indices == (0,)
    assert "recognised by its name" in digest.baseline_choice
    chosen = Digest.of(digest.study, baseline=["name=elsewhere"])
    assert [each.name for each in chosen.combinations] == ["elsewhere", "plain", "robust"]
    assert "chosen with --baseline" in chosen.baseline_choice
    assert chosen.frame["name"].unique(maintain_order=True).to_list() == ["elsewhere", "plain", "robust"]
