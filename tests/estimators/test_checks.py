"""Scikit-learn's own checks of estimators."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from withstand.estimators.classifier import RobustClassifier
from withstand.estimators.regressor import RobustRegressor
from withstand.perturbations.ball import Ball
from withstand.perturbations.uniform import Uniform

SMALL = {"hidden": (32,), "epochs": 10, "lr": 0.01, "device": "cpu"}
NOISE = Uniform(ball=Ball("linf", 0.1))
CHOSEN = {"radius": "cv", "radii": (0.0, 0.1), "deployment_noise": NOISE, "cv": 2}
# docs/estimators.md says the same to users.
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "every row meets draws of its own, also one that is there twice"
}


def expected(estimator):
    """Return what cannot hold where training draws at random; with plain training nothing is expected to fail."""
    return {} if estimator.objective == "regular" else EXPECTED


@pytest.mark.filterwarnings("ignore:Skipping check:UserWarning")
@parametrize_with_checks(
    [
        RobustClassifier("regular", **SMALL),
        RobustClassifier("smoothed", num_draws=4, calibrate=0.2, class_weight="balanced", **SMALL),
        RobustRegressor("regular", **SMALL),
        RobustRegressor("noise", **CHOSEN, **SMALL),
    ],
    expected_failed_checks=expected,
)
def test_scikit_learn_accepts_the_estimators(estimator, check):
    check(estimator)
