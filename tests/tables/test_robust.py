"""The robustness of any fitted model on the columns of its table."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from withstand.errors import InputError
from withstand.estimators.classifier import RobustClassifier
from withstand.tables.robust import robustness

FREE = {
    "radius": {"tenure": 3, "calls": 8.0, "data": 8.0},
    "changes": {"plan": ["basic", "plus"]},
    "rules": ["total == calls + data", "if plan == 'plus': total >= 5"],
    "limits": {"tenure": (0, 72), "calls": (0, None), "data": (0, 150)},
}


@pytest.fixture(scope="module")
def frame(customers):
    return customers(40, seed=1)


@pytest.fixture(scope="module")
def found(fitted, frame):
    return robustness(fitted, *frame, **FREE, budget="quick")


def test_every_changed_row_is_legal_and_has_another_answer(fitted, frame, found):
    before, after = frame[0], found.changed
    moved = found.rows["num_columns"].to_numpy() > 0
    assert 5 < moved.sum() < len(before)
    assert list(after.columns) == list(before.columns)
    assert (after["paperless"] == before["paperless"]).all()
    pd.testing.assert_frame_equal(after[~moved], before[~moved])
    assert ((after["tenure"] - before["tenure"]).dropna().abs() <= 3).all()
    assert (after["tenure"].dropna() % 1 == 0).all()
    assert (after["tenure"].isna() == before["tenure"].isna()).all()
    for name in ("calls", "data"):
        assert ((after[name] - before[name]).abs() <= 8 + 1e-4).all()
        assert (after[name][moved] >= 0).all()
    assert ((after["total"] - after["calls"] - after["data"]).abs() < 1e-6).all()
    assert (after["total"][(after["plan"] == "plus").to_numpy() & moved] >= 5 - 1e-6).all()
    assert (after["plan"][before["plan"] == "pro"] == "pro").all()
    answers = fitted.predict(after)
    assert (answers[moved] != fitted.predict(before)[moved]).all()
    assert found.rows["new_prediction"].to_list() == [
        each if is_moved else None for each, is_moved in zip(answers, moved, strict=True)
    ]


@pytest.mark.slow
def test_a_pipeline_is_measured_on_the_columns_of_its_table(pipeline, frame):
    found = robustness(pipeline, *frame, **FREE, budget="quick")
    moved = found.rows["num_columns"].to_numpy() > 0
    assert ((pipeline.predict(found.changed) != pipeline.predict(frame[0])) == moved).all()
    assert found.worst_case < found.mean <= found.accuracy + 0.1


def test_the_numbers_are_those_of_the_rows(fitted, frame, found):
    rows = found.rows
    assert rows["correct"].to_list() == (fitted.predict(frame[0]) == frame[1]).tolist()
    assert found.accuracy == rows["correct"].mean()
    assert found.worst_case == rows["robust"].mean()
    assert found.worst_case_without_rules <= found.worst_case < found.mean <= 1
    assert (rows["robust"] == (rows["correct"] & (rows["num_columns"] == 0))).all()


def test_the_same_seed_gives_the_same_rows(fitted, frame, found):
    again = robustness(fitted, *frame, **FREE, budget="quick")
    assert again.rows.equals(found.rows)
    assert again.mean == found.mean


def test_frames_of_pandas_and_polars_agree(frame):
    x = frame[0][["calls", "data"]]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x.to_numpy(), frame[1])
    ask = {"radius": 4.0, "budget": "quick", "num_mean": 8}
    own = robustness(
        lambda table: model.predict_proba(np.asarray(table)), pl.from_pandas(x), frame[1] == "stays", **ask
    )
    array = robustness(model, x.to_numpy(), frame[1], **ask, names=["calls", "data"])
    assert isinstance(own.changed, pl.DataFrame)
    assert isinstance(array.changed, np.ndarray)
    assert own.rows["robust"].equals(array.rows["robust"])
    assert own.rows["change"].equals(array.rows["change"])


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_worst_case_of_a_linear_model_is_the_closed_form(norm):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5))
    weights = rng.normal(size=5)
    y = x @ weights + rng.normal(size=60) > 0
    radius, dual = 0.4, {"linf": 1, "l2": 2, "l1": np.inf}[norm]
    sure = np.abs(x @ weights) > radius * np.linalg.norm(weights, dual)

    def probability(table):
        positive = expit(table @ weights)
        return np.stack([1 - positive, positive], 1)

    found = robustness(probability, x, y, radius=radius, norm=norm, budget="quick", num_mean=0)
    exact = (((x @ weights) > 0) == y) & sure
    # Every robust row stays; some fragile ones may be missed by queries alone.
    assert found.rows["robust"].to_numpy()[exact].all()
    assert found.worst_case - exact.mean() <= 2 / 60


@pytest.mark.slow
def test_gradients_pass_the_preparation_of_a_pipeline(frame, customers, prepared):
    table, y = customers(160)
    model = prepared(RobustClassifier("regular", epochs=30, random_state=0, device="cpu")).fit(table, y)
    own = robustness(model, *frame, **FREE, budget="quick", num_mean=0)
    blind = robustness(lambda each: model.predict_proba(each), frame[0], y_of(model, frame), **FREE, budget="quick")
    assert abs(own.worst_case - blind.worst_case) <= 0.05


def y_of(model, frame):
    return np.searchsorted(model.classes_, frame[1])


def test_illegal_rows_stay_and_are_told(fitted, frame):
    broken = frame[0].assign(total=frame[0]["total"] + np.repeat([5.0, 0.0], [3, 37]))
    found = robustness(fitted, broken, frame[1], **FREE, budget="quick", num_mean=0)
    assert found.rows["num_columns"][:3].to_list() == [0, 0, 0]
    assert any("3 of 40 rows break" in each for each in found.notes)


WRONG = {
    "an unknown column": ({"radius": {"tenur": 1}}, "tenure"),
    "a radius below 0": ({"radius": -1.0}, "radius"),
    "a radius as text": ({"radius": {"tenure": "3"}}, "radius"),
    "nothing moves": ({}, "radius"),
    "a radius of a category": ({"radius": {"plan": 1}}, "changes"),
    "changes of an unknown column": ({"changes": {"plam": ["a", "b"]}}, "plan"),
    "an unknown level": ({"changes": {"plan": ["basic", "plsu"]}}, "plus"),
    "one level": ({"changes": {"plan": ["basic"]}}, "changes"),
    "an unknown unit": ({"radius": 1.0, "unit": "iqr"}, "unit"),
    "limits of one number": ({"radius": 1.0, "limits": {"tenure": 3}}, "limits"),
    "a limit of NaN": ({"radius": 1.0, "limits": {"tenure": (float("nan"), None)}}, "limits"),
    "limits of a category": ({"radius": 1.0, "limits": {"plan": (0, 1)}}, "limits"),
    "limits the wrong way": ({"radius": 1.0, "limits": {"tenure": (3, 1)}}, "limits"),
    "a rule of an unknown column": ({"radius": 1.0, "rules": ["totl == 1"]}, "total"),
    "a rule that calls": ({"radius": 1.0, "rules": ["__import__('os').system('x') == total"]}, "rule"),
    "an unknown budget": ({"radius": 1.0, "budget": "strong"}, "budget"),
    "a seed below 0": ({"radius": 1.0, "seed": -1}, "seed"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_named(fitted, frame, case):
    given, word = WRONG[case]
    with pytest.raises(InputError, match=word) as caught:
        robustness(fitted, *frame, **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "x", "y", "word"),
    [
        ("no model", None, None, "model"),
        (RobustClassifier, None, None, "model"),
        (LogisticRegression(), None, None, "model"),
        (None, "no table", None, "X"),
        (None, np.zeros(3), None, "X"),
        (None, pd.DataFrame(), None, "X"),
        (None, None, ["stays"], "y"),
        (None, None, ["never"] * 40, "never"),
    ],
)
def test_wrong_models_tables_and_labels_are_named(fitted, frame, model, x, y, word):
    asked = (fitted if model is None else model, frame[0] if x is None else x, frame[1] if y is None else y)
    with pytest.raises(InputError, match=word):
        robustness(*asked, radius={"calls": 1.0})
