"""Columns that are categories, and empty cells: the same from every library, and never moved by halves."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from withstand.estimators.classifier import RobustClassifier
from withstand.estimators.reading import read_rows
from withstand.estimators.regressor import RobustRegressor


@pytest.fixture(scope="module")
def people() -> tuple[pd.DataFrame, np.ndarray]:
    """90 rows of two columns of numbers, a text, a truth value and a code."""
    rng = np.random.default_rng(0)
    plan = np.array(["basic", "plus", "top"])[np.arange(90) % 3]
    table = {"age": rng.normal(50, 9, 90), "plan": plan, "is_new": rng.random(90) < 0.5, "code": rng.integers(3, 7, 90)}
    y = ((plan == "plus") ^ (table["code"] > 4)).astype(int)
    return pd.DataFrame(table | {"fee": rng.normal(size=90)}), y


CATEGORIES = ["plan", "is_new", "code"]


def fitted(table, y, small, categorical=CATEGORIES, objective="noise", **options):
    return RobustClassifier(objective, 0.2, categorical=categorical, **small, **options).fit(table, y)


def test_levels_are_inputs_of_their_own_that_no_radius_moves(people, small):
    classifier = fitted(*people, small)
    known = classifier.features_
    levels = ["plan=basic", "plan=plus", "plan=top", "is_new=False", "is_new=True", *(f"code={k}" for k in range(3, 7))]
    assert list(known.names) == ["age", *levels, "fee"]
    assert known.movable == (True, *(False,) * 9, True)
    inputs = classifier.to_split(*people).x
    assert torch.equal(inputs[:, 1:10].sum(1), torch.full((90,), 3.0))
    assert classifier.n_features_in_ == 5


@pytest.mark.parametrize(
    "made",
    [
        lambda table: table.astype({"plan": "category", "code": "category"}),
        lambda table: table.astype({"plan": object}),
        pl.from_pandas,
        lambda table: pl.from_pandas(table).cast({"plan": pl.Categorical, "code": pl.Float64}),
        lambda table: pl.from_pandas(table).cast({"plan": pl.Enum(["top", "plus", "basic"])}),
        lambda table: table.to_numpy(dtype=object),
        lambda table: table.to_numpy(dtype=object).tolist(),
    ],
)
def test_frames_arrays_and_lists_give_the_same_model(made, people, small):
    table, y = people
    plain, other = fitted(table, y, small), fitted(made(table), y, small, categorical=[1, 2, 3])
    assert np.array_equal(other.predict_proba(made(table)), plain.predict_proba(table))
    assert other.robust_score(made(table), y, budget="quick") == plain.robust_score(table, y, budget="quick")


@pytest.mark.parametrize(
    "categorical", [[1, 2, 3], np.array([1, 2, 3]), [False, True, True, True, False], ("plan", 2, "code")]
)
def test_columns_are_named_by_name_place_or_mask(categorical, people, small):
    plain = fitted(*people, small)
    assert np.array_equal(fitted(*people, small, categorical).predict_proba(people[0]), plain.predict_proba(people[0]))


@pytest.mark.parametrize("made", [pd.DataFrame, pl.from_pandas])
def test_text_categories_and_truth_values_are_found_by_type(made, people, small):
    table, y = people
    classifier = fitted(made(table.astype({"plan": "category"})), y, small, "from_dtype")
    assert [name for name in classifier.features_.names if name.startswith(("plan", "is_new", "code"))] == [
        "plan=basic",
        "plan=plus",
        "plan=top",
        "is_new=False",
        "is_new=True",
        "code",
    ]


def test_numbers_in_an_array_can_be_categories_and_keep_its_precision(small):
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=60), rng.integers(10, 13, 60)]).astype(np.float32)
    before = x.copy()
    classifier = fitted(x, x[:, 1] == 11, small, [1])
    assert classifier.features_.names == ("x0", "x1=10", "x1=11", "x1=12")
    assert np.array_equal(x, before)
    read = read_rows(classifier, x)
    assert read.dtype == np.float32
    assert np.array_equal(read, x - [0, 10])


def test_an_unseen_level_is_all_zeros_with_a_warning_at_the_callers_line(people, small):
    table, y = people
    classifier = fitted(table, y, small)
    other = table.assign(plan=table["plan"].where(table.index != 4, "gold"))
    with pytest.warns(UserWarning, match=r"column 'plan': 1 of 90 rows have a level unseen .*'gold'") as caught:
        inputs = classifier.to_split(other, y).x
    assert [each.filename for each in caught] == [__file__]
    assert not inputs[4, 1:4].any()
    assert torch.equal(inputs[:4], classifier.to_split(table, y).x[:4])


def test_levels_of_rows_without_weight_are_unknown(people, small):
    table, y = people
    weights = (table["plan"] != "top").astype(float)
    kept = (weights > 0).to_numpy()
    weighted = RobustClassifier("noise", categorical=CATEGORIES, **small).fit(table, y, sample_weight=weights)
    alone = RobustClassifier("noise", categorical=CATEGORIES, **small).fit(table[kept], y[kept])
    assert weighted.features_ == alone.features_
    assert np.array_equal(weighted.predict_proba(table[kept]), alone.predict_proba(table[kept]))


def test_a_category_with_one_level_is_a_constant_that_changes_no_answer(people, small):
    table, y = people
    with pytest.warns(UserWarning, match="columns with one value are ignored: 'plan'"):
        classifier = fitted(table.assign(plan="same"), y, small)
    with pytest.warns(UserWarning, match="unseen in training"):
        other = classifier.predict_proba(table)
    assert np.array_equal(other, classifier.predict_proba(table.assign(plan="same")))


def test_pickling_cloning_and_a_search_in_a_pipeline(people, small):
    table, y = people
    classifier = fitted(
        table, y, small, changes={"plan": ["basic", "top"]}, limits={"age": (0, 110)}, rules=["age > 0"]
    )
    again = pickle.loads(pickle.dumps(classifier))
    assert np.array_equal(again.predict_proba(table), classifier.predict_proba(table))
    assert again.robust_score(table, y, budget="quick") == classifier.robust_score(table, y, budget="quick")
    assert np.array_equal(clone(classifier).fit(table, y).predict_proba(table), classifier.predict_proba(table))
    passed = ColumnTransformer(
        [("num", StandardScaler(), ["age", "fee"]), ("cat", "passthrough", CATEGORIES)]
    ).set_output(transform="pandas")
    own = RobustClassifier("noise", {"num__age": 0.2}, categorical=["cat__plan", "cat__is_new", "cat__code"], **small)
    search = GridSearchCV(make_pipeline(passed, own), {"robustclassifier__hidden": [(4,), (8,)]}, cv=2)
    search.fit(table, y)
    assert search.best_estimator_[-1].radius_ == (0.2, 0, 0, 0, 0)


def test_radii_are_chosen_by_cross_validation_for_columns_by_name(people, small):
    table, y = people
    options = {"radii": [{"age": 0.5}, 0.1], "deployment_noise": {"fee": 0.3}, "cv": 2}
    classifier = RobustClassifier(
        "noise", "cv", categorical=CATEGORIES, changes={"plan": ["basic", "top"]}, **options, **small
    )
    classifier.fit(table, y)
    assert (
        classifier.cv_results_["radius"].tolist() == [0.1, (0.5, 0.0, 0.0, 0.0, 0.0)]
        or len(classifier.cv_results_["radius"]) == 2
    )
    worst = classifier.cv_results_["mean_worst_case_score"]
    assert (worst <= classifier.cv_results_["mean_clean_score"]).all()
    classifier.plot_frontier()


def test_columns_that_look_one_hot_are_warned_of_where_a_radius_moves_them(people, small):
    table, y = people
    wide = pd.get_dummies(table, columns=["plan"], dtype=float)
    names = [name for name in wide.columns if name.startswith("plan_")]
    with pytest.warns(UserWarning, match=r"columns 'plan_basic', 'plan_plus', 'plan_top' look like one category.*"):
        classifier = RobustClassifier("noise", 0.2, **small).fit(wide, y)
    still = {name: 0.2 for name in wide.columns if name not in names}
    RobustClassifier("noise", still, **small).fit(wide, y).robust_score(wide, y, budget="quick")
    with pytest.warns(UserWarning, match="one category"):
        classifier.robust_score(wide, y, {"plan_top": 0.1}, budget="quick")
    encoder = ColumnTransformer([("cat", OneHotEncoder(), ["plan"])], remainder="passthrough")
    with pytest.warns(UserWarning, match="categorical"):
        make_pipeline(encoder, RobustClassifier("noise", 0.2, **small)).fit(table, y)


def holed(table, share=0.2):
    rng = np.random.default_rng(1)
    return table.astype({"is_new": object}).mask(rng.random(table.shape) < share)


@pytest.mark.parametrize("kind", [RobustClassifier, RobustRegressor])
@pytest.mark.parametrize("made", [pd.DataFrame, pl.from_pandas, lambda table: table.to_numpy(dtype=object)])
def test_empty_cells_are_medians_and_a_level_of_their_own(kind, made, people, small):
    table, y = people
    table = holed(table)
    model = kind("noise", 0.2, categorical=[1, 2, 3], missing="impute", **small).fit(made(table), y)
    names = model.features_.names
    assert [name.endswith("=missing") for name in names].count(True) == 3
    median = float(np.nanmedian(table["age"]))
    filled = table.assign(age=table["age"].fillna(median), fee=table["fee"].fillna(float(np.nanmedian(table["fee"]))))
    assert np.array_equal(model.predict(made(filled)), model.predict(made(table)))
    assert model.robust_score(made(table), y, budget="quick") <= model.score(made(table), y)
    assert model.__sklearn_tags__().input_tags.allow_nan


def test_empty_cells_are_refused_by_default_by_row_and_column(people, small):
    table, y = people
    for column in ("age", "plan"):
        wrong = table.astype({column: object})
        wrong.loc[3, column] = None
        with pytest.raises(ValueError, match=f"got NaN in row 3, column '{column}'"):
            fitted(wrong, y, small)
        with pytest.raises(ValueError, match=f"got NaN in row 3, column '{column}'"):
            fitted(table, y, small).predict(wrong)
    for column in ("age", "code"):
        with pytest.raises(ValueError, match=f"got inf in row 0, column '{column}'"):
            fitted(table.assign(**{column: np.inf}), y, small, missing="impute")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"categorical": ["plann"]}, "categorical: there is no column 'plann'; did you mean plan"),
        ({"categorical": "plan"}, "categorical must be a list of columns, or a mask, got plan"),
        ({"categorical": [True, False]}, r"categorical must be a mask of one per column \(5\), got 2"),
        ({"categorical": [5]}, "categorical: there is no column 5"),
        ({"categorical": None}, "X must hold numbers, got text: .*; encode it as numbers, or name .* categorical"),
        ({"missing": "drop"}, "missing must be refuse or impute, got 'drop'"),
        ({"radius": {"plan": 0.1}}, "column 'plan' is moved by changes only"),
        ({"radius": [0.1, 0.1, 0, 0, 0]}, "column 'plan' is moved by changes only"),
        ({"radius": {"agee": 0.1}}, "radius: there is no column 'agee'; did you mean age"),
        ({"radius": {"age": -1}}, "radius must be a number >= 0, or one per feature, got {'age': -1}"),
        ({"changes": {"plan": ["basic", "gold"]}}, "changes name the level 'gold'"),
        ({"changes": {"plan": ["basic"]}}, "at least two"),
        ({"changes": {"age": ["a"]}}, "must be numbers that may be added, got 'a'"),
        ({"changes": {"age": "a"}}, "must be a list of values, got a"),
        ({"changes": ["plan"]}, "changes must be a dictionary by column"),
        ({"changes": {"age": [1]}, "radius": {"age": 1}}, "column 'age' is moved by changes only"),
        ({"integer": ["age"]}, "integer: column 'age' must hold whole numbers, got "),
        ({"integer": ["plan"]}, "column 'plan' is a category"),
        ({"limits": {"age": (3, 1)}}, r"limits of 'age' must be \(lowest, highest\)"),
        ({"limits": {"age": 3}}, r"limits of 'age' must be \(lowest, highest\)"),
        ({"limits": {"plan": (0, 1)}}, "column 'plan' is a category"),
        ({"rules": "age > 0"}, "rules must be a list of text"),
        ({"rules": ["agee > 0"]}, "there is no column 'agee'"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence(options, message, people, small):
    table, y = people
    with pytest.raises(ValueError, match=message):
        RobustClassifier(**{"objective": "noise", "categorical": CATEGORIES, **small, **options}).fit(table, y)


def test_a_category_of_too_many_levels_is_refused(small):
    x = np.arange(300.0)[:, None]
    with pytest.raises(ValueError, match="at most 256 levels, got 300"):
        fitted(x, np.arange(300) % 2, small, [0])


def test_a_radius_that_moves_nothing_is_warned_of(people, small):
    table, y = people
    with pytest.warns(UserWarning, match="nothing moves within the radius"):
        classifier = fitted(table[["plan", "is_new"]], y, small, [0, 1])
    with pytest.warns(UserWarning, match="nothing moves"):
        assert classifier.robust_score(table[["plan", "is_new"]], y) == classifier.score(table[["plan", "is_new"]], y)


def test_cells_that_are_no_levels_and_tables_without_columns_are_refused(small):
    table = pd.DataFrame({"a": [[1], [2], [1], [2]], "b": range(4)})
    with pytest.raises(TypeError, match="column 'a': the argument must be a category of string, boolean or number"):
        fitted(table, [0, 1, 0, 1], small, ["a"])
    with pytest.raises(ValueError, match="0 feature"):
        fitted(np.empty((4, 0)), [0, 1, 0, 1], small, [0])


def test_a_warning_that_is_an_error_stays_a_warning(people, small):
    table, y = people
    with pytest.raises(UserWarning, match="unseen in training"):
        fitted(table, y, small).predict(table.assign(plan="gold"))
