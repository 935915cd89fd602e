"""RobustRegressor: what it promises."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score

from withstand.estimators.regressor import RobustRegressor
from withstand.objectives.adversarial_noise import AdversarialNoise
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.ball import Ball

OBJECTIVES = ("regular", "noise", "adversarial", "smoothed", "langevin")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_learns_in_units_of_the_target(objective, curve, small):
    small["epochs"] = 15
    regressor = RobustRegressor(objective, 0.1, num_draws=2, **small).fit(*curve)
    assert regressor.predict(curve[0]).shape == (120,)
    assert regressor.score(*curve) > 0.7
    assert regressor.target_offset_ == pytest.approx(curve[1].mean())
    assert regressor.target_scale_ == pytest.approx(curve[1].std())


def test_the_unit_of_the_target_changes_nothing_else(curve, small):
    x, y = curve
    first = RobustRegressor("smoothed", num_draws=2, **small).fit(x, y)
    second = RobustRegressor("smoothed", num_draws=2, **small).fit(x, 1024 * y)
    assert np.allclose(second.predict(x), 1024 * first.predict(x), rtol=1e-4)


def test_pickling_cloning_and_cross_validation(curve, small):
    x, y = curve
    regressor = RobustRegressor("noise", **small).fit(x, y)
    assert np.array_equal(pickle.loads(pickle.dumps(regressor)).predict(x), regressor.predict(x))
    assert np.array_equal(clone(regressor).fit(x, y).predict(x), regressor.predict(x))
    assert cross_val_score(regressor, x, y, cv=2, error_score="raise").shape == (2,)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_are_the_same_as_arrays(frame, curve, small):
    x, _ = curve
    table = frame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2]})
    regressor = RobustRegressor("noise", **small).fit(table, table["a"])
    plain = RobustRegressor("noise", **small).fit(x, x[:, 0])
    assert regressor.features_.names == ("a", "b", "c")
    assert np.array_equal(regressor.predict(table), plain.predict(x))
    assert regressor.robust_score(table, table["a"]) == plain.robust_score(x, x[:, 0])


def test_weights_of_plain_training_equal_rows_that_are_there_several_times(curve, small):
    x, y = curve
    times = np.arange(120) % 3
    small["batch_size"] = 1000
    weighted = RobustRegressor("regular", **small).fit(x, y, sample_weight=times * 0.5)
    repeated = RobustRegressor("regular", **small).fit(x.repeat(times, 0), y.repeat(times))
    unweighted = RobustRegressor("regular", **small).fit(x, y)
    assert np.allclose(weighted.predict(x), repeated.predict(x), atol=1e-3 * y.std())
    assert np.abs(weighted.predict(x) - unweighted.predict(x)).max() > 1e-2 * y.std()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_robust_score_of_a_linear_network_is_the_closed_form(norm, curve, small):
    x, y = curve
    regressor = RobustRegressor("regular", **{**small, "hidden": ()}).fit(x, y)
    slope = next(regressor.module_.parameters())[0].detach()
    dual = {"linf": 1, "l2": 2, "l1": float("inf")}[norm]
    error = regressor.predict(x) - y
    found = []
    for radius in (0.0, 0.1, 0.5):
        reach = radius * torch.linalg.vector_norm(slope, dual).item() * y.std()
        expected = r2_score(y, y + error + np.sign(error) * reach)
        found.append(regressor.robust_score(x, y, radius, norm=norm))
        # The ascent in an l2 ball comes close to the best point; vertices are met exactly.
        assert found[-1] == pytest.approx(expected, abs=1e-5 if norm != "l2" else 1e-2)
    assert found == sorted(found, reverse=True)


def test_the_robust_score_is_at_most_that_at_any_vertices_and_a_larger_budget_never_raises_it(curve, small):
    x, y = curve
    regressor = RobustRegressor("regular", **small).fit(x, y)
    budgets = ("quick", "standard", "thorough")
    few, _, many = (regressor.robust_score(x, y, 0.3, budget=each) for each in budgets)
    in_l2 = [regressor.robust_score(x, y, 0.3, norm="l2", budget=each) for each in budgets]
    assert many <= few < regressor.score(x, y)
    assert in_l2 == sorted(in_l2, reverse=True)
    assert in_l2[0] > in_l2[-1]
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert few <= regressor.score(x + 0.3 * x.std(0) * rng.choice([-1, 1], size=x.shape), y)


def test_the_loss_of_an_objective_that_is_given_becomes_the_squared_error(curve, small):
    small["epochs"] = 25
    objective = PerturbedRisk(perturbation=PGD(ball=Ball("linf", 0.1), steps=2))
    regressor = RobustRegressor(objective, **small).fit(*curve, sample_weight=np.arange(120) + 1.0)
    assert regressor.score(*curve) > 0.8


def test_an_objective_for_classes_is_refused(curve, small):
    with pytest.raises(ValueError, match="objective must be a PerturbedRisk or a name, got AdversarialNoise"):
        RobustRegressor(AdversarialNoise(radius=1.0), **small).fit(*curve)


def test_a_target_with_one_value_is_learned(curve, small):
    regressor = RobustRegressor("regular", **small).fit(curve[0], np.full(120, 5.0))
    assert np.allclose(regressor.predict(curve[0]), 5, atol=1)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a"] * 120, "RobustRegressor: y must hold numbers"),
        (np.full(120, 1e300), "RobustRegressor: y holds numbers too large to scale"),
        ([float("nan")] * 120, "Input y contains NaN"),
    ],
)
def test_targets_that_cannot_be_used_are_told_in_a_sentence(y, message, curve, small):
    if np.asarray(y).dtype.kind == "f" and np.isfinite(y).all():
        y = y * np.where(np.arange(120) % 2, 1, -1)
    with pytest.raises(ValueError, match=message):
        RobustRegressor("regular", **small).fit(curve[0], y)


def test_targets_to_score_against_are_checked(curve, small):
    x, y = curve
    regressor = RobustRegressor("regular", **small).fit(x, y)
    with pytest.raises(ValueError, match=r"RobustRegressor: y must hold one number per row \(120\), got 119\."):
        regressor.robust_score(x, y[:-1])
    with pytest.raises(ValueError, match="RobustRegressor: y must hold numbers"):
        regressor.robust_score(x, ["a"] * 120)
