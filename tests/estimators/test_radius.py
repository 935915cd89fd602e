"""radius='cv': the rule on constructed results, the choice on a table, and the frontier."""

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.model_selection import KFold

from withstand.estimators.classifier import RobustClassifier
from withstand.estimators.radius import noise_of, noisy_score, within_one_error
from withstand.estimators.regressor import RobustRegressor
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.gaussian import Gaussian

mpl.use("agg")


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [
        # Falls short by 0.01 on average, with a standard error of 0.01: not told apart.
        ([[0.80, 0.78], [0.80, 0.80]], 0),
        # The same mean, alike in both folds: certain.
        ([[0.79, 0.79], [0.80, 0.80]], 1),
        # The folds differ by far more than the candidates, which does not enter: the difference is certain.
        ([[0.49, 0.89], [0.50, 0.90]], 1),
        # The best is the first; no larger one is looked at.
        ([[0.80, 0.80], [0.80, 0.79]], 0),
        # The best is the last, the middle one is within its error, the first is not.
        ([[0.5, 0.5, 0.6], [0.80, 0.70, 0.78], [0.79, 0.75, 0.77]], 1),
        # One fold knows no error: the best.
        ([[0.7], [0.9], [0.8]], 1),
    ],
)
def test_the_first_candidate_within_one_standard_error_of_the_best_is_chosen(scores, chosen):
    assert within_one_error(np.array(scores))[0] == chosen


def test_shortfalls_and_their_standard_errors_are_those_of_paired_differences():
    _, mean, error = within_one_error(np.array([[0.1, 0.5, 0.6], [0.4, 0.6, 0.8]]))
    assert mean == pytest.approx([0.2, 0])
    assert error == pytest.approx([np.std([0.3, 0.1, 0.2], ddof=1) / 3**0.5, 0])


@pytest.fixture(scope="module")
def table():
    """Two columns that are right together, one of them exactly but hardly larger than the noise, and one roughly."""
    rng = np.random.default_rng(0)
    y = np.arange(240) % 2
    sign = 2 * y - 1
    return np.column_stack([sign * (1 + rng.random(240)), 0.6 * sign + rng.normal(size=240)]), y


@pytest.fixture(scope="module")
def chosen(table):
    """Chosen among radii in the wrong order, one of which is far too large."""
    settings = {"hidden": (16,), "epochs": 6, "batch_size": 32, "lr": 0.01, "device": "cpu", "cv": 3}
    return RobustClassifier("noise", "cv", radii=[30.0, 0.0, 0.5], deployment_noise=0.5, **settings).fit(*table)


def test_the_chosen_radius_is_that_of_a_fit_with_it(chosen, table):
    results = chosen.cv_results_
    assert results["radius"].tolist() == [0.0, 0.5, 30.0]
    scores = np.array([results[f"split{fold}_noisy_score"] for fold in range(3)]).T
    number, mean, error = within_one_error(scores)
    assert results["is_chosen"].tolist() == [each == number for each in range(3)]
    assert chosen.radius_ == results["radius"][number] < 30
    assert np.array_equal(results["mean_shortfall"], mean)
    assert np.array_equal(results["standard_error_of_shortfall"], error)
    assert np.array_equal(results["mean_noisy_score"], scores.mean(1))
    assert (results["mean_worst_case_score"] <= results["mean_noisy_score"]).all()
    options = chosen.get_params() | {"radius": chosen.radius_}
    alone = RobustClassifier(**options).fit(*table)
    assert np.array_equal(alone.predict_proba(table[0]), chosen.predict_proba(table[0]))


def test_scores_of_a_fold_are_those_under_the_stated_noise(chosen, table):
    x, y = table
    rng = np.random.default_rng(0)
    drawn = [chosen.score(x + 0.5 * x.std(0) * rng.uniform(-1, 1, x.shape), y) for _ in range(64)]
    noise = noise_of(chosen)[0]
    found = noisy_score(chosen, x, y, noise, chosen._freedom.space, rows=np.arange(240), num_draws=64)
    assert found == pytest.approx(np.mean(drawn), abs=0.01)
    assert found < chosen.score(x, y)


