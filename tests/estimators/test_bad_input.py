"""What cannot be used is told in one sentence: who, what was expected, what came."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from withstand.errors import InputError
from withstand.estimators.classifier import RobustClassifier
from withstand.estimators.regressor import RobustRegressor


@pytest.mark.parametrize("kind", [RobustClassifier, RobustRegressor])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": -0.1}, r"radius must be a number >= 0, or one per feature, got -0\.1\."),
        ({"radius": float("nan")}, r"radius must be a number >= 0, or one per feature, got nan\."),
        ({"radius": [0.1, 0.1]}, r"radius must be a number or one per feature \(4\), got 2 of them\."),
        ({"radius": [[0.1] * 4]}, r"radius must be a number or one per feature \(4\), got shape \(1, 4\)\."),
        ({"radius": "best"}, r"radius must be a number, one per feature, or 'cv', got 'best'\."),
        ({"temperature": -1}, r"temperature must be .*at least 0, got -1\."),
        ({"temperature": float("nan")}, r"temperature must be .*at least 0, got nan\."),
        ({"temperature": "low"}, r"temperature must be .*at least 0, got 'low'\."),
        ({"epochs": 0}, r"epochs must be .*at least 1, got 0\."),
        ({"batch_size": 1.5}, r"batch_size must be .*at least 1, got 1\.5\."),
        ({"num_draws": 0}, r"num_draws must be .*at least 1, got 0\."),
        ({"num_draws": "many"}, r"num_draws must be .*at least 1, got 'many'\."),
        ({"lr": 0}, r"lr must be .*above 0 and finite, got 0\."),
        ({"lr": "fast"}, r"lr must be .*above 0 and finite, got 'fast'\."),
        ({"hidden": (8, 0)}, r"hidden must be whole numbers of at least 1, got \(8, 0\)\."),
        ({"objective": "smoth"}, r"objective must be an Objective or a name, got 'smoth'; did you mean smoothed\?"),
        ({"objective": 3}, "objective must be an Objective or a name, got 3; known: "),
        ({"objective": "smoothed", "norm": "l2"}, "objective smoothed needs the norm linf, got l2; langevin and"),
    ],
)
def test_parameters(kind, options, message, blobs, small):
    with pytest.raises(ValueError, match=f"^{kind.__name__}: {message}"):
        kind(**{"objective": "noise", **small, **options}).fit(*blobs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"calibrate": 0}, r"calibrate must be a share above 0 and at most 0\.5, got 0\."),
        ({"calibrate": 0.001}, r"calibrate=0\.001 of 120 rows holds out none; give more\."),
        ({"class_weight": {0: -1}}, r"class_weight must be >= 0 and not 0 for all, got \{0: -1\}\."),
        ({"class_weight": {0: float("nan")}}, r"class_weight must be >= 0 and not 0 for all, got \{0: nan\}\."),
    ],
)
def test_parameters_of_the_classifier_alone(options, message, blobs, small):
    with pytest.raises(ValueError, match=f"^RobustClassifier: {message}"):
        RobustClassifier("noise", **small, **options).fit(*blobs)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_named_by_place(value, blobs, small):
    x, y = blobs
    classifier = RobustClassifier("regular", **small).fit(pd.DataFrame(x, columns=list("abcd")), y)
    wrong = x.copy()
    wrong[3, 1] = value
    shown, hint = ("NaN", "; missing='impute' accepts empty cells") if np.isnan(value) else (value, "")
    message = rf"^RobustClassifier: X must hold finite numbers, got {shown} in row 3, column 'b'{hint}\.$"
    frame = pd.DataFrame(wrong, columns=list("abcd"))
    for call in (
        classifier.predict,
        lambda rows: classifier.robust_score(rows, y),
        lambda rows: classifier.fit(rows, y),
    ):
        with pytest.raises(ValueError, match=message):
            call(frame)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_text_is_refused(frame, small):
    table = frame({"size": [1.0, 2.0, 3.0], "colour": ["red", "green", "red"]})
    with pytest.raises(ValueError, match=r"^RobustClassifier: X must hold numbers, got text: .*red.*; encode"):
        RobustClassifier(**small).fit(table, [0, 1, 0])


def test_one_class_no_varying_column_and_wrong_weights(blobs, small):
    x, y = blobs
    classifier = RobustClassifier("regular", **small)
    with pytest.raises(ValueError, match=r"^RobustClassifier: y must have at least two classes, got one class: 'a'\.$"):
        classifier.fit(x, ["a"] * 120)
    with pytest.raises(ValueError, match=r"^RobustClassifier: X must have a column with at least two values, got none"):
        classifier.fit(np.ones((120, 2)), y)
    with pytest.raises(ValueError, match=r"^RobustClassifier: sample_weight must be numbers >= 0, got -1\.$"):
        classifier.fit(x, y, sample_weight=-np.ones(120))
    with pytest.raises(ValueError, match="sample_weight"):
        classifier.fit(x, y, sample_weight=np.ones(7))


def test_what_is_scored_against_must_be_known_and_as_long(blobs, small):
    x, y = blobs
    classifier = RobustClassifier("regular", **small).fit(x, y)
    with pytest.raises(ValueError, match=r"^RobustClassifier: y must hold classes of the training, got 7"):
        classifier.robust_score(x, np.where(y == 2, 7, y))
    with pytest.raises(ValueError, match=r"^RobustClassifier: y must hold one label per row \(120\), got 119\.$"):
        classifier.robust_score(x, y[1:])
    with pytest.raises(
        ValueError, match=r"^RobustClassifier.robust_score: budget must be quick, standard or thorough, got .cheap.\.$"
    ):
        classifier.robust_score(x, y, budget="cheap")
    with pytest.raises(ValueError, match=r"^RobustClassifier: radius must be a number >= 0, .* got -1\.$"):
        classifier.robust_score(x, y, -1)
    with pytest.raises(ValueError, match="X has 3 features, but RobustClassifier is expecting 4 features"):
        classifier.predict(x[:, :3])


def test_repeated_column_names_are_refused():
    frame = pd.DataFrame(np.eye(4), columns=["a", "b", "a", "c"])
    with pytest.raises(InputError, match="different names"):
        RobustClassifier("regular", epochs=1, device="cpu").fit(frame, [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("name", "values"), [("radius", (0.1, 0.2)), ("limits", ((0, 1), (0, 9))), ("changes", ([-1, 1], [-2, 2]))]
)
def test_a_column_is_not_given_both_by_name_and_by_place(name, values, blobs, small):
    x, y = blobs
    given = {name: dict(zip(("b", 1), values, strict=True))}
    with pytest.raises(ValueError, match=f"^RobustClassifier: {name}: column 'b' is given twice"):
        RobustClassifier("noise", **small, **given).fit(pd.DataFrame(x, columns=list("abcd")), y)


@pytest.mark.parametrize(
    "given",
    [{"radius": {2: 0.1}}, {"limits": {2: (-9, 9)}}, {"changes": {2: [-1, 1]}}, {"integer": [2]}, {"categorical": [2]}],
)
def test_a_number_that_is_another_column_by_name_than_by_place_is_refused(given, blobs, small):
    x, y = np.arange(480).reshape(120, 4) % 5, blobs[1]
    frame = pd.DataFrame(x).drop(columns=1)  # columns 0, 2, 3
    with pytest.raises(ValueError, match="column 2 may be a name or a place"):
        RobustClassifier("noise", **small, **given).fit(frame, y)
    plain = RobustClassifier("noise", **small).fit(frame, y)
    with pytest.raises(ValueError, match="column 2 may be a name or a place"):
        plain.robust_score(frame, y, {2: 0.1}, budget="quick")
    assert RobustClassifier("noise", **small, **given).fit(pd.DataFrame(x), y).n_features_in_ == 4
