"""Several models on the same rows, under the same changes."""

import numpy as np
import pytest
from scipy.special import expit

from withstand.errors import InputError
from withstand.tables import compare, robustness

FREE = {"radius": {"calls": 6.0, "data": 6.0}, "budget": "quick", "num_mean": 8}


@pytest.fixture(scope="module")
def frame(customers):
    return customers(40, seed=1)


@pytest.fixture(scope="module")
def found(fitted, frame):
    class Linear(type(fitted)):
        def predict_proba(self, table):
            leaves = expit(0.05 * (table["total"].to_numpy() - 60))
            return np.stack([leaves, 1 - leaves], 1)

    linear = Linear()
    return compare({"forest": fitted, "linear": linear, "again": fitted}, *frame, **FREE)


def test_each_model_has_the_numbers_that_it_has_alone(fitted, frame, found):
    alone = robustness(fitted, *frame, **FREE)
    for name in ("forest", "again"):
        own = {each["measure"]: each for each in found.table.to_dicts() if each["model"] == name}
        assert own["accuracy"]["value"] == alone.accuracy
        assert own["worst case"]["value"] == alone.worst_case
        assert own["mean over changes"]["value"] == pytest.approx(alone.mean)
        assert all(each["low"] <= each["value"] <= each["high"] for each in own.values())


def test_differences_are_those_of_the_same_rows(found):
    rows = {name: each.rows for name, each in found.models.items()}
    for each in found.table.filter(found.table["measure"] == "worst case").to_dicts():
        own, first = rows[each["model"]]["robust"], rows["forest"]["robust"]
        assert each["difference"] == pytest.approx(own.mean() - first.mean())
        assert each["difference_low"] <= each["difference"] <= each["difference_high"]
        if each["model"] != "linear":
            assert (each["difference_low"], each["difference_high"], each["p"]) == (0, 0, 1)


def test_it_reads_as_a_table_and_as_a_figure(found):
    assert all(name in str(found) for name in ("forest", "linear", "again", "worst case"))
    assert len(found.figure().axes) == 1


@pytest.mark.parametrize("models", [{}, None, [1], {1: None, "1": None}])
def test_no_models_are_refused(frame, models):
    with pytest.raises(InputError, match="models"):
        compare(models, *frame, **FREE)
