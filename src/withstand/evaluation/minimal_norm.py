"""Distance to the nearest misclassified point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import nn

from withstand.configuration import identity
from withstand.data.base import Split
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.evaluation.base import Columns, Evaluation, unfinished_note
from withstand.functional.random import RowStreams
from withstand.functional.tensors import Labels, Points
from withstand.limits import NonEmpty
from withstand.models.wrappers.black_box import is_differentiable
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.attacks.ddn import DDN
from withstand.perturbations.attacks.fmn import FMN
from withstand.perturbations.attacks.sigma_zero import SigmaZero
from withstand.perturbations.ball import Ball
from withstand.perturbations.masking.diagnosis import Diagnosis
from withstand.study.measures.measure import Measure
from withstand.study.measures.note import Note

TOPIC = "Distance to the nearest misclassified point"


@dataclass(frozen=True, kw_only=True)
class MinimalNorm(Evaluation):
    """Distance from each sample to the nearest misclassified point that minimum-norm attacks find: an upper bound.

    The outcome `distance` is in the units of the ball; in radii if it has one per feature; the number of changed fields
    for `SigmaZero`. It is 0 for samples that are wrong unchanged, and infinite where no wrong point is found. The share
    of samples with a distance above r is the robust accuracy at radius r.

    Attributes:
        attacks: Minimum-norm attacks, all with the same ball; the smallest distance of each sample counts.

    Source:
        Rony et al. 2019, arXiv 1811.09600; Pintor et al. 2021, arXiv 2102.12827; Cina et al. 2025, arXiv 2402.01879.
    """

    attacks: Annotated[tuple[Attack, ...], NonEmpty] = (FMN(ball=Ball("l2", 1.0)), DDN(ball=Ball("l2", 1.0)))

    def __post_init__(self) -> None:
        super().__post_init__()
        for each in self.attacks:
            if not each.finds_distance:
                raise InputError(f"MinimalNorm: attacks must be minimum-norm attacks, got {type(each).__name__}.")
        if len({(each.ball, each.counts_fields) for each in self.attacks}) > 1:
            raise InputError(
                "MinimalNorm: attacks must have the same ball, and all or none count fields, got "
                + ", ".join(f"{type(each).__name__} with {each.ball.name}" for each in self.attacks)
                + "."
            )

    @property
    def ball(self) -> Ball:
        """The ball that gives the norm and the unit, or limits every field."""
        return self.attacks[0].ball

    @property
    def conditions(self) -> tuple[str, ...]:
        """Norm and unit of the distance, and the attacks, e.g. `l2 distance, FMN-100 + DDN-100`."""
        unit, radius = self.ball.unit, self.ball.radius
        where = "" if unit == "std" else f" in {unit}"
        if self._counts_fields:
            where = f" within {self.ball.name}"
        elif not isinstance(radius, int | float):
            where = f" in radii {identity(self.ball)}"
        return (f"{self._norm} distance{where}, {self._tried}",)

    @property
    def _counts_fields(self) -> bool:
        return self.attacks[0].counts_fields

    @property
    def _norm(self) -> str:
        return "l0" if self._counts_fields else self.ball.norm

    @property
    def _tried(self) -> str:
        return " + ".join(
            f"{type(each).__name__}-{steps}"
            if isinstance(steps := getattr(each, "steps", None), int)
            else type(each).__name__
            for each in self.attacks
        )

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The median distance, and the passes through the model per sample."""
        look: dict[str, Any] = {"topic": TOPIC, "budget": self._tried}
        return (
            Measure(
                name=f"{self._norm}_distance",
                column="distance",
                reduction="median",
                words=f"median {self._norm} distance",
                unit="fields" if self._counts_fields else self._norm,
                better="higher",
                **look,
            ),
            Measure(name="passes", column="passes", words="passes through the model per sample", primary=False, **look),
        )

    def adapted(self, split: Split) -> "MinimalNorm":
        """Check that the ball fits."""
        self.ball.check(split.space)
        return self

    def check(self, model: nn.Module, space: Space) -> None:
        """Reject attacks that need gradients on a model that has none."""
        needing = [type(each).__name__ for each in self.attacks if each.needs_gradient]
        if needing and not is_differentiable(model):
            norm = "l1" if self._counts_fields else self.ball.norm
            ball = f'Ball("{norm}", 1.0, "{self.ball.unit}")'
            raise InputError(
                f"distance/{self._norm}: {needing[0]} needs gradients, which the model does not have; for "
                f"distance/{norm}, pass MinimalNorm(attacks=(BoundaryWalk(ball={ball}),))."
            )

    @property
    def gradient_balls(self) -> dict[str, tuple[Ball, ...]]:
        """The ball, if an attack follows gradients."""
        return {self.conditions[0]: (self.ball,)} if any(each.needs_gradient for each in self.attacks) else {}

    def outcomes(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: Diagnosis, rng: RowStreams
    ) -> dict[str, Columns]:
        """Run every attack on every sample."""
        model = state.adapted(model)
        found = [
            each.attack(x, y, model, space=space, rng=rng.named("minimal norm", each.condition))
            for each in self.attacks
        ]
        radius = self.ball.radius
        scale = 1.0 if self._counts_fields or not isinstance(radius, int | float) else radius
        distances, which = torch.stack([each.distance for each in found]).min(0)
        distance = scale * distances
        points = torch.stack([each.points for each in found])[which, torch.arange(len(x), device=x.device)]
        finite = model(points).amax(1).isfinite()  # minus infinity excludes a class
        passes = torch.stack([each.passes for each in found]).sum(0)
        return {self.conditions[0]: {"distance": distance, "passes": passes, "finite": finite}}

    def remarks(self, outcomes: Mapping[str, Columns], *, state: Diagnosis) -> dict[str, tuple[Note, ...]]:
        """Report gradient masking, and outputs that are not finite."""
        name, given = self.conditions[0], super().remarks(outcomes, state=state)
        finite = outcomes[name]["finite"]
        return {name: (*given.get(name, ()), *unfinished_note(int((~finite).sum()), len(finite), "nearest points"))}

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """Two attacks, other norms, and fields."""
        return [
            cls(attacks=(FMN(ball=Ball("l2", 0.5), steps=4), DDN(ball=Ball("l2", 0.5), steps=3))),
            cls(attacks=(FMN(ball=Ball("linf", 0.1), steps=4),)),
            cls(attacks=(SigmaZero(steps=4),)),
        ]


def minimal_norms(norm: str, balls: Sequence[Ball] = ()) -> list[MinimalNorm]:
    """Return the evaluations of a norm, with l0 as well: one, or in l0 one per limit of a field.

    Args:
        norm: `l0`, `l1`, `l2` or `linf`.
        balls: The first gives the unit; for l0 the radii of those of linf limit how far each field may move (else 1).

    Example:
        >>> [each.conditions for norm in ("l2", "l0") for each in minimal_norms(norm)]
        [('l2 distance, FMN-100 + DDN-100',), ('l0 distance within linf 1, SigmaZero-100',)]
    """
    if norm == "l0":
        limits = [each for each in balls if each.norm == "linf"] or [Ball("linf", 1.0)]
        return [MinimalNorm(attacks=(SigmaZero(ball=each),)) for each in limits]
    ball = Ball(norm, 1.0, balls[0].unit if balls else "std")  # pyright: ignore[reportArgumentType]
    return [MinimalNorm(attacks=(FMN(ball=ball), DDN(ball=ball)) if norm == "l2" else (FMN(ball=ball),))]
