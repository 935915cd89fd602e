"""Distance along random and adversarial noise at which a model becomes wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from withstand.data.base import Split
from withstand.data.space import Box, Space
from withstand.engine import Engine
from withstand.evaluation.base import Columns, Evaluation, answers, rank
from withstand.functional.random import BatchStream, RowStreams, normal, stream, uniform
from withstand.functional.sphere import move_to_distance
from withstand.functional.tensors import Labels, Points
from withstand.limits import DistinctNonEmpty, PositiveFloat, PositiveInt
from withstand.models.noise_generator import Kernel, NoiseGenerator
from withstand.objectives.adversarial_noise import AdversarialNoise, radius_for
from withstand.study.measures.measure import Measure

Noise = Literal["gaussian", "uniform", "adversarial"]
# In radii: the first and the largest distance tried, and the distance below which bisection stops.
FIRST, LARGEST, SMALLEST = 1 / 4, 128.0, 1e-3
FACTOR = 2.0
MAX_LOOKS = 25
USUAL_STEPS = 1000
TOPIC = "How far (l2) noise must go to make the model wrong"


@dataclass(frozen=True, kw_only=True)
class NoiseDistance(Evaluation):
    """Median l2 distance along a noise direction at which the model first errs.

    Every sample has one direction per kind of noise. The distance along it, with clipping to the box, starts at 1/4 of
    the radius and doubles until the model is wrong or all values are clipped; bisection then finds the boundary. For
    samples that are misclassified without noise, the distance is 0; if the model is never fooled, it is infinite.
    Further measures are the share of samples on which the model is never fooled, and the accuracy at the radius.
    Adversarial noise comes from a generator that is first trained against the finished model.

    Attributes:
        noises: Kinds of noise.
        radius: l2 distance at which the accuracy is measured and the generator is trained, > 0. None takes 135 for
            images of 224 x 224 x 3, scaled with the square root of the number of values for other sizes; tables need a
            number.
        kernel: Kernel of the generator: `1x1` for independent pixels, `3x3` for correlated neighbours.
        steps: Training steps of the generator, at least 1.
        lr: Learning rate of the generator (Adam), > 0.
        batch_size: Samples per step, at least 1.
        precision: Bisection stops when the smallest distance that fools the model is at most 1 + precision times the
            largest that does not; > 0.

    Source:
        Rusak et al. 2020, arXiv 2001.06057, sections 4 and 5; values of bethgelab/game-of-noise.
        Differs: distances are l2 norms; the distance is infinite if the model is never fooled; and only unresolved
        samples are evaluated again.
    """

    noises: Annotated[tuple[Noise, ...], DistinctNonEmpty] = ("gaussian", "uniform", "adversarial")
    radius: PositiveFloat | None = None
    kernel: Kernel = "1x1"
    steps: PositiveInt = USUAL_STEPS
    lr: PositiveFloat = 5e-4
    batch_size: PositiveInt = 64
    precision: PositiveFloat = 1e-3

    @property
    def needs_gradient(self) -> bool:
        """Whether noise is learned."""
        return "adversarial" in self.noises

    @property
    def conditions(self) -> tuple[str, ...]:
        """One per kind of noise."""
        return tuple(self.condition_of(each) for each in self.noises)

    def condition_of(self, noise: Noise) -> str:
        """Return the condition of a kind of noise, with the training steps if they differ from the default."""
        if noise != "adversarial":
            return f"{noise} noise"
        return f"adversarial noise {self.kernel}" + ("" if self.steps == USUAL_STEPS else f" {self.steps} steps")

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The median distance, the share on which the model is never fooled, and the accuracy at the radius."""
        share: dict[str, Any] = {"better": "higher", "percent": True, "topic": TOPIC, "primary": False}
        return (
            Measure(
                name="noise_distance",
                column="distance",
                reduction="median",
                words="median distance",
                unit="l2",
                better="higher",
                topic=TOPIC,
            ),
            Measure(name="never_fooled", column="never_fooled", words="never fooled", **share),
            Measure(name="top1_at_radius", column="correct", words="top-1 at the radius", **share),
        )

    def only(self, conditions: Sequence[str]) -> "NoiseDistance":
        """Drop the other kinds of noise, and the settings of the generator if it is not needed."""
        only = replace(self, noises=tuple(each for each in self.noises if self.condition_of(each) in conditions))
        if only.needs_training_samples:
            return only
        return replace(only, kernel="1x1", steps=USUAL_STEPS, lr=NoiseDistance.lr, batch_size=NoiseDistance.batch_size)

    def adapted(self, split: Split) -> "NoiseDistance":
        """Resolve the radius."""
        return replace(self, radius=radius_for(self.radius, split.shape))

    @property
    def needs_training_samples(self) -> bool:
        """Whether a generator must be trained first."""
        return "adversarial" in self.noises

    def prepare(
        self, model: nn.Module, fit_on: Split, *, space: Space, seed: int, engine: Engine
    ) -> NoiseGenerator | None:
        """Train the generator, if there is adversarial noise."""
        if not self.needs_training_samples:
            return None
        return self.train_generator(model, fit_on, space=space, seed=seed, engine=engine)

    def outcomes(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: NoiseGenerator | None, rng: RowStreams
    ) -> dict[str, Columns]:
        """Find the distance along one direction per sample and kind of noise."""
        found, radius = {}, radius_for(self.radius, space.shape)
        for noise, condition in zip(self.noises, self.conditions, strict=True):
            direction = draw_directions(x, noise, state, rng)
            distance = find_distances(model, x, y, direction, radius=radius, box=space.box, precision=self.precision)
            moved = move_to_distance(x, direction, radius, box=space.box)
            own = {"distance": distance, "never_fooled": distance.isinf()}
            found[condition] = own | answers(model(moved), y)
        return found

    def train_generator(
        self, model: nn.Module, split: Split, *, space: Space, seed: int, engine: Engine
    ) -> NoiseGenerator:
        """Return a generator trained from scratch to fool the model on a split."""
        game = AdversarialNoise(radius=radius_for(self.radius, split.shape), kernel=self.kernel, lr=self.lr)
        like = torch.zeros(1, *split.shape, device=engine.device)
        state = game.init(like, model=model, rng=stream(seed, "noise distance/generator"))
        order = torch.cat(
            [
                torch.randperm(len(split), generator=stream(seed, "noise distance/order", turn))
                for turn in range(ceil(self.steps * self.batch_size / len(split)))
            ]
        )
        whole = order.split(self.batch_size)[: self.steps]
        shares = [engine.share(len(rows)) for rows in whole]
        plan = [rows[start:stop] for rows, (start, stop, _) in zip(whole, shares, strict=True)]
        batches = split.batches(plan, device=engine.device, num_workers=engine.num_workers)
        for step, (rows, (start, stop, weight), (x, y, *_)) in enumerate(zip(whole, shares, batches, strict=True)):
            make = partial(stream, seed, "noise distance/step", step, device=engine.device)
            if len(x) != stop - start:  # images that could not be read
                start, stop = 0, len(x)
            rng = BatchStream(
                make, start=start, stop=stop, total=max(len(rows), stop), weight=weight if len(x) else 0.0
            )
            if len(x) or engine.world_size > 1:
                x, y = (x, y) if len(x) else (like, y.new_zeros(1))
                game.attack(model, x, y, space=space, state=state, rng=rng)
        return state.generator.requires_grad_(False)

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """All kinds of noise with short training, and only one kind."""
        return [cls(steps=3, batch_size=8, radius=2.0), cls(noises=("gaussian",), precision=0.1)]


