"""The radius by cross-validation, and the picture of what it costs and brings."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import KFold, StratifiedKFold, check_cv

from withstand.errors import InputError
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
    candidates = list(estimator.radii)
    if not candidates:
        raise InputError(f"{type(estimator).__name__}: radii must hold at least one radius, got none.")
    for each in candidates:
        estimator._ball(each, x.shape[1])
    candidates.sort(key=lambda radius: float(np.mean(radius)))
    noise, seed = estimator._noise(x.shape[1]), estimator.seed_
    folds = list(_folds(estimator, y).split(x, y))
    measured = ("clean", "noisy", *([] if isinstance(estimator.deployment_noise, Perturbation) else ["worst_case"]))
    scores = {name: np.empty((len(candidates), len(folds))) for name in measured}
    for number, radius in enumerate(candidates):
        for fold, (train, test) in enumerate(folds):
            model: Any = clone(estimator)
            model.set_params(radius=radius, random_state=seed, verbose=False)
            model.fit(x[train], y[train], sample_weight=None if sample_weight is None else sample_weight[train])
            place = number, fold
            scores["clean"][place] = model.score(x[test], y[test])
            scores["noisy"][place] = model._noisy_score(x[test], y[test], noise, rows=test, num_draws=NUM_DRAWS)
            if "worst_case" in scores:
                scores["worst_case"][place] = model._quick_robust_score(x[test], y[test], estimator.deployment_noise)
    noisy = scores["noisy"]
    means = noisy.mean(axis=1)
    short = noisy[int(means.argmax())] - noisy
    error = short.std(axis=1, ddof=1) / np.sqrt(len(folds)) if len(folds) > 1 else np.zeros(len(candidates))
    chosen = int((short.mean(axis=1) <= error).argmax())
    results: dict[str, np.ndarray] = {"radius": _column(candidates)}
    for name, values in scores.items():
        results[f"mean_{name}_score"] = values.mean(axis=1)
        results |= {f"split{fold}_{name}_score": values[:, fold] for fold in range(len(folds))}
    results |= {"mean_shortfall": short.mean(axis=1), "standard_error_of_shortfall": error}
    results["is_chosen"] = np.arange(len(candidates)) == chosen
    return candidates[chosen], results


def draw_frontier(results: dict[str, np.ndarray], chosen: Any, ax: Any) -> Any:
    """Draw the scores of the radii and return the axes; see `RobustEstimator.plot_frontier`."""
    from withstand.reports.figure import BLUE, FAINT, INK, ORANGE

    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots()[1]
    clean = results["mean_clean_score"]
    lines = {"noisy": ("under the noise of deployment", BLUE), "worst_case": ("at the worst point", ORANGE)}
    for name, (label, colour) in lines.items():
        if f"mean_{name}_score" in results:
            values = results[f"mean_{name}_score"]
            ax.plot(clean, values, marker="o", color=colour, label=label)
            ax.plot(clean[results["is_chosen"]], values[results["is_chosen"]], "o", color=INK, ms=11, mfc="none")
    for radius, x, y in zip(results["radius"], clean, results["mean_noisy_score"], strict=True):
        shown = f"{radius:g}" if np.ndim(radius) == 0 else f"mean {np.mean(radius):.3g}"
        ax.annotate(shown, (x, y), xytext=(4, 4), textcoords="offset points", color=FAINT, fontsize="small")
    size = f"{chosen:g}" if np.ndim(chosen) == 0 else f"mean {np.mean(chosen):.3g}"
    ax.set(xlabel="score on clean rows", ylabel="score on changed rows", title=f"One point per radius; chosen: {size}")
    ax.legend()
    return ax


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
