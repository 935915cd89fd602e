"""Search over single features and small sets of them, for tables and models such as trees."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from withstand.functional.margins import margin
from withstand.functional.random import RowStreams, uniform
from withstand.functional.tensors import PerRow
from withstand.limits import PositiveInt
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.search.frame import Frame
from withstand.perturbations.search.single_moves import Candidates, Coordinates, SingleMoves, fitted, limits, power_of
from withstand.perturbations.search.target import Target

NUM_MIXED = 32  # points of a round in which several features change
NUM_CLASSES = 9  # classes that a round aims at
STEPS = (0.03, 0.3, 3.0)  # lengths of steps along estimated gradients, in l2 balls
PATIENCE = 2  # rounds without progress before a restart


@dataclass(frozen=True, kw_only=True)
class CoordinateSearch(Attack):
    """Greedy search without gradients that moves single features, and then several together, across thresholds.

    A round first tries values of every feature, and options of discrete changes, one at a time. It then combines the
    best of them, for the margin and towards each class, and random sets of those that had an effect; the best point is
    kept. Rows without progress restart from a mix of their best point and a random one, towards a random class. In l1
    and l2 balls, displacements shrink as long as the margin does not fall, which leaves room for other features.

    Use it for inputs of up to a few hundred features, above all with models that are constant between thresholds.

    Attributes:
        num_queries: Forward passes per row, at least 1.
    """

    needs_gradient: ClassVar[bool] = False
    num_queries: PositiveInt = 1000

    def search(self, target: Target, *, rng: RowStreams) -> None:
        """Run rounds until the query budget is used up; every other round also tries values between the ends."""
        if len(target.rows) == 0:
            return
        climb = _Climb.start(target)
        left, is_fine = self.num_queries - 1, False
        while left > 0 and len(climb.rows):
            own = rng.subset(climb.rows)
            moves = SingleMoves.around(climb.frame, climb.here, is_fine=is_fine, most=left, rng=own)
            left, is_fine = left - moves.points.shape[1], not is_fine
            outputs = climb.outputs_at(target, moves.points)
            on = ~target.is_broken[climb.rows]
            climb, moves, outputs, own = climb.keep(on), moves.keep(on), outputs[on], own.subset(on.nonzero()[:, 0])
            if left <= 0 or len(climb.rows) == 0:
                return
            together = torch.cat([*_together(climb, moves, outputs), _mixed(climb, moves, outputs, rng=own)], 1)
            together = together[:, :left]
            left -= together.shape[1]
            outputs = torch.cat([outputs, climb.outputs_at(target, together)], 1)
            climb = climb.moved(torch.cat([moves.points, together], 1), outputs, rng=own)
            climb = climb.keep(~target.is_broken[climb.rows])
            if left > 0 and len(climb.rows):
                left -= 1
                climb = climb.restarted(target, rng=rng.subset(climb.rows))
                climb = climb.keep(~target.is_broken[climb.rows])

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """An linf ball, where features do not share the radius, and an l1 ball, where they do."""
        return [cls(ball=Ball(norm, 0.3), num_queries=40) for norm in ("linf", "l1")]


class _Climb(NamedTuple):
    """State of the search.

    Attributes:
        rows: Rows of the target.
        frame: Their frame.
        y: Their labels.
        goal: Class that the search aims at; the label stands for any other class.
        here: Present points.
        outputs: Logits there.
        best: Points of the largest margins so far.
        best_margin: These margins.
        stuck: Rounds without progress.
    """

    rows: Int[Tensor, " batch"]
    frame: Frame
    y: Int[Tensor, " batch"]
    goal: Int[Tensor, " batch"]
    here: Coordinates
    outputs: Float[Tensor, "batch class"]
    best: Coordinates
    best_margin: PerRow
    stuck: Int[Tensor, " batch"]

    @classmethod
    def start(cls, target: Target) -> "_Climb":
        """Begin at the rows themselves."""
        rows = target.rows
        frame, y = target.frame.rows(rows), target.y[rows]
        centre = frame.centre
        here = torch.cat([centre.u, centre.picks.to(centre.u.dtype)], 1)
        outputs = target.logits(centre, rows)
        start = cls(rows, frame, y, y, here, outputs, here, margin(outputs, y), torch.zeros_like(rows))
        return start.keep(~target.is_broken[rows])

    def keep(self, on: Bool[Tensor, " batch"]) -> "_Climb":
        """Return the rows of a mask."""
        if on.all():
            return self
        return _Climb(self.rows[on], self.frame.rows(on), *(each[on] for each in self[2:]))

    def outputs_at(self, target: Target, points: Candidates) -> Float[Tensor, "batch candidate class"]:
        """Return the logits at candidates."""
        features = self.frame.low.shape[1]
        logits = target.logits_at(points[..., :features], points[..., features:].long(), self.rows)
        return logits.nan_to_num(nan=-torch.inf)

    def value(self, outputs: Float[Tensor, "batch candidate class"]) -> Float[Tensor, "batch candidate"]:
        """Return the lead of the goal over the label; the margin where the label is the goal."""
        count, y = outputs.shape[1], self.y[:, None].expand(-1, outputs.shape[1])
        margins = margin(outputs.flatten(0, 1), y.flatten()).view(-1, count)
        return torch.where(self.goal[:, None] == y, margins, _lead(outputs, self.goal[:, None], y))

    def moved(self, points: Candidates, outputs: Tensor, *, rng: RowStreams) -> "_Climb":
        """Return the best candidates, if they are not worse; of equal ones the shortest, or a random one in linf."""
        value, power, features = self.value(outputs), power_of(self.frame), self.frame.low.shape[1]
        now, most = self.value(self.outputs[:, None])[:, 0], value.amax(1)
        if power:
            score = -points[..., :features].abs().pow(power).sum(2)
        else:
            score = uniform(tuple(value.shape), rng=rng, device=value.device)
        chosen = score.masked_fill(value < most[:, None], -torch.inf).argmax(1)
        turn = torch.arange(len(chosen), device=chosen.device)
        found, accepted = points[turn, chosen], most >= now
        moved = self._replace(
            here=torch.where(accepted[:, None], found, self.here),
            outputs=torch.where(accepted[:, None], outputs[turn, chosen], self.outputs),
            stuck=torch.where(most > now, 0, self.stuck + 1),
        )
        return moved._remembering()

    def restarted(self, target: Target, *, rng: RowStreams) -> "_Climb":
        """Return rows that are stuck at a mix of their best and a random point, with a random goal."""
        is_stuck = self.stuck >= PATIENCE
        if not is_stuck.any():
            return self
        chosen, part = is_stuck.nonzero()[:, 0], self.keep(is_stuck)
        size, features = part.here.shape[1], part.frame.low.shape[1]
        draws = uniform((len(chosen), 3 * size + 2), rng=rng.subset(chosen), device=self.here.device)
        which, share, priority, others = draws.split([size, size, size, 2], 1)
        low, high = limits(part.frame)
        share = torch.where(which < 0.5, share, share.round())
        discrete = torch.arange(size, device=share.device) >= features
        random = torch.where(discrete, (0.999 * share * (high + 1)).floor(), low + share * (high - low))
        kept = (which * 2).frac() < others[:, :1]
        here = torch.where(kept, part.best, random.to(part.best.dtype))
        here = fitted(part.frame, here[:, None], priority[:, None])
        outputs = part.outputs_at(target, here)[:, 0]
        ranked = outputs.argsort(1, descending=True)
        goal = ranked.gather(1, (others[:, 1:].square() * outputs.shape[1]).long())[:, 0]
        changed = [each.clone() for each in (self.here, self.outputs, self.goal)]
        for each, new in zip(changed, (here[:, 0], outputs, goal), strict=True):
            each[chosen] = new
        stuck = torch.where(is_stuck, 0, self.stuck)
        return self._replace(here=changed[0], outputs=changed[1], goal=changed[2], stuck=stuck)._remembering()

    def _remembering(self) -> "_Climb":
        margins = margin(self.outputs, self.y)
        record = margins > self.best_margin
        best = torch.where(record[:, None], self.here, self.best)
        return self._replace(best=best, best_margin=torch.where(record, margins, self.best_margin))


def _lead(outputs: Tensor, goal: Tensor, y: Tensor) -> Tensor:
    """Return the logit of a class minus the label's logit."""
    index = goal.expand(outputs.shape[:2])[..., None]
    found = outputs.gather(2, index) - outputs.gather(2, y.expand(outputs.shape[:2])[..., None])
    return (found if found.dtype == torch.float64 else found.float())[..., 0]


