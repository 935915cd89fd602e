"""Exact answers agree with brute force over all cells of the trees, evaluated by the models themselves."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from withstand.certificates.trees.ensemble import last_float64
from withstand.errors import InputError
from withstand.functional.random import row_streams
from withstand.perturbations.attacks.coordinate_search import CoordinateSearch
from withstand.perturbations.search.frame import Frame
from withstand.perturbations.search.target import Target
from withstand.tables.exact import prove, read_trees
from withstand.tables.robust import robustness
from withstand.tables.search import Found, ask

MODELS = {
    "tree": DecisionTreeClassifier(random_state=0),
    "forest": RandomForestClassifier(5, max_depth=5, random_state=0),
    "pure forest": RandomForestClassifier(4, random_state=0),  # ties are frequent
    "extra trees": ExtraTreesClassifier(5, max_depth=5, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=5, random_state=0),
    "histograms": HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5, random_state=0),
}


def made(num_rows=160, num_classes=2, seed=0, holes=False):
    """Return rows of two numbers, a small whole number and a column without meaning, and labels."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_rows, 4)).round(2)
    x[:, 2] = rng.integers(0, 5, num_rows)
    score = x[:, 0] + np.sin(3 * x[:, 1]) + 0.4 * x[:, 2] + 0.5 * rng.normal(size=num_rows)
    y = np.searchsorted(np.quantile(score, np.arange(1, num_classes) / num_classes), score)
    if holes:
        x[rng.random(x.shape) < 0.1] = np.nan
    return x, y


def asked(model, table, y, *, seconds=30.0, **freedom):
    """Return which rows are right, flipped and proved, and the points, without any other search."""
    given = {"radius": None, "changes": {}, "unit": "raw", "norm": "linf", "limits": {}, "rules": ()} | freedom
    question = ask(model, table, y, names=(), who="robustness", **given)
    x = question.x
    none = Found(x, x, torch.empty(0), torch.empty(0))
    found, proved = prove(read_trees(model, question), question, none, seconds=seconds)
    right = question.subject.module(x).argmax(1) == question.labels
    flips = right & (question.subject.module(found.points).argmax(1) != question.labels)
    assert (flips == found.is_flipped).all()
    assert not (flips & proved).any()
    return right.numpy(), flips.numpy(), proved.numpy(), question.columns.table(found.points.numpy())


def cuts_of(model, feature):
    """Return the thresholds of a feature as the model has them."""
    if hasattr(model, "_predictors"):
        nodes = np.concatenate([each.nodes for stage in model._predictors for each in stage])
        return nodes["num_threshold"][(nodes["feature_idx"] == feature) & (nodes["is_leaf"] == 0)]
    trees = [model] if hasattr(model, "tree_") else np.ravel(model.estimators_)
    found = [each.tree_.threshold[each.tree_.feature == feature] for each in trees]
    return last_float64(np.concatenate(found))


def flips_by_force(model, row, label, radius, norm, whole=(2,)):
    """Return whether a cell of the thresholds in the ball has another answer, at its point nearest to the row."""
    values = []
    for feature, (value, reach) in enumerate(zip(row, radius, strict=True)):
        if reach == 0 or np.isnan(value):
            values.append([value])
        elif feature in whole:
            values.append(list(np.arange(value - reach, value + reach + 1)))
        else:
            cuts = cuts_of(model, feature)
            near = [
                *cuts[(cuts >= value - reach) & (cuts < value)],
                *np.nextafter(cuts[(cuts >= value) & (cuts < value + reach)], 9),
            ]
            values.append([value, *near])
    points = np.array(list(itertools.product(*values)))
    scaled = np.abs(points - row)[:, np.array(radius) > 0] / np.array([each for each in radius if each])
    scaled = np.nan_to_num(scaled)
    length = {"linf": scaled.max(1), "l1": scaled.sum(1), "l2": np.sqrt((scaled**2).sum(1))}[norm]
    return (model.predict(points[length <= 1 + 1e-9]) != label).any()


