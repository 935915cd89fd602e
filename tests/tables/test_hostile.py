"""Unusual models, labels and frames: a clear error or a correct result, never a raw exception."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier

from withstand.errors import InputError
from withstand.tables import fragility, robustness

QUICK = {"radius": {"a": 0.5}, "budget": "quick"}


def _frame() -> pd.DataFrame:
    return pd.DataFrame({"a": np.linspace(-2, 2, 20), "b": [0.5, 1.5] * 10}, index=range(100, 120))


class Step:
    """Class 1 above 0, with probabilities that a function changes."""

    def __init__(self, change=lambda found, table: found, classes=(0, 1)):
        self.change = change
        self.classes_ = np.array(classes, dtype=object)

    def predict_proba(self, table):
        one = 1 / (1 + np.exp(-table["a"].to_numpy()))
        return self.change(np.stack([1 - one, one], 1), table)


def _raise_far(found, table):
    if (table["a"] > 2.1).any():
        raise ValueError("too far")
    return found


NO_CLASSIFIERS = {
    "raises within the search": (Step(_raise_far), "too far"),
    "logarithms": (Step(lambda found, table: np.log(found)), "probabilities"),
    "nan": (Step(lambda found, table: np.where(table[["a"]] > 1, np.nan, found)), "probabilities"),
    "one probability per row": (Step(lambda found, table: found[:, 1]), "expected one of"),
    "several labels": (
        DecisionTreeClassifier().fit(_frame(), np.eye(2, dtype=int)[[0, 1] * 10]),
        "probabilities of shape",
    ),
    "regression": (LinearRegression().fit(_frame(), range(20)), "expected one of"),
}


@pytest.mark.parametrize("name", NO_CLASSIFIERS)
def test_models_that_do_not_predict_classes_are_refused(name):
    model, word = NO_CLASSIFIERS[name]
    with pytest.raises(InputError, match=word):
        fragility(model, _frame(), **QUICK)


@pytest.mark.parametrize("labels", [[{}] * 20, [[0], [1, 2]] * 10], ids=["dictionaries", "ragged"])
def test_labels_that_are_no_labels_are_refused(labels):
    for function in (fragility, robustness):
        with pytest.raises(InputError, match="y must"):
            function(Step(), _frame(), labels, **QUICK)


def test_labels_of_several_types():
    labels = np.array([0] * 10 + ["1"] * 10, dtype=object)

    def predict(table):
        return np.array([0, "1"], dtype=object)[(table["a"] > 0).astype(int)]

    assert fragility(predict, _frame(), labels, **QUICK).rows["correct"].all()


def test_exact_with_a_single_class():
    tree = DecisionTreeClassifier().fit(_frame(), [0] * 20)
    assert robustness(tree, _frame(), [0] * 20, exact=True, num_mean=0, **QUICK).certified == 1


def test_changed_rows_keep_their_index():
    assert fragility(Step(), _frame(), **QUICK).changed.index.equals(_frame().index)


def test_changes_to_empty_cells_of_nullable_types():
    frame = _frame().assign(flag=pd.array([None, True] * 10, dtype="boolean"))

    def when(found, table):
        return np.where(table[["flag"]].isna(), found, found[:, ::-1])

    found = fragility(Step(when), frame, changes={"flag": [True, None]}, budget="quick")
    assert len(found.rows) == 20
    assert (found.changed["flag"].isna() != frame["flag"].isna()).all()


def test_cells_that_are_no_values_are_refused():
    for cell in ([1], {}):
        with pytest.raises(InputError, match="column 'c'"):
            fragility(Step(), _frame().assign(c=[cell] * 20), **QUICK)


def test_a_column_that_follows_has_no_radius_of_its_own():
    frame = _frame().assign(twice=lambda table: 2 * table["a"])
    free = {"radius": {"a": 0.5, "twice": 0.2}, "rules": ["twice == 2 * a"], "budget": "quick"}
    found = fragility(Step(), frame, **free)
    assert found.rows["size"].max() <= 1
    assert any("'twice' follows" in each for each in found.notes)
