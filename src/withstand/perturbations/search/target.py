"""Target: a batch under attack, and what was found so far."""

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from withstand.functional.margins import leads, margin
from withstand.functional.tensors import Labels, PerRow, Points
from withstand.perturbations.search.frame import SHRINK, Flat, Frame, Picks, Place
from withstand.perturbations.search.gradient import gradient_of

SURE = 1e-6  # margin over the largest logit
PLACES_AT_ONCE = 16384  # in one pass, if rows have several

# From logits, labels and the numbers of their rows to a value per row, which attacks increase.
Objective = Callable[[Tensor, Labels, Tensor], Tensor]


class Slope(NamedTuple):
    """Values and gradients of an objective at some places.

    Attributes:
        value: The objective.
        gradient: Its gradient in radii.
        picks: The options that the gradient prefers.
        gains: By how much they increase the objective, by the gradient, over the row's own.
        logits: The model's outputs.
        wrong: Whether the model is wrong there.
    """

    value: PerRow
    gradient: Flat
    picks: Picks
    gains: Float[Tensor, "batch change"]
    logits: Float[Tensor, "batch class"]
    wrong: Bool[Tensor, " batch"]


class Target:
    """Rows under attack: runs and counts all passes through the model, and keeps the wrong points found.

    An attack calls `logits` and `slope` for the rows that it still works on. Of several wrong points of a row the
    nearest is kept.

    Attributes:
        frame: The rows and their ball.
        y: Their labels.
        found: Nearest wrong place of each row; its centre if there is none.
        distance: Its distance in radii, or the number of its changed fields; infinity if there is none.
        highest: Place in the ball where another class leads most, or trails least.
        lead: Its lead there, in logits; negative if it trails.
        passes: Forward and backward passes of each row so far.
        by: Number of the attack that broke each row, from 1; 0 if none did, or the row is wrong unchanged.
        guide: Module whose values and gradients `slope` returns instead of the model's; None takes the model. The model
            alone decides what is wrong.
    """

    def __init__(self, model: nn.Module, frame: Frame, y: Labels, *, counts_fields: bool = False) -> None:
        """Start with nothing found.

        Args:
            model: Maps inputs to logits; `frozen`.
            frame: The rows and their ball.
            y: Labels.
            counts_fields: Whether the distance of a point is the number of its changed fields, in the ball.
        """
        self.model, self.frame, self.y, self.counts_fields = model, frame, y, counts_fields
        self.found = frame.centre
        self.highest = frame.centre
        self.lead = torch.full((len(y),), -torch.inf, device=y.device)
        self.distance = torch.full((len(y),), torch.inf, device=y.device)
        self.passes = torch.zeros(len(y), dtype=torch.int64, device=y.device)
        self.by = torch.zeros(len(y), dtype=torch.int64, device=y.device)
        self.first_lead: Tensor | None = None  # of the label, at the row
        self.guide: nn.Module | None = None
        self.leads: Tensor | None = None  # highest lead of each class over the label in the ball so far

    @property
    def is_broken(self) -> Bool[Tensor, " batch"]:
        """Which rows have a wrong point in the ball."""
        return self.distance.isfinite() if self.counts_fields else self.distance <= 1 + SHRINK / 2

    @property
    def rows(self) -> Int[Tensor, " row"]:
        """The rows without a wrong point in the ball."""
        return (~self.is_broken).nonzero()[:, 0]

    def begin(self) -> Float[Tensor, "batch class"]:
        """Return the outputs at the rows themselves; those that are wrong already are broken at a distance of 0."""
        logits = self.logits(self.frame.centre, torch.arange(len(self.y), device=self.y.device))
        if len(self.y):
            self.first_lead = -margin(logits, self.y)
        return logits

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
            logits = self.model(self.frame.rows(rows).points(place)).to(place.u.dtype)
        self._count(rows, _draws(self.model))
        self._keep(place, rows, logits)
        return logits

    def logits_at(
        self,
        u: Float[Tensor, "row candidate feature"],
        picks: Int[Tensor, "row candidate change"],
        rows: Int[Tensor, " row"],
    ) -> Float[Tensor, "row candidate class"]:
        """Return the outputs at several places of each row (at least one): one forward pass each."""
        count = u.shape[1]
        return torch.cat(
            [
                self.logits(
                    Place(u[some].flatten(0, 1), picks[some].flatten(0, 1)), rows[some].repeat_interleave(count)
                )
                for some in torch.arange(len(rows), device=rows.device).split(max(1, PLACES_AT_ONCE // count))
            ]
        ).unflatten(0, (len(rows), count))

    def slope(self, place: Place, rows: Int[Tensor, " row"], objective: Objective) -> Slope:
        """Return the value and gradient of an objective at places of some rows.

        A forward and a backward pass each; with a guide, a forward pass each and what the guide needs.
        """
        frame, y = self.frame.rows(rows), self.y[rows]
        if len(rows) == 0:
            empty = place.u.new_zeros(0)
            gains, logits = place.picks.to(place.u.dtype), place.u.new_zeros(0, 2)
            return Slope(empty, place.u, place.picks, gains, logits, empty.bool())
        points = frame.points(place)
        with torch.enable_grad():
            points.requires_grad_(True)
            logits = (self.guide or self.model)(points).to(points.dtype)
            value = objective(logits, y, rows)
            gradient = gradient_of(value, points)
        self._count(rows, 2 * _draws(self.guide or self.model, otherwise=int(self.guide is None)))
        logits = logits.detach()
        if self.guide is not None:
            with torch.no_grad():
                logits = self.model(points.detach()).to(points.dtype)
            self._count(rows, _draws(self.model))
        wrong = self._keep(place, rows, logits)
        in_radii = gradient.flatten(1).to(frame.radii.dtype) * frame.radii
        picks, gains = frame.best_picks(gradient), frame.best_gains(gradient)
        return Slope(value.detach(), in_radii, picks, gains, logits, wrong)

    def others(self) -> Int[Tensor, "batch other"]:
        """Return the other classes of each row: first those that came closest to the label in the ball so far."""
        if self.leads is None:
            self.begin()
        leads = cast(Tensor, self.leads).scatter(1, self.y[:, None], -torch.inf)
        return leads.argsort(dim=1, descending=True, stable=True)[:, :-1]

    def left(self) -> PerRow:
        """Return the smallest lead of the label found in the ball, as a share of its lead at the row, from 0 to 1.

        Outputs at the rows themselves are computed if they are not known.
        """
        if self.first_lead is None:
            self.begin()
        return (-self.lead / cast(Tensor, self.first_lead).clamp_min(1e-30)).clamp(0, 1)

    def _count(self, rows: Tensor, passes: int) -> None:
        self.passes.index_add_(0, rows, torch.full_like(rows, passes))

    def _keep(self, place: Place, rows: Tensor, logits: Tensor) -> Tensor:
        """Keep wrong places that are nearer than those known; return which are wrong."""
        lead, distance = margin(logits, self.y[rows]), self.frame.length(place.u)
        wrong, is_inside = ~(lead < 0), distance <= 1 + SHRINK / 2
        lead_of = leads(logits, self.y[rows]).masked_fill(~is_inside[:, None], -torch.inf)
        if self.leads is None:
            self.leads = lead_of.new_full((len(self.y), lead_of.shape[1]), -torch.inf)
        self.leads.scatter_reduce_(0, rows[:, None].expand_as(lead_of), lead_of, "amax")
        higher = self._one_per_row(rows, (lead > self.lead[rows]) & is_inside, -lead)
        self.lead[rows[higher]] = lead[higher].to(self.lead.dtype)
        self.highest.put(rows[higher], place.rows(higher))
        if self.counts_fields:
            distance = self.frame.rows(rows).num_changed(place)
        # A point that is wrong by less than rounding may be right in another batch: it does not replace one that is.
        is_sure = lead > SURE * logits.abs().amax(1)
        is_nearer = wrong & (distance < self.distance[rows]) & (is_sure | self.distance[rows].isinf())
        nearer = self._one_per_row(rows, is_nearer, distance)
        chosen = rows[nearer]
        self.distance[chosen] = distance[nearer].to(self.distance.dtype)
        self.found.put(chosen, place.rows(nearer))
        return wrong

    def _one_per_row(self, rows: Tensor, chosen: Tensor, values: Tensor) -> Tensor:
        """Return which of the chosen places to take: of several of one row that with the lowest value."""
        places = chosen.nonzero()[:, 0]
        places = places[values[places].argsort(stable=True)]
        turn = torch.arange(len(places), device=rows.device)
        first = torch.full_like(self.y, len(places)).scatter_reduce(0, rows[places], turn, "amin")
        return places[first[rows[places]] == turn]


def _draws(module: nn.Module, *, otherwise: int = 1) -> int:
    """Return how often a module that takes the mean over draws asks the model."""
    return getattr(module, "num_draws", otherwise)