@pytest.mark.parametrize("norm", ["linf", "l1", "l2"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("num_classes", [2, 3])
def test_every_row_is_decided_as_by_force(name, norm, num_classes):
    x, y = made(num_classes=num_classes)
    model = MODELS[name].fit(x[:130], y[:130])
    radius = [0.2, 0.15, 1.0, 0.0]
    named = {f"x{number}": each for number, each in enumerate(radius)}
    right, flips, proved, _ = asked(model, x[130:], y[130:], radius=named, norm=norm)
    forced = [flips_by_force(model, *each, radius, norm) for each in zip(x[130:], y[130:], strict=True)]
    assert (flips == right & np.array(forced)).all()
    assert (proved == right & ~np.array(forced)).all()
    assert flips.any()
    assert proved.any()


@pytest.mark.parametrize("name", ["forest", "histograms"])
def test_thresholds_are_followed_back_through_scaling(name):
    x, y = made(seed=5)
    model = make_pipeline(StandardScaler(), MinMaxScaler(), clone(MODELS[name])).fit(x[:130], y[:130])
    radius = {"x0": 0.2, "x1": 0.15}
    right, flips, proved, _ = asked(model, x[130:], y[130:], radius=radius)
    assert (flips ^ proved == right).all()
    assert flips.any()
    rng = np.random.default_rng(0)
    for row, label in zip(x[130:][proved], y[130:][proved], strict=True):
        points = row + rng.choice([-1, 1, 0.5, -0.5], (300, 4)) * [0.2, 0.15, 0, 0]
        assert (model.predict(points) == label).all()
    with pytest.raises(InputError, match="exact"):
        asked(make_pipeline(PCA(2), clone(MODELS[name])).fit(x, y), x[:3], y[:3], radius=radius)


def test_empty_cells_stay_and_go_where_the_tree_sends_them():
    x, y = made(seed=1, holes=True)
    for name in ("forest", "histograms"):
        model = MODELS[name].fit(x[:130], y[:130])
        radius = {"x0": 0.2, "x1": 0.2}
        right, flips, proved, _ = asked(model, x[130:], y[130:], radius=radius)
        forced = [
            flips_by_force(model, *each, [0.2, 0.2, 0, 0], "linf", ()) for each in zip(x[130:], y[130:], strict=True)
        ]
        assert (flips == right & np.array(forced)).all()
        assert (proved == right & ~np.array(forced)).all()


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["tree", "histograms"])
def test_a_threshold_belongs_to_the_left(name, kind):
    x = (np.random.default_rng(0).integers(0, 40, (200, 1)) / 10).astype(kind)
    model = MODELS[name].fit(x, (x[:, 0] > 1.55).astype(int))
    (cut,) = {each for each in cuts_of(model, 0).tolist() if model.predict([[each]]) != model.predict([[each + 0.01]])}
    last = kind(cut) if kind(cut) <= cut else np.nextafter(kind(cut), kind(0))
    beyond = np.nextafter(last, kind(9))
    assert (model.predict([[last]])[0], model.predict([[beyond]])[0]) == (0, 1)
    row = np.array([[1.1]], dtype=kind)
    for end, is_beyond in ((last, False), (beyond, True)):
        _, flips, proved, points = asked(model, row, [0], radius={"x0": float(end) - float(row[0, 0])})
        assert (flips[0], proved[0]) == (is_beyond, not is_beyond)
        assert model.predict(points)[0] == is_beyond


def test_categories_of_numbers_and_booleans_take_their_values_only():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"a": rng.normal(size=120), "code": rng.choice([1.0, 2.0, 5.0], 120), "on": rng.random(120) < 0.5}
    )
    y = ((table.a + (table.code == 2) - table.on) > 0).to_numpy().astype(int)
    model = RandomForestClassifier(7, max_depth=6, random_state=0).fit(table, y)
    changes = {"code": [1.0, 2.0], "on": [True, False]}
    table, y = table[:30], y[:30]
    right, flips, proved, points = asked(model, table, y, radius={"a": 0.1}, changes=changes)
    for row in range(0, 30, 3):
        options = [[1.0, 2.0] if table.code[row] != 5 else [5.0], [True, False]]
        cells = {table.a[row], table.a[row] - 0.1, table.a[row] + 0.1}
        cuts = cuts_of(model, 0)
        cuts = cuts[np.abs(cuts - table.a[row]) < 0.1]
        cells |= {*cuts, *np.nextafter(cuts, 9)}
        grid = pd.DataFrame(list(itertools.product(cells, *options)), columns=["a", "code", "on"])
        forced = (model.predict(grid) != y[row]).any()
        assert flips[row] == (right[row] and forced)
        assert proved[row] == (right[row] and not forced)
    assert set(points.code) <= {1.0, 2.0, 5.0}
    assert (points.code == 5).tolist() == (table.code == 5).tolist()


