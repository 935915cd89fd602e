"""RobustClassifier: what it promises."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import withstand as ws
from withstand.data.tables.grid_stability import GridStability
from withstand.estimators.classifier import RobustClassifier
from withstand.evaluation.worst_case import WorstCase
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.ball import Ball
from withstand.perturbations.gaussian import Gaussian

OBJECTIVES = ("regular", "noise", "adversarial", "smoothed", "langevin")


def log_loss(classifier, x, y):
    return -classifier.predict_log_proba(x)[np.arange(len(y)), y].mean()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_learns_and_its_probabilities_sum_to_one(objective, blobs, small):
    x, y = blobs
    classifier = RobustClassifier(objective, 0.2, calibrate=0.2, num_draws=4, **small).fit(x, y)
    probabilities = classifier.predict_proba(x)
    assert probabilities.shape == (120, 3)
    assert np.abs(probabilities.sum(1) - 1).max() < 1e-12
    assert np.allclose(np.log(probabilities), classifier.predict_log_proba(x))
    assert np.array_equal(classifier.classes_[probabilities.argmax(1)], classifier.predict(x))
    assert classifier.score(x, y) > 0.75
    assert classifier.loss_curve_[-1] < classifier.loss_curve_[0]


@pytest.mark.parametrize("temperature", [0, 0.01, 1.0, float("inf")])
def test_temperatures_from_the_maximum_to_the_mean_can_be_trained(temperature, blobs, small):
    assert (
        RobustClassifier("smoothed", 0.2, temperature=temperature, num_draws=4, **small).fit(*blobs).score(*blobs) > 0.7
    )


def test_the_temperature_counts(blobs, small):
    low, high = (
        RobustClassifier("smoothed", 0.5, temperature=each, num_draws=4, **small).fit(*blobs).loss_curve_[-1]
        for each in (0, float("inf"))
    )
    assert low > high


def test_the_same_seed_gives_the_same_model_and_leaves_the_global_generators(blobs, small, untouched_generators):
    with untouched_generators():
        first, second, other = (
            RobustClassifier("smoothed", num_draws=2, random_state=seed, **small).fit(*blobs).predict_proba(blobs[0])
            for seed in (3, 3, 4)
        )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_generator_as_seed_is_asked_once_per_fit(blobs, small):
    random_state = np.random.RandomState(0)
    classifier = RobustClassifier("regular", random_state=random_state, **small)
    assert classifier.fit(*blobs).seed_ != classifier.fit(*blobs).seed_


def test_pickling_and_cloning_keep_everything(blobs, small):
    x, y = blobs
    classifier = RobustClassifier("noise", [0.1, 0, 0.1, 0.2], calibrate=0.2, **small).fit(x, y)
    again = pickle.loads(pickle.dumps(classifier))
    assert np.array_equal(again.predict_proba(x), classifier.predict_proba(x))
    assert again.robust_score(x, y, budget="quick") == classifier.robust_score(x, y, budget="quick")
    copy = clone(classifier)
    assert copy.get_params() == classifier.get_params()
    assert not hasattr(copy, "module_")
    assert np.array_equal(copy.fit(x, y).predict_proba(x), classifier.predict_proba(x))


def test_a_pipeline_in_a_grid_search_prefers_the_better_setting(blobs, small):
    pipeline = make_pipeline(MinMaxScaler(), RobustClassifier("noise", **small))
    search = GridSearchCV(pipeline, {"robustclassifier__radius": [0.1, 50.0]}, cv=2, error_score="raise").fit(*blobs)
    assert search.best_params_ == {"robustclassifier__radius": 0.1}
    assert search.predict(blobs[0][:5]).shape == (5,)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_are_the_same_as_arrays_and_keep_their_names(frame, blobs, small):
    x, y = blobs
    names = ["a", "b", "c", "d"]
    labels = np.array(["low", "middle", "high"])[y]
    table = frame({name: x[:, number] for number, name in enumerate(names)})
    series = pd.Series(labels) if frame is pd.DataFrame else pl.Series(labels)
    classifier = RobustClassifier("regular", **small).fit(table, series)
    plain = RobustClassifier("regular", **small).fit(x, labels)
    assert classifier.feature_names_in_.tolist() == list(classifier.features_.names) == names
    assert classifier.classes_.tolist() == ["high", "low", "middle"]
    assert np.array_equal(classifier.predict_proba(table), plain.predict_proba(x))
    assert classifier.robust_score(table, series, 0.1, budget="quick") == plain.robust_score(
        x, labels, 0.1, budget="quick"
    )
    with pytest.raises(ValueError, match="feature names"):
        classifier.predict(table[["b", "a", "c", "d"]])


def test_weights_of_plain_training_equal_rows_that_are_there_several_times(blobs, small):
    x, y = blobs
    times = np.arange(120) % 4
    small["batch_size"] = 1000  # one step per epoch, so that both take equally many
    weighted = RobustClassifier("regular", **small).fit(x, y, sample_weight=times * 7.0)
    repeated = RobustClassifier("regular", **small).fit(x.repeat(times, 0), y.repeat(times))
    unweighted = RobustClassifier("regular", **small).fit(x, y)
    assert np.allclose(weighted.predict_proba(x), repeated.predict_proba(x), atol=1e-4)
    assert np.abs(weighted.predict_proba(x) - unweighted.predict_proba(x)).max() > 1e-2


def test_weights_turn_robust_training_towards_their_rows_and_equal_ones_change_nothing(blobs, small):
    x, y = blobs
    settings = {"objective": "smoothed", "radius": 0.2, "num_draws": 2, **small}
    towards = [
        RobustClassifier(**settings).fit(x, y, sample_weight=np.where(y == kind, 20, 1)).predict(x) for kind in (0, 1)
    ]
    assert (towards[0] == 0).sum() > (towards[1] == 0).sum() + 20
    alike = RobustClassifier(**settings).fit(x, y, sample_weight=np.full(120, 5.0))
    assert np.array_equal(alike.predict_proba(x), RobustClassifier(**settings).fit(x, y).predict_proba(x))


def test_class_weights_are_weights_of_rows(blobs, small):
    x, y = blobs[0][:80], blobs[1][:80] > 1  # a third is True
    own = {False: 1.0, True: 9.0}
    by_class = RobustClassifier("regular", class_weight=own, **small).fit(x, y)
    by_row = RobustClassifier("regular", **small).fit(x, y, sample_weight=np.where(y, 9.0, 1.0))
    plain = RobustClassifier("regular", **small).fit(x, y)
    balanced = RobustClassifier("regular", class_weight="balanced", **small).fit(x, y)
    assert np.array_equal(by_class.predict_proba(x), by_row.predict_proba(x))
    shares = [each.predict_proba(x)[:, 1].mean() for each in (plain, balanced, by_class)]
    assert shares == sorted(shares)
    assert shares[0] < shares[2] - 0.05


def test_calibration_lowers_the_loss_on_new_rows_and_changes_no_decision(small):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 10))
    y = (x[:, 0] + 2 * rng.normal(size=600) > 0).astype(int)
    small |= {"epochs": 40, "hidden": (64,)}  # learns its rows by heart, and is far too sure
    classifier = RobustClassifier("regular", calibrate=0.3, **small).fit(x[:300], y[:300])
    calibrated, answers = log_loss(classifier, x[300:], y[300:]), classifier.predict(x)
    order = classifier.predict_proba(x)[:, 1].argsort()
    assert classifier.calibration_temperature_ > 1.5
    classifier.calibration_temperature_ = 1.0
    assert calibrated < 0.8 * log_loss(classifier, x[300:], y[300:])
    assert np.array_equal(answers, classifier.predict(x))
    assert np.array_equal(order, classifier.predict_proba(x)[:, 1].argsort())


def linear(x, y, small, **options):
    return RobustClassifier("regular", **{**small, "hidden": (), **options}).fit(x, y)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_robust_score_of_a_linear_network_is_the_closed_form(norm, blobs, small):
    x, y = blobs[0], blobs[1] > 0
    classifier = linear(x, y, small)
    weight, bias = list(classifier.module_.parameters())
    slope = (weight[1] - weight[0]).detach().double()
    dual = {"linf": 1, "l2": 2, "l1": float("inf")}[norm]
    scaled = torch.from_numpy((x - x.mean(0)) / x.std(0))
    margin = (scaled @ slope + (bias[1] - bias[0]).double()) * torch.from_numpy(np.where(y, 1.0, -1.0))
    scores = []
    for radius in (0.0, 0.2, 0.5, 1.0):
        expected = (margin > radius * torch.linalg.vector_norm(slope, dual)).double().mean().item()
        assert classifier.robust_score(x, y, radius, norm=norm, budget="quick") == pytest.approx(expected, abs=1e-9)
        scores.append(expected)
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < scores[0] == classifier.score(x, y)


def test_the_robust_score_is_at_most_that_at_any_vertices_and_a_larger_budget_never_raises_it(blobs, small):
    x, y = blobs
    classifier = RobustClassifier("regular", **small).fit(x, y)
    few, many = (classifier.robust_score(x, y, 0.4, budget=each) for each in ("quick", "standard"))
    assert many <= few < classifier.score(x, y)
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = x + 0.4 * x.std(0) * rng.choice([-1, 1], size=x.shape)
        assert few <= classifier.score(moved, y)


def test_masked_gradients_are_warned_of(blobs, small):
    x, y = blobs
    classifier = RobustClassifier("regular", **small).fit(x, y)
    classifier.module_.register_forward_hook(lambda module, inputs, logits: (300 * logits).tanh())
    with pytest.warns(UserWarning, match="RobustClassifier: Gradient masking"):
        classifier.robust_score(x, y, 0.2, budget="quick")


def test_the_unit_of_a_radius_is_that_of_the_table(blobs, small):
    x, y = blobs
    classifier = RobustClassifier("noise", 0.3, **small).fit(x, y)
    quartiles = np.quantile(x, 0.75, axis=0) - np.quantile(x, 0.25, axis=0)
    for unit, size in (("raw", x.std(0)), ("iqr", x.std(0) / quartiles)):
        same = RobustClassifier("noise", 0.3 * size, unit=unit, **small).fit(x, y)
        assert np.allclose(same.predict_proba(x), classifier.predict_proba(x), atol=1e-4)


def test_robust_training_prefers_a_feature_that_the_ball_cannot_turn(small):
    rng = np.random.default_rng(0)
    sign = rng.choice([-1, 1], size=300)
    strong = sign * np.where(rng.random(300) < 0.94, 1, -1)  # right for 94 percent, whatever moves by less than 1
    weak = 0.5 * sign[:, None] + rng.normal(size=(300, 8))  # right together for more, until all are moved
    small |= {"hidden": (), "lr": 0.03}
    x = np.column_stack([strong, weak])
    plain, robust = (RobustClassifier(each, 0.6, **small).fit(x, sign) for each in ("regular", "adversarial"))
    assert plain.score(x, sign) > robust.score(x, sign)
    assert robust.robust_score(x, sign, budget="quick") > plain.robust_score(x, sign, budget="quick") + 0.1


def test_an_objective_can_be_given(blobs, small):
    objective = PerturbedRisk(perturbation=Gaussian(std=0.3), num_draws=2)
    classifier = RobustClassifier(objective, **small).fit(*blobs, sample_weight=np.ones(120))
    assert classifier.score(*blobs) > 0.75


def test_a_split_for_evaluations_measures_the_same(blobs, small):
    x, y = blobs
    classifier = RobustClassifier("regular", **small).fit(x, y)
    split = classifier.to_split(x, y)
    assert split.features == classifier.features_
    results = ws.evaluate(
        classifier.module_, split, on=["clean", WorstCase(balls=(Ball("linf", 0.4),), budget="quick", num_mean=0)]
    )
    found = {row.measure: row.value for row in results.rows["model"]}
    assert found["top1"] == classifier.score(x, y)
    assert found["worst_case_top1"] == classifier.robust_score(x, y, 0.4, budget="quick") < found["top1"]


def test_a_failed_fit_leaves_no_model_behind(blobs, small):
    x, y = blobs
    classifier = RobustClassifier("regular", **small).fit(x, y)
    with pytest.raises(ValueError, match="two classes"):
        classifier.fit(x, np.zeros(120))
    with pytest.raises(ValueError, match="not fitted"):
        classifier.predict(x)


def test_lines_are_written_if_wished(blobs, small, capsys):
    RobustClassifier("regular", verbose=True, **small).fit(*blobs)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 8
    assert lines[-1].startswith("RobustClassifier: epoch 8/8: loss ")


def noisy_score(classifier, x, y, radius, num_draws):
    rng = np.random.default_rng(0)
    return np.mean([classifier.score(x + rng.uniform(-radius, radius, x.shape), y) for _ in range(num_draws)])


@pytest.mark.slow
def test_noise_training_beats_an_mlp_of_equal_size_under_noise_on_the_grid_table(data_root):
    """Both scale their features, and take 15 passes in batches of 128 with the same first learning rate."""
    data = GridStability(root=str(data_root))
    train, test = data.load("train"), data.load("test")
    x, y, x_test, y_test = (each.numpy() for each in (train.x, train.y, test.x, test.y))
    for seed in (0, 1):
        network = MLPClassifier((64, 64), batch_size=128, learning_rate_init=3e-3, max_iter=15, random_state=seed)
        network.n_iter_no_change = 15
        plain = make_pipeline(StandardScaler(), network)
        robust = RobustClassifier("noise", 1.0, hidden=(64, 64), epochs=15, random_state=seed, device="cpu")
        with pytest.warns(UserWarning, match="Maximum iterations"):
            plain.fit(x, y)
        robust.fit(x, y)
        ours, theirs = (noisy_score(each, x_test, y_test, x.std(0), 3) for each in (robust, plain))
        assert ours > theirs + 0.01
