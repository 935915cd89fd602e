"""Severity of corruptions at which accuracy falls below a share."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import inf, sqrt
from typing import Annotated, Any, NamedTuple, cast

import torch
from annotated_types import Gt, Lt
from torch import Tensor, nn

from withstand.conditions import CORRECT_AT, severities_tried
from withstand.data.base import Split
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.base import Columns, Evaluation, Numbers, answers, unfinished_note
from withstand.functional.random import RowStreams
from withstand.functional.tensors import Labels, Points
from withstand.limits import NonEmpty, PositiveFloat, Within
from withstand.perturbations.base import Corruption, check_images
from withstand.perturbations.corruptions.suites import imagenet_c, nearest_pixels
from withstand.study.measures.intervals import order_statistics
from withstand.study.measures.measure import NUMBER, Measure
from withstand.study.measures.note import Note

TOPIC = "Severity at which accuracy falls below a share"
PUBLISHED = (1.0, 2.0, 3.0, 4.0, 5.0)
SIGNIFICANT = 3.0  # rises of the accuracy with the severity are reported above this many standard errors

States = dict[str, tuple[float, ...]]


class _Fall(NamedTuple):
    """Neighbouring severities between which accuracy falls; infinite where one is beyond those tried."""

    low: float
    high: float

    @property
    def first(self) -> float:
        """The end of an interval that begins here, rounded down."""
        return self.low if self.high < inf else inf

    @property
    def last(self) -> float:
        """The end of an interval that ends here, rounded up."""
        return self.high if self.low > -inf else -inf


@dataclass(frozen=True, kw_only=True)
class Threshold(Evaluation):
    """Severity of each corruption at which accuracy falls below a share.

    The five published severities are tried first, then the middle between the two between which the accuracy falls, and
    so on (bisection). Every severity is tried on all samples, with the same random numbers for a sample at all of them.
    The result is the lowest severity tried at which the accuracy is below the share; at most `precision` lower it is
    not. It is infinite, and shown as `> 5`, if the accuracy is not below the share at any severity tried, and minus
    infinite, shown as `< 1`, if it is at severity 1.

    The 95 % interval consists of the severities at which a binomial test (2.5 % per tail) does not reject that the
    accuracy equals the share. Both ends are found by bisection as well, and rounded outward. The interval holds if the
    accuracy falls with the severity; a note reports an accuracy that rises.

    Images are corrupted in memory and not saved as JPEG.

    Attributes:
        corruptions: Corruptions; their field `severity` is ignored. If `pixels` is None, parameters are those for the
            size of the images, or the nearest one that has some.
        share: The accuracy, above 0 and below 1, as a fraction.
        precision: Largest distance between the two severities at which bisection stops, > 0.

    Source:
        The interval inverts a binomial test of the share, as that of a quantile does: David, Nagaraja 2003, Order
        Statistics, section 7.1.
    """

    corruptions: Annotated[tuple[Corruption, ...], NonEmpty] = imagenet_c(severities=(1,))
    share: Annotated[float, Within(Gt(0), Lt(1))] = 0.5
    precision: PositiveFloat = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        for each in self.corruptions:
            if each.num_severities() != len(PUBLISHED):
                raise InputError(
                    f"Threshold: corruptions must have severities 1 to 5, got {_kind(each)}, which has one."
                )
        same = tuple(_at(each, 1) for each in self.corruptions)
        object.__setattr__(self, "corruptions", same)
        if len(set(self.conditions)) < len(self.conditions):
            raise InputError(f"Threshold: corruptions must have different names, got {', '.join(map(_kind, same))}.")

    @property
    def conditions(self) -> tuple[str, ...]:
        """The corruption and the share, e.g. `fog below 50 %`."""
        return tuple(f"{_kind(each)} below {100 * self.share:.10g} %" for each in self.corruptions)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The severity."""
        return (
            Measure(
                name="threshold",
                column="threshold",
                reduction=NUMBER,
                parameters={"samples": True},
                words="severity",
                better="higher",
                topic=TOPIC,
                searched=(PUBLISHED[0], PUBLISHED[-1]),
            ),
        )

    def only(self, conditions: Sequence[str]) -> "Threshold":
        """Leave out the other corruptions."""
        both = zip(self.corruptions, self.conditions, strict=True)
        return replace(self, corruptions=tuple(each for each, name in both if name in conditions))

    def adapted(self, split: Split) -> "Threshold":
        """Choose the parameters of every corruption for the size of the images."""
        check_images("Threshold", (1, *split.shape))
        height, width = split.shape[1:]
        sized = tuple(
            replace(cast(Any, each), pixels=each.pixels or nearest_pixels(height, width, among=each.tables))
            for each in self.corruptions
        )
        for each in sized:
            each.check(split.space)
        return replace(self, corruptions=sized)

    def prepare(self, model: nn.Module, fit_on: Split, *, space: Space, seed: int, engine: Engine) -> States:
        """Return the severities of the first pass, by condition."""
        return dict.fromkeys(self.conditions, PUBLISHED)

    def outcomes(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: States, rng: RowStreams
    ) -> dict[str, Columns]:
        """Corrupt and classify at every severity of this pass."""
        found: dict[str, Columns] = {}
        for corruption, condition in zip(self.corruptions, self.conditions, strict=True):
            own, finite = found.setdefault(condition, {}), torch.ones_like(y, dtype=torch.bool)
            for severity in state.get(condition, ()):
                at, source = _at(corruption, severity), rng.named("threshold", _kind(corruption))
                copies = at.draw(x, y, model, space=space, num_draws=1, rng=source).inputs[0]
                answer = answers(model(copies), y)
                own[f"{CORRECT_AT}{severity:.17g}"] = answer["correct"]
                finite &= answer["prediction"] >= 0
            if state.get(condition) == PUBLISHED:
                own["finite"] = finite
        return found

    def further(self, outcomes: Mapping[str, Columns], *, state: States) -> States | None:
        """Return the middles of the neighbours that are too far apart."""
        middles = {}
        for name, columns in outcomes.items():
            wide = {fall for fall in self._falls(columns) if self.precision < fall.high - fall.low < inf}
            # Between neighbouring floats there is none.
            if found := {middle for low, high in wide if low < (middle := (low + high) / 2) < high}:
                middles[name] = tuple(sorted(found))
        return middles or None

    def conclude(
        self, model: nn.Module, split: Split, outcomes: Mapping[str, Columns], *, state: States, engine: Engine
    ) -> dict[str, Numbers]:
        """Return the severity and its interval; no interval if there are too few samples."""
        found: dict[str, Numbers] = {}
        for name, columns in outcomes.items():
            threshold, *interval = self._falls(columns)
            found[name] = {"threshold": threshold.last}
            if interval:
                found[name] |= {"threshold low": interval[0].first, "threshold high": interval[1].last}
        return found

    def remarks(self, outcomes: Mapping[str, Columns], *, state: States) -> dict[str, tuple[Note, ...]]:
        """Report an accuracy that rises with the severity, and outputs that are not finite."""
        return {
            name: (
                *_rises(name.rpartition(" below ")[0], _tried(columns), self.share),
                *unfinished_note(int((~columns["finite"]).sum()), len(columns["finite"]), "samples"),
            )
            for name, columns in outcomes.items()
        }

    def _falls(self, columns: Columns) -> list[_Fall]:
        """Return where the accuracy falls below the share, and where its interval begins and ends, if there is one."""
        tried = _tried(columns)
        count = len(tried[PUBLISHED[0]])
        wrong = [count - int(each.sum()) for each in tried.values()]
        # The least number of wrong samples with which the accuracy is below the share.
        least = bisect_left(range(count + 1), True, key=lambda number: (count - number) / count < self.share)
        places = order_statistics(count, 1 - self.share) or ()
        return [_fall(list(tried), wrong, needed) for needed in (least, *(place + 1 for place in places))]

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """One pass with several corruptions, and several passes."""
        some = imagenet_c(severities=(1,), pixels=32)
        return [
            cls(corruptions=(some[0], some[9], some[-1]), precision=1.0),
            cls(corruptions=(some[0], some[11]), share=0.3, precision=0.2),
        ]