def test_limits_and_rules_make_points_illegal_and_proofs_hold_without_rules():
    table = pd.DataFrame({"a": np.linspace(0, 1, 101), "b": 0.5})
    y = (table.a > 0.5).to_numpy().astype(int)
    model = DecisionTreeClassifier(random_state=0).fit(table, y)
    row, label, radius = table.iloc[[45]], y[[45]], {"a": 0.2, "b": 0.2}
    cases = {
        (True, False): {},
        (False, True): {"limits": {"a": (0, 0.5)}},  # proved, as the trees do not know of values above
        (False, False): {"rules": ["a <= 0.5"]},  # the proof would need the rule
    }
    for expected, given in cases.items():
        _, flips, proved, _ = asked(model, row, label, radius=radius, **given)
        assert (flips[0], proved[0]) == expected
    _, flips, _, points = asked(model, row, label, radius=radius, rules=["b == 1 - a"])
    assert not flips[0]  # an illegal row does not move
    _, flips, _, points = asked(model, row, label, radius=radius, rules=["b >= a"])
    assert flips[0]
    assert points.a.item() <= points.b.item()


def test_columns_that_follow_from_others_may_leave_the_ball():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.random(60), "b": rng.random(60)})
    table["total"] = table.a + table.b
    y = (table.total > 1).to_numpy().astype(int)
    model = DecisionTreeClassifier(random_state=0).fit(table.assign(a=0.0, b=0.0), y)
    _, flips, proved, points = asked(model, table, y, radius={"a": 0.1}, rules=["total == a + b"])
    cut = model.tree_.threshold[0]
    near = ((table.total - cut).abs() < 0.099).to_numpy()
    assert near.any()
    assert flips[near].all()
    assert not proved.any()  # without the rule, the total may have any value
    assert np.allclose(points.total, points.a + points.b)


def test_results_hold_what_is_proved():
    x, y = made(num_rows=136, seed=3)
    model = RandomForestClassifier(3, random_state=0).fit(x[:130], y[:130])
    found = robustness(model, x[130:], y[130:], radius=0.1, budget="quick", num_mean=0, exact=30.0)
    assert found.certified == found.worst_case
    assert (found.rows["proved"] == found.rows["robust"]).all()
    assert found.rows["proved"].any()
    assert "proved" in str(found)


def test_no_attack_breaks_what_is_proved():
    x, y = made(seed=3)
    model = RandomForestClassifier(10, random_state=0).fit(x[:100], y[:100])  # with ties
    question = ask(
        model, x[100:], y[100:], names=(), who="", radius=0.1, changes={}, unit="raw", norm="linf", limits={}, rules=()
    )
    _, flips, proved, _ = asked(model, x[100:], y[100:], radius=0.1)
    target = Target(
        question.subject.module, Frame(question.x, question.freedom.ball, question.freedom.space), question.labels
    )
    target.begin()
    rng = row_streams(0, index=torch.arange(len(x) - 100))
    CoordinateSearch(ball=question.freedom.ball, num_queries=1000).search(target, rng=rng)
    broken = target.is_broken.numpy()
    assert not (broken & proved).any()
    assert (broken & flips).sum() >= 0.9 * flips.sum()


def test_time_that_runs_out_leaves_rows_unknown():
    x, y = made(num_rows=400, seed=4)
    model = RandomForestClassifier(60, random_state=0).fit(x[:300], y[:300])
    right, flips, proved, _ = asked(model, x[300:330], y[300:330], radius=0.6, seconds=1e-9)
    assert (right & ~flips & ~proved).any()


def test_other_models_are_refused():
    x, y = made()
    with pytest.raises(InputError, match="exact"):
        robustness(
            LogisticRegression().fit(x, y), x[:2], y[:2], radius={"x0": 0.1}, exact=True, num_mean=0, budget="quick"
        )
