"""Choice of the radius by cross-validation."""

import warnings
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.base import clone, is_classifier
from sklearn.model_selection import KFold, StratifiedKFold, check_cv

from withstand.data.space import Space
from withstand.errors import InputError, told
from withstand.estimators.parameters import ball_of, radius_of
from withstand.estimators.rows import ROWS_AT_ONCE
from withstand.functional.random import derive_seed, row_streams
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.uniform import Uniform

NUM_DRAWS = 16  # per held-out row


def choose_radius(
    estimator: Any, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None
) -> tuple[Any, dict[str, np.ndarray]]:
    """Choose the radius from a grid by cross-validation under the deployment noise.

    All radii are trained on the same folds and receive the same draws of the noise, so they are compared fold by fold.
    The smallest radius is chosen whose mean score is within one standard error of the best, where the error is that of
    the paired differences. Breiman's rule takes the simplest of the models that do not differ significantly: here the
    one closest to plain training, since a larger radius costs clean accuracy.

    Args:
        estimator: Not fitted, with `radii`, `deployment_noise` and `cv`.
        x: Rows (row, column), as the estimator reads them.
        y: Labels or targets, unscaled.
        sample_weight: Weights of the rows in training; scores are unweighted.

    Returns:
        The radius, and the scores as `cv_results_`.

    Raises:
        InputError: If there is no grid or no noise.

    Source:
        Breiman, Friedman, Olshen, Stone: "Classification and Regression Trees", 1984, section 3.4.3.
        Differs: the standard error is that of paired differences, and a larger radius is not the simpler model.
    """
    candidates = _candidates(estimator)
    scores = _cross_validate(estimator, candidates, x, y, sample_weight)
    if not all(np.isfinite(values).all() for values in scores.values()):
        who = type(estimator).__name__
        raise InputError(f"{who}: radius='cv' needs a score for every fold, got NaN; give cv folds of at least 2 rows.")
    chosen, shortfall, error = within_one_error(scores["noisy"])
    results: dict[str, np.ndarray] = {"radius": _column(candidates)}
    for name, values in scores.items():
        results[f"mean_{name}_score"] = values.mean(axis=1)
        results |= {f"split{fold}_{name}_score": each for fold, each in enumerate(values.T)}
    results |= {"mean_shortfall": shortfall, "standard_error_of_shortfall": error}
    results["is_chosen"] = np.arange(len(candidates)) == chosen
    return candidates[chosen], results


def _candidates(estimator: Any) -> list[Any]:
    """Return the grid, ascending.

    Raises:
        InputError: If it is empty or holds something else than radii.
    """
    who = type(estimator).__name__
    try:
        candidates = [] if isinstance(estimator.radii, str) else list(estimator.radii)
    except TypeError:
        candidates = []
    if not candidates:
        raise InputError(f"{who}: radii must be a list of at least one radius, got {estimator.radii!r}.")
    names = estimator._encoding.names
    known = [radius_of(who, each, names, name="each of radii") for each in candidates]
    candidates = [own if isinstance(each, Mapping) else each for each, own in zip(candidates, known, strict=True)]
    return [candidates[place] for place in sorted(range(len(known)), key=lambda place: float(np.mean(known[place])))]


def _cross_validate(
    estimator: Any, candidates: list[Any], x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return the scores by name, each with a row per radius and a column per fold."""
    who, (noise, ball) = type(estimator).__name__, noise_of(estimator)
    try:
        folds = list(_folds(estimator, y).split(x, y))
    except (TypeError, ValueError) as problem:
        raise InputError(f"{who}: cv must be a number of folds or a splitter ({told(problem)}).") from problem
    scores: dict[str, np.ndarray] = {}
    for number, radius in enumerate(candidates):
        for fold, (train, test) in enumerate(folds):
            model: Any = clone(estimator)
            model.set_params(radius=radius, random_state=estimator.seed_, verbose=False)
            model._encoding = estimator._encoding
            with warnings.catch_warnings():
                # The fit on all rows warns once.
                warnings.filterwarnings("ignore", f"{who}: ")
                model._fit(x[train], y[train], None if sample_weight is None else sample_weight[train])
            for name, value in _scores(model, x[test], y[test], rows=test, noise=noise, ball=ball).items():
                scores.setdefault(name, np.empty((len(candidates), len(folds))))[number, fold] = value
    return scores


def _scores(
    model: Any, x: np.ndarray, y: np.ndarray, *, rows: np.ndarray, noise: Perturbation, ball: Ball | None
) -> dict[str, float]:
    """Return the scores of a fitted estimator on held-out rows by name."""
    clean = model._score_of(y, model._decide(model._outputs_of(x)))
    if ball is None:
        return {"clean": clean, "noisy": noisy_score(model, x, y, noise, model._freedom.space, rows=rows)}
    own, space = model._freedom.around(ball)
    noisy = noisy_score(model, x, y, Uniform(ball=own), space, rows=rows)
    return {"clean": clean, "noisy": noisy, "worst_case": model._worst_score(x, y, own, space, budget="quick")}


def noisy_score(
    model: Any,
    x: np.ndarray,
    y: np.ndarray,
    noise: Perturbation,
    space: Space,
    *,
    rows: np.ndarray,
    num_draws: int = NUM_DRAWS,
) -> float:
    """Return the mean score over draws of a noise; a row's draws depend only on its number."""
    rng = row_streams(0, "estimator/noise", index=torch.from_numpy(rows))
    noise.check(space)
    with torch.no_grad():
        draws = noise.draw(
            model._inputs(x), model._targets(y), model.module_, space=space, num_draws=num_draws, rng=rng
        )
    if draws.log_weights is not None:
        who = type(model).__name__
        raise InputError(f"{who}: noise must have equally likely draws, got {noise.condition}.")
    outputs = model._outputs(draws.inputs.flatten(0, 1).split(ROWS_AT_ONCE)).view(num_draws, len(x), -1)
    return float(np.mean([model._score_of(y, model._decide(each)) for each in outputs]))


def noise_of(estimator: Any) -> tuple[Perturbation, Ball | None]:
    """Return the deployment noise, and its ball if it was given as a radius."""
    noise = estimator.deployment_noise
    if noise is None:
        raise InputError(
            f"{type(estimator).__name__}: radius='cv' needs deployment_noise, the noise expected in use: a radius of "
            "uniform noise, or a Perturbation."
        )
    if isinstance(noise, Perturbation):
        return noise, None
    ball = ball_of(estimator, noise, estimator._encoding.names, name="deployment_noise")
    return Uniform(ball=ball), ball


def within_one_error(scores: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the first candidate that falls short of the best by at most one standard error.

    Args:
        scores: One per candidate and fold; higher is better.

    Returns:
        Its number; the mean shortfall of each from the best, over the folds; and the standard errors of these means, 0
        if there is one fold.

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
    """Return the radii as an array of objects, one entry each."""
    column = np.empty(len(radii), dtype=object)
    for number, radius in enumerate(radii):
        column[number] = radius
    return column
