"""Unusual models, labels and frames: a clear error or a correct result, never a raw exception."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from withstand.errors import InputError
from withstand.tables import compare, fragility, robustness

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
    "one probability per row": (Step(lambda found, table: found[:, 1]), "a class per row"),
    "sometimes one dimension": (
        Step(lambda found, table: found if len(table) == 20 else found[:, 1]),
        "probabilities of shape",
    ),
    "no class": (Step(lambda found, table: found[:, :0], classes=()), "probabilities of shape"),
    "several labels": (
        DecisionTreeClassifier().fit(_frame(), np.eye(2, dtype=int)[[0, 1] * 10]),
        "probabilities of shape",
    ),
    "regression": (LinearRegression().fit(_frame(), range(20)), "regressor"),
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


@pytest.mark.parametrize("end", [LinearRegression(), DecisionTreeRegressor(max_depth=1)])
def test_regressors_are_refused_by_name(end):
    for model in (end, make_pipeline(end)):
        with pytest.raises(InputError, match=f"regressor {type(model).__name__}"):
            fragility(model.fit(_frame(), np.linspace(0, 1, 20)), _frame(), **QUICK)


def test_answers_that_are_no_classes_are_told_from_those_that_are():
    with pytest.raises(InputError, match="a class per row"):
        robustness(lambda table: table["a"].to_numpy(), _frame(), [0] * 20, **QUICK)


def test_labels_are_required_where_answers_are_called_right():
    with pytest.raises(InputError, match="y must"):
        robustness(Step(), _frame(), None, **QUICK)
    with pytest.raises(InputError, match="y must"):
        compare({"step": Step()}, _frame(), None, **QUICK)


def test_columns_of_the_same_text_are_refused():
    frame = _frame().rename(columns={"a": 1, "b": "1"})
    with pytest.raises(InputError, match="differ as text"):
        fragility(lambda table: table[1] > 0, frame, radius={1: 0.5, "1": 0.1}, limits={1: (-9, 9)}, budget="quick")


@pytest.mark.parametrize("limits", [(np.nan, None), (None, np.nan), (0, np.nan), (2, 1), (np.inf, None)])
def test_limits_that_no_number_obeys_are_refused(limits):
    with pytest.raises(InputError, match="limits of 'a'"):
        fragility(Step(), _frame(), limits={"a": limits}, **QUICK)


@pytest.mark.parametrize("cells", [[1, 2] * 10, [Decimal(1), None] * 10], ids=["whole numbers", "decimals"])
def test_numbers_as_objects_are_told_from_categories(cells):
    frame = _frame().assign(c=pd.Series(cells, dtype=object, index=_frame().index))
    with pytest.raises(InputError, match="holds numbers as objects"):
        fragility(Step(), frame, radius={"c": 1}, budget="quick")
    assert any("'c' holds numbers as objects" in each for each in fragility(Step(), frame, radius=0.5).notes)


def test_a_column_with_changes_has_no_radius():
    with pytest.raises(InputError, match="moves by changes only"):
        fragility(Step(), _frame(), radius={"b": 1}, changes={"b": [0.5, 1.5]}, budget="quick")


@pytest.mark.parametrize(
    ("rows", "free", "why"),
    [
        (1, {"radius": 0.5}, "two values"),
        (20, {"radius": {"whole": 0.5}}, "whole numbers"),
        (1, {"radius": {"a": 0.5}, "unit": "std"}, "one value"),
    ],
)
def test_the_reason_why_nothing_may_change_is_told(rows, free, why):
    with pytest.raises(InputError, match=why):
        fragility(Step(), _frame().assign(whole=range(20))[:rows], budget="quick", **free)


def test_infinite_limits_are_none():
    found = fragility(Step(), _frame(), limits={"a": (-np.inf, np.inf)}, **QUICK)
    assert found.may_change == {"a": "by up to 0.5"}
    assert len(found.rows) == 4


def test_rows_that_break_a_rule_and_rows_that_break_a_limit_are_both_counted():
    (note,) = fragility(Step(), _frame(), rules=["a <= 1.9"], limits={"a": (-1.9, None)}, **QUICK).notes
    assert "1 of 20 rows break the rule" in note
    assert "1 of 20 rows lie outside" in note


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
