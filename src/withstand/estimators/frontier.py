"""Plot of clean scores against scores under perturbation."""

from contextlib import nullcontext
from typing import Any, Literal, get_args

import numpy as np

from withstand.errors import InputError

Measure = Literal["noisy", "worst_case"]
LABELS = {"noisy": "under the deployment noise", "worst_case": "at the worst point"}


def draw_frontier(who: str, results: dict[str, np.ndarray], *, measure: str, ax: Any) -> Any:
    """Draw one point per radius and return the axes; see `RobustEstimator.plot_frontier`."""
    if measure not in get_args(Measure):
        raise InputError(f"{who}: measure must be noisy or worst_case, got {measure!r}.")
    if ax is not None and not hasattr(ax, "errorbar"):
        raise InputError(f"{who}: ax must be axes of Matplotlib, got {type(ax).__name__}.")
    if f"mean_{measure}_score" not in results:
        raise InputError(f"{who}: measure worst_case needs deployment_noise as a radius, got a Perturbation.")
    from matplotlib.patheffects import withStroke

    from withstand.reports.figures.tools.colours import BLUE, FAINT, INK, ORANGE
    from withstand.reports.figures.tools.style import figure_style

    # The user's axes keep their own style.
    with figure_style() if ax is None else nullcontext():
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots(figsize=(4.4, 3.3), layout="constrained")[1]
        clean, changed, chosen = results["mean_clean_score"], results[f"mean_{measure}_score"], results["is_chosen"]
        errors = results["standard_error_of_shortfall"] if measure == "noisy" else None
        colour = BLUE if measure == "noisy" else ORANGE
        ax.plot(clean, changed, color=colour, linewidth=0.8, zorder=1)
        ax.errorbar(
            clean, changed, errors, fmt="o", ms=4, color=colour, elinewidth=0.7, zorder=3, label=LABELS[measure]
        )
        ax.plot(clean[chosen], changed[chosen], "o", color=INK, ms=10, mfc="none", zorder=3, label="chosen radius")
        text = {
            "color": FAINT,
            "fontsize": 7,
            "path_effects": [withStroke(linewidth=2, foreground="white")],
            "zorder": 2,
        }
        for number, (radius, *place) in enumerate(zip(results["radius"], clean, changed, strict=True)):
            # Alternate sides, since neighbours are often close.
            side, align = (7, "left") if number % 2 == 0 else (-7, "right")
            ax.annotate(_words(radius), place, xytext=(side, 4), textcoords="offset points", ha=align, **text)
        ax.margins(x=0.12)
        ax.set(xlabel="score on clean rows (labels: training radius)", ylabel="score on perturbed rows")
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return ax


def _words(radius: Any) -> str:
    return f"{radius:g}" if np.ndim(radius) == 0 else f"mean {np.mean(radius):.3g}"
