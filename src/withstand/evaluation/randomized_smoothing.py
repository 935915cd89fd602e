"""Certified l2 radii by randomised smoothing."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le, Lt
from scipy.special import ndtr, ndtri
from torch import Tensor, nn

from withstand.data.base import Split
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.base import Columns, Evaluation, unfinished_note
from withstand.evaluation.looks import looks
from withstand.functional.random import RowStreams, normal
from withstand.functional.tensors import Labels, Points
from withstand.limits import PositiveFloat, Within
from withstand.perturbations.ball import Ball, Unit
from withstand.study.measures.intervals import lower_bounds
from withstand.study.measures.measure import Measure
from withstand.study.measures.note import Note

DRAWS_PER_PORTION, VALUES_PER_PORTION = 64, 2**18  # drawn from one source; the number of draws is a power of 2
MOST_PORTIONS = 2**20  # per sample
DRAWS_PER_BLOCK = 2**15
TOPIC = "Certified accuracy by randomised smoothing"

# Rows of the batch, numbers of their first draw and of the one after the last -> rows and classes, one pair per draw.
Draw = Callable[[Tensor, int, int], Iterator[tuple[Tensor, Tensor]]]


@dataclass(frozen=True, kw_only=True)
class RandomizedSmoothing(Evaluation):
    """Share of samples that are certified in an l2 ball, for the model smoothed by Gaussian noise.

    The smoothed model predicts the most frequent class of the model under noise around the input. `num_selection`
    draws select a class; `num_draws` others bound its probability from below, at confidence 1 - alpha (one-sided
    Clopper-Pearson). If the bound p exceeds 1/2, the smoothed model gives this class everywhere within the radius
    std * Phi^-1(p); otherwise it abstains. The certificate holds for the smoothed model, not for the model itself. The
    median radius counts a wrong class or abstention as 0.

    Noise is not clipped to the box. In a table it moves all numeric features that may move; the others get none, and
    the certificate holds while they keep their values. Discrete changes cannot be certified. An output that is not
    finite counts for no class.

    With `radius`, samples are certified at this radius only, and draws stop as soon as the result is known. Tests after
    128, 256, 512, ... draws share half of alpha; the final test has the other half. A few samples near the limit are
    not certified, although a single test after all draws would certify them.

    Attributes:
        std: Standard deviation of the noise, in the unit, > 0.
        radius: l2 radius of the yes/no question, in the unit, > 0; None measures every sample's own radius.
        radii: Radii at which certified accuracy is reported, in the unit; empty takes 1, 2 and 3 std.
        unit: Unit of std and radii: `std`, the units of the model's inputs; for tables also `raw`, the units of the
            file, and `iqr`, the interquartile range of each feature. l2 distances add up in this unit.
        num_selection: Draws that select the class.
        num_draws: Draws that bound its probability, at most 1,048,576. They limit the radius to
            std * Phi^-1(alpha^(1 / num_draws)): 3.2 std for 10,000, 3.8 std for the 100,000 of most publications.
        alpha: Probability that the certificate of a sample is wrong, above 0 and below 1.

    Source:
        Cohen, Rosenfeld, Kolter 2019, arXiv 1902.02918, section 3.2.2, with 100 + 100,000 draws and alpha 0.001.
        Differs: 10,000 draws by default, and the yes/no question with early ends.
    """

    std: PositiveFloat = 0.25
    radius: PositiveFloat | None = None
    radii: tuple[PositiveFloat, ...] = ()
    unit: Unit = "std"
    num_selection: Annotated[int, Within(Ge(1), Le(MOST_PORTIONS))] = 100
    num_draws: Annotated[int, Within(Ge(1), Le(MOST_PORTIONS))] = 10_000
    alpha: Annotated[float, Within(Gt(0), Lt(1))] = 0.001

    @property
    def conditions(self) -> tuple[str, ...]:
        """The noise; with a radius, the ball comes first."""
        unit = "" if self.unit == "std" else f" {self.unit}"
        noise = f"smoothing std {self.std:g}{unit}"
        return (noise if self.radius is None else f"l2 {self.radius:g}{unit}, {noise}",)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Accuracy of the smoothed model, certified accuracies, and radii or numbers of draws."""
        share: dict[str, Any] = {"percent": True, "topic": TOPIC}
        better: dict[str, Any] = share | {"better": "higher"}
        noise = self.conditions[0].rpartition(", ")[2]
        budget = f"{noise}, {self.num_selection:,} + {self.num_draws:,} draws, alpha {self.alpha:g}"
        certified: dict[str, Any] = better | {"kind": "certified", "budget": budget}
        estimated: dict[str, Any] = better | {"kind": "estimated", "budget": f"{noise}, {self.num_selection:,} draws"}
        smoothed = Measure(name="smoothed_top1", column="correct", words="accuracy of the smoothed model", **estimated)
        if self.radius is not None:
            answer = Measure(name="certified_top1", column="certified", words="certified accuracy", **certified)
            draws = Measure(name="draws", column="draws", words="draws per sample", topic=TOPIC, primary=False)
            return smoothed, answer, draws
        at = [
            Measure(
                name=f"certified_top1 {radius:g}",
                column="radius",
                reduction="share_at_least",
                parameters={"threshold": radius},
                words=f"certified accuracy at l2 {radius:g}",
                **certified,
            )
            for radius in self.radii or tuple(times * self.std for times in (1, 2, 3))
        ]
        words = "certified accuracy at l2 0"
        length: dict[str, Any] = certified | {"words": "median certified radius", "unit": "l2", "percent": False}
        return (
            smoothed,
            Measure(name="certified_top1 0", column="certified", words=words, **certified),
            *at,
            Measure(name="certified_radius", column="radius", reduction="median", **length),
            Measure(name="abstention", column="abstains", better="lower", primary=False, **share),
        )

    @property
    def most_per_block(self) -> int:
        """Few samples, since each takes many passes; more if most stop early."""
        return max(1, DRAWS_PER_BLOCK * (1 if self.radius is None else 8) // self.num_draws)

    def adapted(self, split: Split) -> "RandomizedSmoothing":
        """Check that the noise fits the inputs."""
        features = split.space.features
        if features is not None and features.changes:
            changing = dict.fromkeys(features.columns[k] for change in features.changes for k in change.inputs)
            raise InputError(
                "RandomizedSmoothing: expected inputs without discrete changes, which cannot be certified, got changes "
                f"of {', '.join(changing)}; remove --data.changes."
            )
        Ball("l2", self.std, unit=self.unit).check(split.space)
        return self

    def prepare(self, model: nn.Module, fit_on: Split, *, space: Space, seed: int, engine: Engine) -> int:
        """Return how many draws pass through the model together."""
        return engine.samples_per_batch(space.shape)

    def outcomes(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: int, rng: RowStreams
    ) -> dict[str, Columns]:
        """Select a class per sample, and count how often it wins among other draws."""
        std = Ball("l2", self.std, unit=self.unit).radii(x, space=space)
        selecting, estimating = (
            partial(_classes, model, x, std, state, rng.named("randomized smoothing", what))
            for what in ("selection", "estimation")
        )
        selected, share, finite = self._select(selecting, x)
        found: Columns = {"prediction": selected, "correct": selected == y, "finite": finite}
        if self.radius is None:
            hits, draws, own = self._measure(estimating, selected, y)
        else:
            hits, draws, own = self._answer(estimating, selected, y)
        found["confidence"] = torch.where(draws > 0, hits / draws.clamp_min(1), share)
        return {self.conditions[0]: found | own | {"draws": draws + self.num_selection}}

    def _select(self, draw: Draw, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return each sample's most frequent class, -1 if no output is finite, its share, and how many are finite."""
        parts = list(draw(torch.arange(len(x)), 0, self.num_selection))
        rows, classes = (torch.cat(each) for each in zip(*parts, strict=True))
        votes = torch.zeros(len(x), int(classes.max()) + 2, device=x.device)
        votes.index_put_((rows, classes + 1), votes.new_ones(()), accumulate=True)
        finite = self.num_selection - votes[:, 0]
        votes[:, 0] = 0.5  # outputs that are not finite: less than one vote
        most, selected = votes.max(1)
        return selected - 1, most.floor() / self.num_selection, finite.int()

    def _measure(self, draw: Draw, selected: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Columns]:
        """Return the hits and draws of each sample, and its bound and radius."""
        hits = _count(draw, selected, torch.arange(len(y)), 0, self.num_draws)
        bound = torch.from_numpy(lower_bounds(hits.cpu().numpy(), self.num_draws, self.alpha))
        radius = torch.from_numpy(self.std * ndtri(bound.numpy())).clamp_min(0)
        radius = radius.where((selected == y).cpu(), 0)
        columns = {"radius": radius, "p_low": bound, "abstains": bound <= 0.5, "certified": radius > 0}
        return hits, torch.full_like(hits, self.num_draws), columns

    def _answer(self, draw: Draw, selected: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Columns]:
        """Return the hits and draws of each sample, and whether it is certified at the radius."""
        assert self.radius is not None
        hits, draws, certified = torch.zeros_like(y), torch.zeros_like(y), torch.zeros_like(y, dtype=torch.bool)
        # A wrong class is never certified.
        rows, start = (selected == y).nonzero()[:, 0].cpu(), 0
        for look in looks(self.num_draws, float(ndtr(self.radius / self.std)), alpha=self.alpha):
            if len(rows) == 0:
                break
            hits += _count(draw, selected, rows, start, look.draws)
            draws[rows], start = look.draws, look.draws
            own = hits[rows]
            certified[rows] = own >= look.yes
            rows = rows[((own > look.no) & (own < look.yes)).cpu()]
        return hits, draws, {"certified": certified}

    def remarks(self, outcomes: Mapping[str, Columns], *, state: Any) -> dict[str, tuple[Note, ...]]:
        """Say which model the numbers are about."""
        note = "These numbers are about the smoothed model; clean and worst-case accuracy are about the model itself."
        finite = outcomes[self.conditions[0]]["finite"]
        total = self.num_selection * len(finite)
        return {
            self.conditions[0]: (Note(note), *unfinished_note(total - int(finite.sum()), total, "draws of selection"))
        }

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """Radii, and certification at a single radius."""
        return [
            cls(std=0.5, num_selection=10, num_draws=100, alpha=0.01),
            cls(radius=0.1, num_selection=10, num_draws=300, alpha=0.01),
        ]


def _count(draw: Draw, selected: Tensor, rows: Tensor, start: int, stop: int) -> Tensor:
    """Return for every sample how many of the draws of the rows have its selected class."""
    hits = torch.zeros_like(selected)
    for owners, classes in draw(rows, start, stop):
        hits.index_add_(0, owners, ((classes == selected[owners]) & (classes >= 0)).to(hits.dtype))
    return hits


def _classes(
    model: nn.Module, x: Tensor, std: float | Tensor, most: int, rng: RowStreams, rows: Tensor, start: int, stop: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield rows of x and the model's classes for noisy copies of them, -1 where an output is not finite.

    Batches are filled across rows. Every portion of a row's draws has its own source, which depends on neither the
    other rows nor the batches; `start` is a multiple of its size.
    """
    size = _draws_per_portion(x[0].numel())
    portions = torch.arange(start // size, -(-stop // size))
    owners, numbers = rows.repeat_interleave(len(portions)), portions.repeat(len(rows))
    together = max(1, most // size)
    noise = x.new_empty(together, size, *x.shape[1:])
    for own, number in zip(owners.split(together), numbers.split(together), strict=True):
        streams = RowStreams(rng.base, rng.index.cpu()[own] * MOST_PORTIONS + number, device=rng.device)
        copies = _fill_normal(noise[: len(own)], streams).mul_(std)
        own = own.to(x.device)
        copies = copies.add_(x[own].unsqueeze(1)).flatten(0, 1)
        own, left = own.repeat_interleave(size), stop - number * size
        if int(left.min()) < size:
            kept = (torch.arange(size) < left[:, None]).flatten().to(x.device)
            copies, own = copies[kept], own[kept]
        for part, owner in zip(copies.split(most), own.split(most), strict=True):
            highest, classes = model(part).max(1)
            yield owner, classes.where(highest.isfinite(), -1)


def _fill_normal(noise: Tensor, streams: RowStreams) -> Tensor:
    """Fill each row with normal numbers from its own source; on a CPU several rows at a time, one per thread."""
    if noise.device != torch.device(streams.device):
        return noise.copy_(normal(noise.shape, rng=streams))
    threads = torch.get_num_threads() if noise.device.type == "cpu" else 1
    with ThreadPoolExecutor(threads) if threads > 1 else nullcontext() as pool:
        each = (pool.map if pool else map)(_fill_row, noise, streams.generators)
        for _ in each:
            pass
    return noise


def _fill_row(row: Tensor, generator: torch.Generator) -> None:
    row.normal_(generator=generator)


def _draws_per_portion(num_values: int) -> int:
    """Return the number of draws that share one random source, a power of 2; larger inputs have fewer."""
    return 2 ** (max(1, min(DRAWS_PER_PORTION, VALUES_PER_PORTION // num_values)).bit_length() - 1)