def _at(corruption: Corruption, severity: float) -> Corruption:
    return replace(cast(Any, corruption), severity=severity)


def _kind(corruption: Corruption) -> str:
    return corruption.condition.rpartition("/")[0]


def _tried(columns: Columns) -> dict[float, Tensor]:
    """Return which samples are correct by severity, ascending."""
    return {severity: columns[name] for severity, name in severities_tried(columns).items()}


def _fall(severities: Sequence[float], wrong: Sequence[int], needed: int) -> _Fall:
    """Return the first severity at which enough samples are wrong, and the one before it."""
    place = next((place for place, number in enumerate(wrong) if number >= needed), len(wrong))
    return _Fall((-inf, *severities)[place], (*severities, inf)[place])


def _rises(kind: str, tried: dict[float, Tensor], share: float) -> tuple[Note, ...]:
    """Return a note on the largest rise of the accuracy that is not by chance, or that crosses the share."""
    rises: list[tuple[float, str]] = []
    for (mild, before), (severe, after) in combinations(tried.items(), 2):
        start, end = int(before.sum()) / len(before), int(after.sum()) / len(after)
        changed = int((before != after).sum())
        if (end - start) * len(before) > SIGNIFICANT * sqrt(changed) or start < share <= end:
            text = f"{kind}: accuracy rises with the severity, from {start:.1%} at {mild:g} to {end:.1%} at {severe:g}"
            rises.append((end - start, text.replace("%", " %")))
    counts = "the first severity below the share counts"
    return (Note(f"{max(rises)[1]}; {counts}."),) if rises else ()
