"""Accuracy at the worst point of a ball that several attacks find, and over the ball on average."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from withstand.configuration import identity
from withstand.data.base import Split
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.accuracy import rank
from withstand.evaluation.base import Evaluation
from withstand.functional.random import RowStreams, derive_seed
from withstand.models.frozen import evaluating
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.attacks.vertices import Vertices
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.sobol import Sobol
from withstand.study.row import Row

MOST_VERTICES = 4096
LONGEST = 60  # characters of the radii in the name of a condition
POINTS_AT_ONCE = 16384


@dataclass(frozen=True, kw_only=True)
class WorstCase(Evaluation):
    """Share of samples that no attack makes the model get wrong: an upper bound of the accuracy at the worst point.

    Projected gradient ascent comes first, with restarts; what it leaves right meets all vertices of the ball, where
    there are at most 4,096, and then, in an linf ball, points tilted along the gradient. Samples that are wrong already
    drop out, and cost nothing more. Beside it, the share right under the first attack alone (`adversarial_top1`), and
    the mean over evenly spread points of the ball (`mean_top1`).

    Attributes:
        ball: The norm, radius and unit.
        steps: Of projected gradient ascent, in each restart; 0 leaves it out.
        restarts: Starts of it, at least 1.
        vertices: Whether the vertices are tried.
        num_tilted: Tilted points per sample; 0 leaves them out.
        temperature: Of the tilt, in nats, > 0.
        num_mean: Points per sample of the mean; 0 leaves it out.
        shape: Of an input; None takes the data's own. It tells the rows' names whether vertices are few enough to try.

    Source:
        Madry et al. 2018, arXiv 1706.06083; the union of attacks as in Croce, Hein 2020, arXiv 2003.01690.
    """

    ball: Ball = Ball()
    steps: int = 40
    restarts: int = 3
    vertices: bool = True
    num_tilted: int = 64
    temperature: float = 0.01
    num_mean: int = 256
    shape: tuple[int, ...] | None = None

    additive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, least in (("steps", 0), ("restarts", 1), ("num_tilted", 0), ("num_mean", 0)):
            if getattr(self, name) < least:
                raise InputError(f"WorstCase: {name} must be at least {least}, got {getattr(self, name)}.")
        if not 0 < self.temperature < float("inf"):
            raise InputError(f"WorstCase: temperature must be a number > 0, got {self.temperature}.")
        if not (self.steps or self._tries_vertices or self._num_tilted):
            raise InputError(
                f"WorstCase: expected at least one attack on an {self.ball.norm} ball, got none: no steps, vertices "
                "(linf or l1) or tilted points (linf)."
            )

    @property
    def _tries_vertices(self) -> bool:
        return self.vertices and self.ball.norm != "l2"

    @property
    def _num_tilted(self) -> int:
        return self.num_tilted if self.ball.norm == "linf" else 0

    @property
    def where(self) -> str:
        """The ball in words, e.g. `linf 0.1` or `linf [0.1 0 0.3]`; different for different balls."""
        unit = "" if self.ball.unit == "std" else f" {self.ball.unit}"
        radius = self.ball.radius
        if isinstance(radius, int | float):
            shown = f"{radius:g}"
        else:
            shown = "[" + " ".join(f"{each:g}" if isinstance(each, int | float) else "..." for each in radius) + "]"
        if len(shown) > LONGEST or "..." in shown:
            shown = f"per feature {identity(replace(self.ball, box=None, factors=None, changes=None))}"
        return f"{self.ball.norm} {shown}{unit}"

    @property
    def conditions(self) -> tuple[str, ...]:
        """The ball and what was spent on it, of each measure."""
        return tuple(dict.fromkeys(self._condition(each) for each in self._measures()))

    def measure(
        self,
        model: nn.Module,
        split: Split,
        *,
        seed: int,
        engine: Engine,
        fit_on: Split | None = None,  # noqa: ARG002
    ) -> Iterator[Row]:
        """Attack batch by batch; every sample's randomness is its own."""
        precise = torch.float32 if engine.device.type == "mps" else torch.float64
        totals = {name: torch.zeros(2, dtype=precise, device=engine.device) for name in self._measures()}
        plan = torch.arange(engine.rank, len(split), engine.world_size).split(engine.samples_per_batch(split.shape))
        with evaluating(model):
            for x, y, index in split.batches(plan, device=engine.device, num_workers=engine.num_workers):
                if len(y) == 0:
                    continue
                for name, shares in self.shares(model, x, y, index, seed=seed):
                    totals[name][0] += shares.to(precise).sum()
                    totals[name][1] += len(y)
        for name, total in totals.items():
            hits, count = engine.add_up(total).tolist()
            yield Row(measure=name, condition=self._condition(name), total=hits, count=round(count))

    @torch.no_grad()
    def shares(
        self,
        model: nn.Module,
        x: Float[Tensor, "batch *feature"],
        y: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"],
        *,
        seed: int,
    ) -> Iterator[tuple[str, Float[Tensor, " batch"]]]:
        """Yield, measure by measure, which part of every sample the model gets right: 0 or 1, or a mean over points.

        Args:
            model: In evaluation mode; on the device of the samples.
            x: Inputs.
            y: Labels.
            index: Number of each sample in its split, from which its randomness derives.
            seed: Decides every draw.
        """
        streams = partial(_streams, seed, self.where, index, x.device)
        right = rank(model(x)[None], y)[0] == 0
        if self.steps:
            attack = PGD(ball=self.ball, steps=self.steps, until_wrong=True)
            for number in range(self.restarts):
                self._attack(attack, 1, model, x, y, right, streams("PGD", number))
            yield "adversarial_top1", right.float()
        corners = Vertices(ball=self.ball) if self._tries_vertices else None
        count = _vertices(corners, x)
        if not (self.steps or count or self._num_tilted):
            raise InputError(
                f"WorstCase: expected steps, got 0: the ball has more than {MOST_VERTICES:,} vertices around inputs of "
                f"shape {tuple(x.shape[1:])}, too many to try, and there is no other attack."
            )
        if corners is not None and count:
            self._attack(corners, count, model, x, y, right, streams("vertices", 0))
        if self._num_tilted:
            tilted = Tilted(ball=self.ball, temperature=self.temperature)
            self._attack(tilted, self.num_tilted, model, x, y, right, streams("tilted", 0))
        yield "worst_case_top1", right.float()
        if self.num_mean:
            yield "mean_top1", self._mean(model, x, y, streams("mean", 0))

    def _attack(
        self,
        attack: Perturbation,
        num_draws: int,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        right: Tensor,
        rng: RowStreams,
    ) -> None:
        """Strike out the samples that a draw of the attack makes wrong, a few at a time, as memory allows."""
        left = right.nonzero()[:, 0]
        for rows in left.split(max(1, POINTS_AT_ONCE // num_draws)):
            if len(rows) == 0:  # an empty tensor splits into one empty part
                return
            draws = attack.draw(x[rows], y[rows], model, num_draws=num_draws, rng=rng.subset(rows))
            logits = model(draws.inputs.flatten(0, 1)).view(num_draws, len(rows), -1)
            right[rows] = (rank(logits, y[rows]) == 0).all(0)

    def _mean(self, model: nn.Module, x: Tensor, y: Tensor, rng: RowStreams) -> Tensor:
        shares = torch.zeros(len(y), device=y.device)
        for rows in torch.arange(len(y), device=y.device).split(max(1, POINTS_AT_ONCE // self.num_mean)):
            draws = Sobol(ball=self.ball).draw(x[rows], y[rows], model, num_draws=self.num_mean, rng=rng.subset(rows))
            logits = model(draws.inputs.flatten(0, 1)).view(self.num_mean, len(rows), -1)
            shares[rows] = (rank(logits, y[rows]) == 0).float().mean(0)
        return shares

    def _measures(self) -> list[str]:
        names = ["adversarial_top1"] if self.steps else []
        return [*names, "worst_case_top1", *(["mean_top1"] if self.num_mean else [])]

    def _condition(self, measure: str) -> str:
        pgd = [f"PGD-{self.steps} x {self.restarts}"] if self.steps else []
        where = f"{self.where}, with changes" if self.ball.changes else self.where
        if measure == "adversarial_top1":
            return f"{where}, {pgd[0]}"
        if measure == "mean_top1":
            return f"{where}, mean of {self.num_mean}"
        corners = Vertices(ball=self.ball) if self._tries_vertices else None
        tried = corners and (self.shape is None or _vertices(corners, torch.zeros(1, *self.shape)))
        tilted = [f"{self.num_tilted} tilted"] if self._num_tilted else []
        return f"{where}, {' + '.join([*pgd, *(['vertices'] if tried else []), *tilted])}"

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """All attacks in one ball of each norm."""
        return [
            cls(ball=Ball("linf", 0.2), steps=2, restarts=2, num_tilted=4, num_mean=4),
            cls(ball=Ball("l2", 0.5), steps=2, restarts=1, num_mean=0),
            cls(ball=Ball("l1", 0.5), steps=1, restarts=1, num_mean=2),
        ]


def _vertices(corners: Vertices | None, x: Tensor) -> int:
    """Return how many vertices to try: all or, where they are too many, none."""
    if corners is None:
        return 0
    try:
        count = corners.count(x)
    except InputError:
        return 0
    return count if count <= MOST_VERTICES else 0


def _streams(seed: int, where: str, index: Tensor, device: torch.device, attack: str, number: int) -> RowStreams:
    return RowStreams(derive_seed(seed, "worst case", where, attack, number), index, device=device)