def _together(climb: _Climb, moves: SingleMoves, outputs: Tensor) -> list[Candidates]:
    """Return points with the best value of several coordinates at once: of those that gain most, and of all."""
    now, power = climb.outputs[:, None], power_of(climb.frame)
    size = climb.here.shape[1]
    table, value = moves.table(climb.value(outputs)), climb.value(now)[:, 0]
    some = sorted({round(2 ** (step / 2)) for step in range(2, 16)} & set(range(2, size)))
    found = [moves.best_together(climb.here, table, value, counts=[*some, size])]
    if power:
        found.append(moves.shorter(climb.here, table, value))
    if power == 2:
        slope = moves.slope(climb.here, table, value)
        found.append(_uphill(climb, slope))
    ranked = now[:, 0].scatter(1, climb.y[:, None], -torch.inf).argsort(1, descending=True)
    for goal in ranked[:, : min(NUM_CLASSES, ranked.shape[1] - 1)].T if ranked.shape[1] > 2 else ():
        lead, y = _lead(outputs, goal[:, None], climb.y[:, None]), climb.y[:, None]
        before = _lead(now, goal[:, None], y)[:, 0]
        found.append(moves.best_together(climb.here, moves.table(lead), before, counts=[size]))
        if power == 2:
            found.append(_uphill(climb, moves.slope(climb.here, moves.table(lead), before)))
    return found


