"""Question: the evaluations of a model, and their samples."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal, cast

from withstand.conditions import CLEAN
from withstand.configuration import discover
from withstand.data.as_split import as_split
from withstand.data.base import Dataset, Split
from withstand.data.frost_textures import has_frost_textures
from withstand.data.space import Space
from withstand.data.tables.features import Features
from withstand.errors import InputError, brief
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.base import Evaluation
from withstand.evaluation.certificate import Certificate
from withstand.evaluation.randomized_smoothing import RandomizedSmoothing
from withstand.evaluation.sandwich import Sandwich
from withstand.evaluation.threshold import Threshold
from withstand.evaluation.worst_case import WorstCase
from withstand.limits import NonEmpty, PositiveInt, checked
from withstand.measuring.words import (
    Asked,
    Textures,
    advice,
    cell_notes,
    choose_cells,
    is_evaluation,
    known_words,
    meant,
    notes_on,
)
from withstand.perturbations.attacks.budgets import Budget
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Corruption, Perturbation
from withstand.perturbations.corruptions.imagenet_c.frost import Frost
from withstand.perturbations.corruptions.suites import Pixels
from withstand.perturbations.imagenet_c import ImageNetC
from withstand.perturbations.table_errors.suite import table_errors

WhoseFrost = Literal["auto", "published", "procedural"]
On = str | Mapping[str, Any] | type | Perturbation | Evaluation
Conditions = On | Annotated[Sequence[On], NonEmpty]


@dataclass(frozen=True, kw_only=True)
class Task:
    """Evaluations on the same samples; each sample is loaded only once.

    Attributes:
        load: Returns the samples.
        evaluations: Evaluations, adapted to the samples.
        source: Name of the cell of already corrupted data; else empty.
    """

    load: Callable[[], Split]
    evaluations: tuple[Evaluation, ...]
    source: str = ""

    def name_of(self, condition: str) -> str:
        """Return the name of a condition in results; clean images of a cell are the cell."""
        if not self.source:
            return condition
        return self.source if condition == CLEAN else f"{condition} on {self.source}"

    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of all conditions, in order."""
        return tuple(self.name_of(each) for own in self.evaluations for each in own.conditions)


