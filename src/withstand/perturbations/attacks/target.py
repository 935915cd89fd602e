"""Target: a batch under attack, and what was found so far."""

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from withstand.functional.margins import is_wrong, leads
from withstand.functional.tensors import Labels, PerRow, Points
from withstand.models.frozen import frozen
from withstand.perturbations.attacks.frame import SHRINK, Flat, Frame, Picks, Place

# From logits, labels and the numbers of their rows to a value per row, which attacks increase.
Objective = Callable[[Tensor, Labels, Tensor], Tensor]


class Slope(NamedTuple):
    """Values and gradients of an objective at some places.

    Attributes:
        value: The objective.
        gradient: Its gradient in radii.
        picks: The options that the gradient prefers.
        logits: The model's outputs.
        wrong: Whether the model is wrong there.
    """

    value: PerRow
    gradient: Flat
    picks: Picks
    logits: Float[Tensor, "batch class"]
    wrong: Bool[Tensor, " batch"]


class Target:
    """Rows under attack: every pass through the model goes through here, is counted, and its wrong points are kept.

    An attack calls `logits` and `slope` for the rows that it still works on. Of several wrong points of a row the
    nearest is kept.

    Attributes:
        frame: The rows and their ball.
        y: Their labels.
        found: Nearest wrong place of each row; its centre if there is none.
        distance: Its distance in radii; infinity if there is none.
        passes: Forward and backward passes of each row so far.
        by: Number of the attack that broke each row, from 1; 0 if none did, or the row is wrong as it stands.
    """

    def __init__(self, model: nn.Module, frame: Frame, y: Labels) -> None:
        """Start with nothing found.

        Args:
            model: Maps inputs to logits; in evaluation mode.
            frame: The rows and their ball.
            y: Labels.
        """
        self.model, self.frame, self.y = model, frame, y
        self.found = frame.centre
        self.distance = torch.full((len(y),), torch.inf, device=y.device)
        self.passes = torch.zeros(len(y), dtype=torch.int64, device=y.device)
        self.by = torch.zeros(len(y), dtype=torch.int64, device=y.device)
        self.leads: Tensor | None = None  # highest lead of each class over the label in the ball so far

    @property
    def is_broken(self) -> Bool[Tensor, " batch"]:
        """Which rows have a wrong point in the ball."""
        return self.distance <= 1 + SHRINK / 2

    @property
    def rows(self) -> Int[Tensor, " row"]:
        """The rows without a wrong point in the ball."""
        return (~self.is_broken).nonzero()[:, 0]

    def begin(self) -> Float[Tensor, "batch class"]:
        """Return the outputs at the rows themselves; those that are wrong already are broken at a distance of 0."""
        return self.logits(self.frame.centre, torch.arange(len(self.y), device=self.y.device))

    def offer(self, points: Points, rows: Int[Tensor, " row"]) -> None:
        """Try points found elsewhere, such as in another ball, for the rows in whose ball they lie."""
        frame = self.frame.rows(rows)
        place = frame.place_of(points)
        inside = frame.is_inside(frame.clip(place.u)) & (self.distance[rows] > frame.length(place.u))
        self.logits(Place(frame.clip(place.u)[inside], place.picks[inside]), rows[inside])

    def logits(self, place: Place, rows: Int[Tensor, " row"]) -> Float[Tensor, "row class"]:
        """Return the outputs at places of some rows: one forward pass each."""
        if len(rows) == 0:  # some layers refuse an empty batch
            return place.u.new_zeros(0, 2)
        with torch.no_grad():
            logits = self.model(self.frame.rows(rows).points(place))
        self.passes.index_add_(0, rows, torch.ones_like(rows))
        self._keep(place, rows, logits)
        return logits

    def slope(self, place: Place, rows: Int[Tensor, " row"], objective: Objective) -> Slope:
        """Return the value and gradient of an objective at places of some rows: a forward and a backward pass each."""
        frame, y = self.frame.rows(rows), self.y[rows]
        if len(rows) == 0:
            empty = place.u.new_zeros(0)
            return Slope(empty, place.u, place.picks, place.u.new_zeros(0, 2), empty.bool())
        points = frame.points(place)
        with frozen(self.model), torch.enable_grad():
            points.requires_grad_(True)
            logits = self.model(points)
            value = objective(logits, y, rows)
            (gradient,) = torch.autograd.grad(value.sum(), points)
        self.passes.index_add_(0, rows, torch.full_like(rows, 2))
        logits = logits.detach()
        wrong = self._keep(place, rows, logits)
        in_radii = gradient.flatten(1).to(frame.radii.dtype) * frame.radii
        return Slope(value.detach(), in_radii, frame.best_picks(gradient), logits, wrong)

    def others(self) -> Int[Tensor, "batch other"]:
        """Return the classes other than the label: first those that came closest to it within the ball so far."""
        if self.leads is None:
            self.begin()
        leads = cast(Tensor, self.leads).scatter(1, self.y[:, None], -torch.inf)
        return leads.argsort(dim=1, descending=True, stable=True)[:, :-1]

    def _keep(self, place: Place, rows: Tensor, logits: Tensor) -> Tensor:
        """Keep wrong places that are nearer than those known; return which are wrong."""
        wrong = is_wrong(logits, self.y[rows])
        distance = self.frame.length(place.u)
        lead = leads(logits, self.y[rows]).masked_fill((distance > 1)[:, None], -torch.inf)
        if self.leads is None:
            self.leads = lead.new_full((len(self.y), lead.shape[1]), -torch.inf)
        self.leads.scatter_reduce_(0, rows[:, None].expand_as(lead), lead, "amax")
        nearer = wrong & (distance < self.distance[rows])
        chosen = rows[nearer]
        self.distance[chosen] = distance[nearer].to(self.distance.dtype)
        self.found.u[chosen], self.found.picks[chosen] = place.u[nearer], place.picks[nearer]
        return wrong
