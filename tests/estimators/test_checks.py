"""Scikit-learn's own checks of estimators."""

import pytest
from sklearn.utils.estimator_checks import check_sample_weight_equivalence_on_dense_data, parametrize_with_checks

from withstand.estimators.classifier import RobustClassifier
from withstand.estimators.regressor import RobustRegressor
from withstand.perturbations.ball import Ball
from withstand.perturbations.uniform import Uniform

UNSEEN = "ignore:.*unseen in training:UserWarning"  # numbers that are no levels
SMALL = {"hidden": (32,), "epochs": 10, "lr": 0.01, "device": "cpu"}
NOISE = Uniform(ball=Ball("linf", 0.1))
CHOSEN = {"radius": "cv", "radii": (0.0, 0.1), "deployment_noise": NOISE, "cv": 2}
# docs/how-to/estimators.md says the same to users.
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "every row has its own random draws, even if it duplicates another row"
}


OPEN = {"categorical": [0], "missing": "impute"}
PLAIN = [RobustClassifier("regular", **SMALL), RobustRegressor("regular", **SMALL)]
OF_CATEGORIES = [RobustClassifier("regular", **OPEN, **SMALL), RobustRegressor("regular", **OPEN, **SMALL)]
ROBUST = [
    RobustClassifier("smoothed", num_draws=4, calibrate=0.2, class_weight="balanced", **SMALL),
    RobustRegressor("noise", **CHOSEN, **SMALL),
    RobustClassifier("adversarial", categorical=[0], **SMALL),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Skipping check:UserWarning", UNSEEN)
@parametrize_with_checks(ROBUST, expected_failed_checks=lambda _: EXPECTED)
def test_scikit_learn_accepts_robust_training(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [*PLAIN, *OF_CATEGORIES])
def test_with_plain_training_weights_are_repeated_rows_to_scikit_learn_too(estimator):
    check_sample_weight_equivalence_on_dense_data(type(estimator).__name__, estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Skipping check:UserWarning", UNSEEN)
@parametrize_with_checks([*PLAIN, *OF_CATEGORIES])
def test_scikit_learn_accepts_plain_training_without_exception(estimator, check):
    check(estimator)
