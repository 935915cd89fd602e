"""Gradient ascent with adaptive step sizes: one climb per row."""

from jaxtyping import Int
from torch import Tensor

from withstand.perturbations.search.climbs import NEW_SHARE, Climbs, SparseClimbs
from withstand.perturbations.search.frame import Place
from withstand.perturbations.search.target import Objective, Target

# Climbs with short steps end if even this many times their present rate would not take them to 0.
HOPE = 10.0


def ascend(
    target: Target, rows: Int[Tensor, " row"], start: Place, objective: Objective, *, steps: int, radius: float = 1.0
) -> tuple[Int[Tensor, " left"], Place]:
    """Climb from a start per row; rows leave once they are wrong in the unit ball, or converged.

    Args:
        target: The rows under attack.
        rows: Those that climb.
        start: Where they start.
        objective: What to increase; below 0 where the label wins.
        steps: Gradient steps, at least 1.
        radius: Radius of the ball in which they climb.

    Returns:
        The rows that have not left, and the highest points that they have seen.

    Source:
        Croce, Hein 2020, arXiv 2003.01690, algorithm 1; fra31/auto-attack, autoattack/autopgd_base.py, commit a392200.
        Differs: rows leave once they are wrong, or so slow that they cannot arrive.
    """
    slope = target.slope(start, rows, objective)
    kind = SparseClimbs if target.frame.norm == "l1" else Climbs
    climbs, when = kind.begin(rows, start, slope, radius), kind.checks(steps)
    for count in range(1, steps + 1):
        climbs.only(~target.is_broken[climbs.rows])
        if len(climbs.rows) == 0:
            break
        place = climbs.move(target.frame.rows(climbs.rows), 1.0 if count == 1 else NEW_SHARE, radius)
        climbs.arrive(target.slope(place, climbs.rows, objective))
        if count in when:
            rate = (climbs.best_value - climbs.last_best) / when[count]
            climbs.check(when[count], radius)
            converged = (climbs.step < radius / 16) & (rate * (steps - count) * HOPE < -climbs.best_value)
            climbs.only(~converged)
    climbs.only(~target.is_broken[climbs.rows])
    return climbs.rows, Place(climbs.best_u, climbs.best_picks)