def draw_directions(x: Tensor, noise: Noise, generator: NoiseGenerator | None, rng: RowStreams) -> Tensor:
    """Return a direction per row: normal numbers, numbers uniform in [-1, 1], or a generator's noise.

    Args:
        x: The inputs.
        noise: The kind.
        generator: For adversarial noise.
        rng: Sources of the measurement, one per row, the same for every model.
    """
    rng = rng.named("noise distance", noise)
    if noise == "gaussian":
        return normal(x.shape, rng=rng, device=x.device)
    if noise == "uniform":
        return uniform(x.shape, rng=rng, device=x.device).mul_(2).sub_(1)
    assert generator is not None
    return generator.draw(x, rng=rng)


def find_distances(
    model: nn.Module, x: Tensor, y: Tensor, direction: Tensor, *, radius: float, box: Box | None, precision: float
) -> Tensor:
    """Return for each row the smallest l2 distance along its direction at which the model is wrong.

    Args:
        model: Maps inputs to logits; in evaluation mode. Called at most 25 times per row.
        x: Inputs.
        y: Labels.
        direction: One per row, of any length.
        radius: A quarter of it, before clipping, is the first distance that is tried.
        box: Lowest and highest value; None does not clip.
        precision: Largest ratio, less 1, of the two ends of the bisection.

    Returns:
        The upper end, at which the model is wrong; 0 if it is wrong without noise, infinity if it is right at the walls
        of the box or at the largest distance (128 times the radius).
    """
    distances = torch.full((len(x),), torch.inf, device=x.device)
    distances[is_wrong(model, x, y)] = 0.0
    rows = distances.isinf().nonzero()[:, 0]
    unit = direction / _per_row(direction.flatten(1).norm(dim=1).clamp_min(1e-30), x)
    farthest = _farthest(x, unit, radius, box)
    # Scales of the unit direction: the model is right at the lower one and wrong at the upper one, if there is one yet.
    lower = torch.zeros(len(x), device=x.device)
    upper = torch.full((len(x),), torch.inf, device=x.device)
    for _ in range(MAX_LOOKS - 1):
        if len(rows) == 0:
            break
        low, up = lower[rows], upper[rows]
        onward = torch.where(low > 0, low * FACTOR, radius * FIRST)
        onward = torch.where(onward * FACTOR > farthest[rows], farthest[rows], onward)
        between = torch.where(low > 0, (low * up).sqrt(), up / FACTOR**3)
        scale = torch.where(up.isinf(), onward, between)
        moved = _moved(x[rows], unit[rows], scale, box)
        wrong = is_wrong(model, moved, y[rows])
        distances[rows] = torch.where(wrong, (moved - x[rows]).flatten(1).norm(dim=1), distances[rows])
        lower[rows], upper[rows] = torch.where(wrong, low, scale), torch.where(wrong, scale, up)
        known = (upper[rows] <= lower[rows] * (1 + precision)) | (upper[rows] < SMALLEST * radius)
        rows = rows[~(known | (lower[rows] >= farthest[rows]))]
    return distances


def is_wrong(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return for each row whether another class wins or ties."""
    return rank(model(x)[None], y)[0] > 0


def _farthest(x: Tensor, unit: Tensor, radius: float, box: Box | None) -> Tensor:
    """Return the scale at which every value has reached its wall, at most the largest one that is tried."""
    most = torch.full((len(x),), radius * LARGEST, device=x.device)
    if box is None:
        return most
    room = torch.where(unit > 0, box[1] - x, x - box[0])
    walls = torch.where(unit != 0, room / unit.abs(), 0).flatten(1).amax(1)
    return torch.minimum(walls, most)


def _moved(x: Tensor, unit: Tensor, scale: Tensor, box: Box | None) -> Tensor:
    moved = torch.addcmul(x, unit, _per_row(scale, x))
    return moved if box is None else moved.clamp_(*box)


def _per_row(values: Tensor, x: Tensor) -> Tensor:
    return values.view(-1, *[1] * (x.ndim - 1))