@dataclass(frozen=True, kw_only=True)
class Question:
    """The evaluations of a model on a data set.

    Attributes:
        tasks: One task per set of samples.
        split: The samples, or those of the first cell.
        data: Name of the data set.
        notes: Remarks for readers of the results.
    """

    tasks: tuple[Task, ...]
    split: Split
    data: str
    notes: tuple[str, ...] = ()

    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of all conditions, in order."""
        return tuple(each for task in self.tasks for each in task.conditions)

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """All evaluations, in order."""
        return tuple(each for task in self.tasks for each in task.evaluations)

    @classmethod
    @checked
    def of(
        cls,
        data: Any,
        on: Conditions | None = None,
        *,
        num_classes: PositiveInt | None = None,
        frost: WhoseFrost = "auto",
        pixels: Pixels | None = None,
        balls: Sequence[Ball] = (),
        budget: Budget = "standard",
    ) -> "Question":
        """Return the question for some data, checked against the samples.

        Args:
            data: A data set of the package (its test part is used), a split, or a PyTorch data set of (input, label)
                pairs.
            on: Conditions by name, by class name or as YAML, or perturbations and evaluations. None measures clean
                inputs or, for already corrupted data, every cell. For such data, names select cells, and everything
                else applies to every cell.
            num_classes: Number of classes of a data set of pairs that does not declare it.
            frost: Frost textures; `auto` takes the published ones if they are present, otherwise procedural ones.
            pixels: Image size that sets corruption parameters; None takes the nearest.
            balls: For the words that take a radius.
            budget: Of the attacks of `worst-case` and `sandwich`.

        Raises:
            InputError: If a name is unknown, or a condition does not suit the samples.
        """
        given, textures = _listed(on), _textures(frost)

        options: dict[str, Any] = {"balls": balls, "pixels": pixels, "frost": textures, "budget": budget}

        def evaluations(asked: Sequence[On], space: Space) -> list[Evaluation]:
            found: list[Asked] = []
            for each in asked:
                for one in resolve(each, space.shape, features=space.features, **options):
                    found += [one] if one not in found else []
            drawn = tuple(each for each in found if isinstance(each, Perturbation))
            asked_of_all = [Accuracy(perturbations=drawn)] if drawn else []
            return [*asked_of_all, *(each for each in found if isinstance(each, Evaluation))]

        cells = data.cells() if isinstance(data, Dataset) else {}
        if cells:
            return cls._of_cells(data, given, cells, evaluations)
        split = as_split(data, "test", num_classes=num_classes)
        if len(split) == 0:
            raise InputError("evaluate: the test part has no samples.")
        return cls.of_evaluations(split, evaluations(given or ["clean"], split.space), data=type(data).__name__)

    @classmethod
    @checked
    def of_evaluations(
        cls, split: Split, evaluations: Annotated[Sequence[Evaluation], NonEmpty], *, data: str
    ) -> "Question":
        """Return the question of some evaluations on a split.

        Raises:
            InputError: If one does not suit the samples, or two share a condition.
        """
        task = Task(load=lambda: split, evaluations=_adapted(evaluations, split))
        drawn = [each for own in task.evaluations if isinstance(own, Accuracy) for each in own.perturbations]
        drawn += [each for own in task.evaluations if isinstance(own, Threshold) for each in own.corruptions]
        notes = (*split.notes, *notes_on(drawn, split.shape), *_notes_on_changes(split, task.evaluations))
        return cls(tasks=(task,), split=split, data=data, notes=notes)

    @classmethod
    def _of_cells(
        cls,
        data: Dataset,
        given: Sequence[On],
        cells: Mapping[str, Dataset],
        evaluations: Callable[[Sequence[On], Space], list[Evaluation]],
    ) -> "Question":
        """Return a question on already corrupted samples: names choose cells, all else applies to each."""
        others = [each for each in given if not isinstance(each, str) or is_evaluation(each)]
        names = [each for each in given if isinstance(each, str) and each not in others]
        chosen = choose_cells(names or None, cells)
        first = cells[chosen[0]].load("test")
        asked = _adapted([Accuracy(), *evaluations(others, first.space)], first)
        tasks = []
        for name in chosen:
            load = (lambda: first) if name == chosen[0] else partial(cells[name].load, "test")
            tasks.append(Task(load=load, evaluations=asked, source=name))
        notes = (*first.notes, *cell_notes(chosen, data.missing()))
        return cls(tasks=tuple(tasks), split=first, data=type(data).__name__, notes=notes)


def _listed(on: Conditions | None) -> list[On]:
    """Return the conditions as a list."""
    if isinstance(on, str | Mapping | type | Perturbation | Evaluation):
        return [on]
    if not isinstance(on, Sequence | Set | Iterator | None):
        raise InputError(f"on must be a condition or a list of conditions, got {type(on).__name__}.")
    return list(on or ())


def _textures(frost: WhoseFrost) -> Textures:
    """Return the textures of frost: published ones if they are there."""
    if frost == "auto":
        return "published" if has_frost_textures() else "procedural"
    return frost


def _adapted(evaluations: Sequence[Evaluation], split: Split) -> tuple[Evaluation, ...]:
    """Return evaluations adapted to a split.

    Raises:
        InputError: If one does not suit the samples, or two share a condition.
    """
    adapted = tuple(each.adapted(split) for each in evaluations)
    declared: dict[str, Any] = {}
    for each in adapted:
        who = type(each).__name__
        if not isinstance(each.conditions, tuple) or not all(isinstance(name, str) for name in each.conditions):
            raise InputError(f"{who}: conditions must be a tuple of names, got {each.conditions!r}.")
        own = [measure.name for measure in each.measures]
        if not own or len(set(own)) < len(own):
            raise InputError(f"{who}: measures must have different names, at least one, got {own}.")
        for measure in each.measures:
            known = declared.setdefault(measure.name, (measure.words, measure.better, measure.percent))
            if known != (measure.words, measure.better, measure.percent):
                raise InputError(f"on: two evaluations declare different measures named {measure.name}.")
    names = [condition for each in adapted for condition in each.conditions]
    twice = [each for each in names if names.count(each) > 1]
    if twice:
        raise InputError(f"on: conditions must differ, got {twice[0]} from two evaluations.")
    return adapted


def resolve(
    given: On,
    shape: tuple[int, ...],
    *,
    balls: Sequence[Ball],
    pixels: Pixels | None,
    frost: Textures,
    budget: Budget = "standard",
    features: Features | None = None,
) -> Iterator[Asked]:
    """Yield the perturbations and evaluations of one item of `on`; see `Question.of`.

    Raises:
        InputError: If it is unknown.
    """
    if given == "table-errors":
        yield from table_errors(features)
        return
    options: dict[str, Any] = {"balls": balls, "budget": budget, "pixels": pixels, "frost": frost}
    if isinstance(given, str) and (found := meant(given, shape, **options)):
        yield from found
        return
    if isinstance(given, type) and issubclass(given, Perturbation | Evaluation):
        try:
            given = given()
        except TypeError as problem:
            raise InputError(f"on: {given.__name__} has required fields; pass an instance ({problem}).") from problem
    named = isinstance(given, str)
    if isinstance(given, str | Mapping):
        from withstand.parser import build

        names = {each.__name__ for family in (Evaluation, Perturbation) for each in discover(family)}
        if isinstance(given, str) and not given.lstrip().startswith("{") and given.rsplit(".", 1)[-1] not in names:
            words = known_words()
            spelled = [*words, *(each for each in names if each.lower() not in words)]
            raise InputError(f"on: {brief(given)} is not a known condition; {advice(given, spelled)}")
        given = build("on", given, "evaluations", "perturbation")
    if named and isinstance(given, Corruption) and pixels is not None:
        given = cast(Any, replace)(given, pixels=pixels)
    if named and isinstance(given, Frost) and frost == "procedural":
        given = replace(given, textures=frost)
    if isinstance(given, ImageNetC) and len(shape) == 3:
        yield from replace(given, pixels=given.pixels or pixels, frost=given.frost or frost).cells(*shape[1:])
    elif isinstance(given, Perturbation | Evaluation):
        yield given
    else:
        raise InputError(f"on: expected names, perturbations or evaluations, got {given!r}.")


def _notes_on_changes(split: Split, evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """Return notes on columns that are fixed or change otherwise within balls."""
    features = split.features
    in_balls = WorstCase | Certificate | Sandwich | RandomizedSmoothing
    if features is None or not any(isinstance(each, in_balls) for each in evaluations):
        return ()
    changing = dict.fromkeys(features.columns[number] for change in split.space.changes for number in change.inputs)
    fixed = dict.fromkeys(features.columns[number] for number in split.space.fixed)
    # An input of empty cells is fixed, and its column moves nevertheless.
    moving = {name for number, name in enumerate(features.columns) if number not in split.space.fixed}
    fixed = [name for name in fixed if name not in changing and name not in moving]
    notes = (f"Within balls, these columns do not move: {', '.join(fixed)}.",) if fixed else ()
    return notes + (
        (f"Within balls, these columns change as `changes` allows: {', '.join(changing)}.",) if changing else ()
    )
