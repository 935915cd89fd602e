"""What is measured of a model: on which samples, under which conditions, one task after the other."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from withstand.data.base import Dataset, Split
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.base import Evaluation
from withstand.evaluation.conditions import cell_notes, choose_cells, conditions, split_words
from withstand.evaluation.landscape import has_landscape
from withstand.evaluation.mistakes import shown_perturbations
from withstand.evaluation.noise_distance import NoiseDistance
from withstand.evaluation.noise_examples import check_picturable
from withstand.evaluation.worst_case import WorstCase
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation


class Task(NamedTuple):
    """What is measured of a model.

    Attributes:
        split: The samples.
        evaluation: What is asked of them.
        cell: Name of the condition that the samples were corrupted under already; None if they were not.
    """

    split: Split
    evaluation: Evaluation
    cell: str | None = None


class Source:
    """Data to measure on: samples that meet perturbations, or cells of samples that are corrupted already.

    Attributes:
        first: The samples, or those of the first cell.
        conditions: Names of what is measured, in order.
        notes: Sentences that a reader must know.
    """

    def __init__(
        self,
        first: Split,
        *,
        perturbations: tuple[Perturbation, ...] = (),
        evaluations: Sequence[Evaluation] = (),
        cells: dict[str, Dataset] | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        """Keep what is given: perturbations and evaluations, or cells."""
        self.first, self.perturbations, self.evaluations = first, perturbations, evaluations
        self.cells, self.notes = cells or {}, notes
        names = [*self.cells, *(each.condition for each in perturbations)]
        names += [name for each in evaluations for name in each.conditions]
        self.conditions = list(dict.fromkeys(names))

    @classmethod
    def of(
        cls,
        data: Dataset,
        on: Sequence[str] | None,
        pixels: Literal[224, 299, 64, 32] | None,
        frost: Literal["published", "procedural"],
        balls: tuple[Ball, ...] = (),
        more: Sequence[Evaluation] = (),
    ) -> "Source":
        """Return what names of conditions mean for data.

        Raises:
            InputError: If a name is not known or there are no samples.
        """
        cells = data.cells()
        if cells:
            cells = {name: cells[name] for name in choose_cells(on, cells)}
            first = next(iter(cells.values())).load("test")
            return cls(first, cells=cells, notes=cell_notes(list(cells), data.missing()))
        split = data.load("test")
        if len(split) == 0:
            raise InputError("evaluate: the test part has no samples.")
        words, evaluations = split_words(on or ["clean"], split.shape, balls=balls)
        perturbations, notes = conditions(words, split.shape, pixels=pixels, frost=frost)
        # Settled, since a worst case says in its name whether there are changes.
        all_evaluations = (*evaluations, *more)
        return cls(split, perturbations=perturbations, evaluations=all_evaluations, notes=notes)

    def tasks(self, missing: Sequence[str]) -> Iterator[Task]:
        """Yield what is to be measured for some conditions: all at once, or cell by cell."""
        for name in missing if self.cells else ():
            yield Task(self.cells[name].load("test"), Accuracy(), name)
        chosen = tuple(each for each in self.perturbations if each.condition in missing)
        if chosen:
            yield Task(self.first, Accuracy(perturbations=chosen))
        for each in self.evaluations:
            if set(each.conditions) & set(missing):
                yield Task(self.first, each)

    @property
    def looked_at(self) -> tuple[Perturbation, ...]:
        """The conditions whose mistakes are kept, with the units of the samples.

        Raises:
            InputError: If the samples are corrupted already.
        """
        if self.cells:
            raise InputError(
                "evaluate: --mistakes shows one image under every condition, so it needs clean images, got data that "
                "are corrupted already; leave it out."
            )
        return shown_perturbations(self.perturbations)

    @property
    def learned(self) -> tuple[NoiseDistance, ...]:
        """The evaluations that train a generator, with the box of the samples."""
        return tuple(each for each in self.evaluations if isinstance(each, NoiseDistance) and each.learns)

    @property
    def landscapes(self) -> tuple[WorstCase | None, ...]:
        """The attacks of which a landscape is drawn, with the units of the samples; None is one without an attack."""
        if not has_landscape(self.first):
            return ()
        return tuple(each for each in self.evaluations if isinstance(each, WorstCase)) or (None,)

    def has_reference(self, pixels: int | None) -> bool:
        """Return whether AlexNet's errors are for such images: of ImageNet's 1,000 classes, at 224 pixels."""
        return self.first.shape == (3, 224, 224) and len(self.first.classes) == 1000 and pixels in (None, 224)


def check_figures(sources: Sequence[Source]) -> None:
    """Refuse to draw where no noise is learned and no inputs are points of a plane, or where images have no picture.

    Args:
        sources: At least one.

    Raises:
        InputError: If there is nothing to draw.
    """
    for each in sources:
        if each.learned:
            check_picturable(each.first.shape)
    if any(each.learned or each.landscapes for each in sources):
        return
    shape = sources[0].first.shape
    if len(shape) == 1:
        raise InputError(
            "evaluate: --figures shows data of two features that are numbers, or adversarial noise on images, "
            f"got inputs of shape {shape}; leave it out."
        )
    raise InputError("evaluate: --figures shows adversarial noise; add noise-distance to --on.")