def _uphill(climb: _Climb, slope: Float[Tensor, "batch feature"]) -> Candidates:
    """Return points along an estimated gradient."""
    features = climb.frame.low.shape[1]
    u, rest = climb.here.split([features, climb.here.shape[1] - features], 1)
    uphill = climb.frame.uphill(slope)
    return torch.stack([torch.cat([climb.frame.project(u + length * uphill), rest], 1) for length in STEPS], 1)


def _mixed(climb: _Climb, moves: SingleMoves, outputs: Tensor, *, rng: RowStreams) -> Candidates:
    """Return points with a few random coordinates changed, mostly to values that had an effect."""
    here, table = climb.here, moves.table(climb.value(outputs))
    works = (table != climb.value(climb.outputs[:, None])[:, :, None]) & (table > -torch.inf)
    (batch, size), num = here.shape, moves.grid.shape[2]
    draws = uniform((batch, NUM_MIXED, 3 * size + 1), rng=rng, device=here.device)
    order, which, kind, count = draws.split([size, size, size, 1], 2)
    by_effect = works.int().argsort(dim=2, descending=True, stable=True)
    working = works.sum(2)[:, None]
    index = torch.where((kind < 0.75) & (working > 0), (which * working).long(), (which * num).long())
    value = moves.grid.gather(2, by_effect.gather(2, index.transpose(1, 2))).transpose(1, 2)
    # Half of the points change two coordinates, the others up to as many as there are.
    many = 2 + ((2 * count - 1).clamp_min(0).square() * (size - 1)).floor()
    chosen = (order + 0.5 * (working == 0)).argsort(2).argsort(2) < many
    return fitted(climb.frame, torch.where(chosen, value, here[:, None]), kind + 2.0 * chosen)
