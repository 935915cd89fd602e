"""mPC and rPC."""

import json
import math

import pytest

from withstand.detection import mpc
from withstand.errors import InputError

NESTED = {
    "fog": {0: 50.0, 1: 40.0, 2: 35.0, 3: 30.0, 4: 25.0, 5: 20.0},
    "snow": {0: 50.0, 1: 30.0, 2: 20.0, 3: 10.0, 4: 5.0, 5: 0.0},
}


def test_means_are_over_severities_then_corruptions_and_relative_to_clean():
    found = mpc(NESTED)
    assert found.by_corruption == {"fog": 30.0, "snow": 13.0}
    assert (found.mpc, found.clean) == (21.5, 50.0)
    assert found.rpc == pytest.approx(0.43)


def test_every_form_gives_the_same_numbers():
    pairs = {(name, severity): score for name, own in NESTED.items() for severity, score in own.items() if severity}
    assert mpc(pairs | {("clean", 0): 50.0}) == mpc(NESTED)
    assert mpc(pairs, clean=50.0) == mpc(NESTED)
    assert mpc(json.loads(json.dumps(NESTED))) == mpc(NESTED)


def test_without_a_clean_score_there_is_no_relative_performance():
    found = mpc({"fog": {1: 0.5}}, severities=(1,))
    assert (found.mpc, found.rpc, found.clean) == (0.5, None, None)


@pytest.mark.parametrize(
    ("results", "options", "words"),
    [
        ({"fog": {1: 40.0, 3: 30.0}}, {}, "missing fog/2, fog/4, fog/5"),
        (NESTED, {"corruptions": ("fog", "frost")}, "missing frost/1"),
        ({"fog": {0: 50.0}}, {}, "corruptions: expected at least one"),
        ({}, {}, "expected scores by corruption and severity"),
        ({"fog": 3.0}, {}, "fog: expected scores by severity, got 3.0"),
        ({"fog": {"high": 3.0}}, {}, "severity must be a whole number, at least 0, got high"),
        ({"fog": {2.7: 3.0}}, {"severities": (2,)}, "severity must be a whole number, at least 0, got 2.7"),
        ({"fog": {-1: 3.0}}, {"severities": (-1,)}, "severities.* must be at least 0, got -1"),
        ({"fog": {1: 3.0, "1": 4.0}}, {"severities": (1,)}, "expected one score per cell, got two for fog/1"),
        ({"fog": {1: 3.0}, ("fog", 1): 4.0}, {"severities": (1,)}, "got two for fog/1"),
        ({"fog": {1: math.nan}}, {}, "expected a finite score, got nan"),
        ({"fog": {1: {"AP": 3.0}}}, {}, "expected a finite score"),
        (NESTED, {"clean": 49.0}, "expected one clean score, got 49.0, 50.0"),
        ({"fog": {0: 0.0, 1: 0.0}}, {"severities": (1,)}, "clean score other than 0"),
    ],
)
def test_missing_cells_and_wrong_scores_are_refused(results, options, words):
    with pytest.raises(InputError, match=f"^mpc: .*{words}"):
        mpc(results, **options)