def test_a_regression_chooses_too_with_radii_per_feature_under_a_perturbation(curve, small):
    radii = [[0.0, 0.1, 0.0], 20.0]
    options = {"radii": radii, "deployment_noise": Gaussian(std=0.1), "cv": KFold(2), **small}
    regressor = RobustRegressor("noise", "cv", **options).fit(*curve)
    assert regressor.radius_ == (0.0, 0.1, 0.0)
    assert "mean_worst_case_score" not in regressor.cv_results_
    with pytest.raises(ValueError, match="RobustRegressor: measure worst_case needs deployment_noise as a radius"):
        regressor.plot_frontier(measure="worst_case")
    axes = regressor.plot_frontier()
    assert [each.get_text() for each in axes.texts] == ["mean 0.0333", "20"]


def test_the_choice_is_the_same_each_time_and_forgotten_by_a_fit_without_one(chosen, table):
    again = RobustClassifier(**chosen.get_params()).fit(*table)
    assert again.radius_ == chosen.radius_
    assert np.array_equal(again.cv_results_["mean_noisy_score"], chosen.cv_results_["mean_noisy_score"])
    again.set_params(radius=0.1).fit(*table)
    assert again.radius_ == 0.1
    assert not hasattr(again, "cv_results_")
    with pytest.raises(ValueError, match="RobustClassifier: plot_frontier needs a fit with radius='cv'"):
        again.plot_frontier()


@pytest.mark.parametrize("measure", ["noisy", "worst_case"])
def test_the_frontier_has_a_point_per_radius_and_marks_the_chosen_one(measure, chosen):
    from matplotlib import pyplot

    before = dict(mpl.rcParams)
    axes = chosen.plot_frontier(measure=measure)
    line, ring = axes.lines[0], axes.lines[-1]
    results = chosen.cv_results_
    assert line.get_xdata().tolist() == results["mean_clean_score"].tolist()
    assert line.get_ydata().tolist() == results[f"mean_{measure}_score"].tolist()
    number = results["is_chosen"].argmax()
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (line.get_xdata()[number], line.get_ydata()[number])
    assert [each.get_text() for each in axes.texts] == ["0", "0.5", "30"]
    assert chosen.plot_frontier(axes, measure=measure) is axes
    assert dict(mpl.rcParams) == before
    pyplot.close(axes.figure)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deployment_noise": None}, "radius='cv' needs deployment_noise"),
        ({"deployment_noise": Tilted()}, "noise must have equally likely draws, got .*, Tilted"),
        ({"deployment_noise": -1}, "deployment_noise must be a number >= 0, or one per feature, got -1"),
        ({"radii": ()}, r"radii must be a list of at least one radius, got \(\)"),
        ({"radii": 0.1}, r"radii must be a list of at least one radius, got 0\.1"),
        ({"radii": [0.1, -1]}, "each of radii must be a number >= 0, or one per feature, got -1"),
        ({"radii": [[0.1] * 3]}, r"each of radii must be a number or one per feature \(2\), got 3 of them"),
        ({"objective": "regular"}, "radius='cv' needs an objective by name that has a radius"),
    ],
)
def test_what_cannot_be_chosen_from_is_told_in_a_sentence(options, message, table, small):
    settings = {"objective": "noise", "radius": "cv", "deployment_noise": 0.1, "cv": 2, **small, **options}
    with pytest.raises(ValueError, match=message) as error:
        RobustClassifier(**settings).fit(*table)
    assert str(error.value).startswith("RobustClassifier: ")


@pytest.mark.filterwarnings("ignore:R.2 score is not well-defined")
def test_folds_of_one_row_have_no_score_of_a_regression(curve, small):
    x, y = curve[0][:4], curve[1][:4]
    with pytest.raises(ValueError, match="RobustRegressor: radius='cv' needs a score for every fold, got NaN"):
        RobustRegressor("noise", "cv", radii=[0.1], deployment_noise=0.1, cv=4, **small).fit(x, y)


def test_an_unknown_measure_is_refused(chosen):
    with pytest.raises(ValueError, match="measure must be noisy or worst_case, got 'clean'"):
        chosen.plot_frontier(measure="clean")


def test_a_class_that_a_fold_never_saw_in_training_is_wrong_there(table, small):
    x, y = table
    labels = np.where(np.arange(240) == 7, "once", np.where(y == 1, "b", "a"))
    options = {"radii": [0.1], "deployment_noise": 0.1, "cv": KFold(2), **small}
    classifier = RobustClassifier("noise", "cv", **options).fit(x, labels)
    assert classifier.classes_.tolist() == ["a", "b", "once"]
    assert classifier.cv_results_["split0_worst_case_score"][0] <= 119 / 120
