"""Models, labels and frames that are not as they should be: an error of the user or a right answer, never a raw error."""

import numpy as np
import pandas as pd
import pytest
import torch
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


@pytest.mark.parametrize(
    "model",
    [
        Step(_raise_far),
        Step(lambda found, table: np.log(found)),
        Step(lambda found, table: np.where(table[["a"]] > 1, np.nan, found)),
        Step(lambda found, table: found[:, 1]),
        LinearRegression().fit(_frame().to_numpy(), range(20)).predict,
        DecisionTreeClassifier().fit(_frame(), np.eye(2, dtype=int)[[0, 1] * 10]),
    ],
    ids=["raises within the search", "logarithms", "nan", "one dimension", "regression", "several labels"],
)
def test_models_that_do_not_answer_as_classifiers_do_are_refused(model):
    with pytest.raises(InputError):
        fragility(model, _frame(), **QUICK)


@pytest.mark.parametrize("labels", [[{}] * 20, [[0], [1, 2]] * 10], ids=["dictionaries", "ragged"])
def test_labels_that_are_no_labels_are_refused(labels):
    for function in (fragility, robustness):
        with pytest.raises(InputError, match="y must"):
            function(Step(), _frame(), labels, **QUICK)


def test_labels_of_several_types():
    labels = np.array([0] * 10 + ["1"] * 10, dtype=object)
    assert fragility(Step(classes=(0, "1")), _frame(), labels, **QUICK).rows["right"].all()


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limits", {"a": (0, 10**400)}),
        ("limits", {"a": (None, float("nan"))}),
        ("radius", {"a": 10**400}),
        ("radius", {"a": float("nan")}),
        ("names", np.array(3)),
        ("rules", torch.tensor(3)),
        ("changes", {"z": [1, 2]}),
    ],
)
def test_arguments_that_fail_as_numbers_or_lists_do_are_refused_by_name(name, value):
    frame = _frame().rename(columns={"b": ("b", 1)})  # a name that is no text
    for function in (fragility, robustness):
        with pytest.raises(InputError, match=name):
            function(Step(), frame, [0] * 20, **QUICK | {name: value})
