"""The radius by cross-validation."""

import warnings
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import KFold, StratifiedKFold, check_cv

from withstand.errors import InputError
from withstand.estimators.parameters import radius_of
from withstand.functional.random import derive_seed
from withstand.perturbations.base import Perturbation

NUM_DRAWS = 16  # per held-out row


def choose_radius(
    estimator: Any, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None
) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the radius of a grid that serves best under the noise of deployment, and what was measured.

    Every radius is trained on the same folds and meets the same draws of the noise, so radii are compared fold by fold.
    Of those whose mean score is within one standard error of the best one's (of the differences between the two over
    the folds, which the difficulty of a fold does not enter) the smallest is taken. Breiman's rule takes the simplest
    of the models that cannot be told apart; here that is the one that departs least from plain training, as what a
    radius costs is the score on clean rows, and nothing was stated that more of it would serve.

    Args:
        estimator: Not fitted; its `radii`, `deployment_noise` and `cv` count.
        x: Rows, float64.
        y: Labels or targets, as they came.
        sample_weight: Of the rows in training; in scores all count alike.

    Raises:
        InputError: If there is no grid or no noise.

    Source:
        Breiman, Friedman, Olshen, Stone: "Classification and Regression Trees", 1984, section 3.4.3.
        Differs: the standard error is that of paired differences, and a larger radius is not the simpler model.
    """
    who, num = type(estimator).__name__, x.shape[1]
    try:
        candidates = list(estimator.radii)
    except TypeError:
        candidates = []
    if not candidates:
        raise InputError(f"{who}: radii must be a list of at least one radius, got {estimator.radii!r}.")
    candidates.sort(key=lambda radius: float(np.mean(radius_of(who, radius, num, name="each of radii"))))
    noise, worst = estimator._noise(num), not isinstance(estimator.deployment_noise, Perturbation)
    folds = list(_folds(estimator, y).split(x, y))
    shape = len(candidates), len(folds)
    scores = {name: np.empty(shape) for name in ("clean", "noisy", *(["worst_case"] if worst else []))}
    for number, radius in enumerate(candidates):
        for fold, (train, test) in enumerate(folds):
            model: Any = clone(estimator)
            model.set_params(radius=radius, random_state=estimator.seed_, verbose=False)
            with warnings.catch_warnings():
                # The fit over all rows says it once.
                warnings.filterwarnings("ignore", f"{who}: columns with one value")
                model.fit(x[train], y[train], sample_weight=None if sample_weight is None else sample_weight[train])
            place, held_out = (number, fold), (x[test], y[test])
            scores["clean"][place] = model.score(*held_out)
            scores["noisy"][place] = model._noisy_score(*held_out, noise, rows=test, num_draws=NUM_DRAWS)
            if worst:
                ball = model._ball(estimator.deployment_noise, num)
                scores["worst_case"][place] = model._worst_score(*held_out, ball, steps=20, restarts=1, vertices=False)
    if not all(np.isfinite(values).all() for values in scores.values()):
        raise InputError(f"{who}: radius='cv' needs a score for every fold, got NaN; give cv folds of at least 2 rows.")
    chosen, shortfall, error = within_one_error(scores["noisy"])
    results: dict[str, np.ndarray] = {"radius": _column(candidates)}
    for name, values in scores.items():
        results[f"mean_{name}_score"] = values.mean(axis=1)
        results |= {f"split{fold}_{name}_score": values[:, fold] for fold in range(len(folds))}
    results |= {"mean_shortfall": shortfall, "standard_error_of_shortfall": error}
    results["is_chosen"] = np.arange(len(candidates)) == chosen
    return candidates[chosen], results


def within_one_error(scores: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the first of the candidates that fall short of the best by at most one standard error.

    Args:
        scores: One per candidate and fold; higher is better.

    Returns:
        Its number; by how much each falls short of the best mean, on average over the folds; and the standard errors of
        these means, which are 0 where there is one fold.

    Example:
        >>> import numpy as np
        >>> within_one_error(np.array([[0.5, 0.5], [0.7, 0.8], [0.8, 0.75]]))[0]
        1
    """
    short = scores[int(scores.mean(axis=1).argmax())] - scores
    num_folds = scores.shape[1]
    error = short.std(axis=1, ddof=1) / np.sqrt(num_folds) if num_folds > 1 else np.zeros(len(scores))
    mean = short.mean(axis=1)
    return int((mean <= error).argmax()), mean, error


def _folds(estimator: Any, y: np.ndarray) -> Any:
    if not isinstance(estimator.cv, Integral):
        return check_cv(estimator.cv, y, classifier=is_classifier(estimator))
    kind = StratifiedKFold if is_classifier(estimator) else KFold
    return kind(n_splits=int(estimator.cv), shuffle=True, random_state=derive_seed(estimator.seed_, "folds") % 2**32)


def _column(radii: list[Any]) -> np.ndarray:
    """Return the radii as an array with one entry each, whatever they are."""
    column = np.empty(len(radii), dtype=object)
    for number, radius in enumerate(radii):
        column[number] = radius
    return column
