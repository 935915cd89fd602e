"""Ask: the only evaluate. Models meet a question; what was measured before is read, the rest is measured and kept."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
import yaml
from torch import nn

from withstand.configuration import canonical, to_plain
from withstand.data.base import Split
from withstand.engine import Engine
from withstand.errors import BusyError, InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.base import Columns, Evaluation
from withstand.evaluation.loop import blocks
from withstand.files import hold, write_whole
from withstand.measuring.generators import prepared
from withstand.measuring.mistakes import Drawn, has_thumbnails, keep_mistakes
from withstand.measuring.outcomes import Kept, sample_frame
from withstand.measuring.question import Question, Task
from withstand.measuring.results import Results
from withstand.models.frozen import evaluating
from withstand.study.outcomes import ConditionOutcomes, OutcomeTable
from withstand.study.row import write_rows

CONFIG, ROWS, NOTES, FOLDER = "config.yaml", "rows.jsonl", "notes.json", "outcomes"


class Teller(Protocol):
    """Whoever speaks to the user while models are measured."""

    def say(self, sentence: str) -> None:
        """Say what is going on."""
        ...

    def counting(self, total: int, what: str) -> AbstractContextManager[Callable[[int], None]]:
        """Return a context with a function that takes how many samples are done."""
        ...


class Silent:
    """Says nothing."""

    def say(self, sentence: str) -> None:
        """Say nothing."""

    def counting(self, total: int, what: str) -> AbstractContextManager[Callable[[int], None]]:  # noqa: ARG002
        """Count nothing."""
        return nullcontext(lambda _: None)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model, and what is asked of it.

    Attributes:
        name: Of the model, in tables.
        question: What is asked.
        load: Returns the model on the engine's device; called only if something must be measured.
        fit_on: Returns the samples of the training part, for attacks that are trained; None takes the samples.
        folder: Where its answers are kept; None keeps nothing.
        config: What decides the answers besides the question, in plain form.
        notes: Sentences about this model that a reader must know.
    """

    name: str
    question: Question
    load: Callable[[], nn.Module]
    fit_on: Callable[[], Split] | None = None
    folder: Path | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def ask(subjects: Sequence[Subject], *, seed: int, engine: Engine, tell: Teller | None = None) -> Results:
    """Return the answers of all models, the same in every process.

    Args:
        subjects: The models, each with a name of its own.
        seed: Decides every draw; the same seed gives every model the same noise.
        engine: Device, processes and batch size; does not affect results.
        tell: Receives progress.

    Raises:
        InputError: If a model does not fit its question; no folder is left behind then.
        BusyError: If another process works in a model's folder.
    """
    tell = tell or Silent()
    tables: dict[str, OutcomeTable] = {}
    notes: dict[str, None] = {}
    for each in subjects:
        with _folder(each, engine):
            tables[each.name] = answer(each, seed=seed, engine=engine, tell=tell)
            if each.folder is not None and engine.is_first:
                keep_mistakes(each.folder, tables[each.name], _inputs(each.question), each.load, engine=engine)
        notes |= dict.fromkeys([*each.notes, *each.question.notes])
    return Results(tables, notes=tuple(notes))


def answer(subject: Subject, *, seed: int, engine: Engine, tell: Teller) -> OutcomeTable:
    """Return the outcomes of one model under the conditions of its question, in their order.

    Its folder, if it has one, then holds them, with the numbers that all outcomes in it are reduced to.
    """
    question, folder = subject.question, subject.folder
    split = question.split
    _check_config(subject)
    kept = Kept(
        folder and folder / FOLDER,
        data=question.data,
        seed=seed,
        classes=split.classes,
        shape=split.shape,
    )
    loaded: list[nn.Module] = []
    measured = False
    for task in question.tasks:
        missing = engine.of_first(_missing(task, kept))
        if not missing:
            continue
        if not loaded:
            conditions = engine.of_first(sum(len(_missing(each, kept)) for each in question.tasks))
            plural = "s" if conditions > 1 else ""
            tell.say(f"{subject.name}: {conditions} condition{plural}, {len(split):,} samples, {engine.device}.")
            loaded.append(subject.load())
            check_outputs(loaded[0], split, engine)
        measure(task, missing, loaded[0], kept, subject=subject, seed=seed, engine=engine, tell=tell)
        measured = True
    if not measured:
        tell.say(f"{subject.name}: measured already" + (f" ({folder})." if folder else "."))
    if folder is not None and engine.is_first and (measured or not (folder / ROWS).exists()):
        write_summary(subject, kept.table)
    engine.wait()
    table = engine.of_first(kept.table)
    return table.only(question.conditions)


def measure(
    task: Task,
    missing: Sequence[str],
    model: nn.Module,
    kept: Kept,
    *,
    subject: Subject,
    seed: int,
    engine: Engine,
    tell: Teller,
) -> None:
    """Measure some conditions of a task, part by part, and add them to what is kept."""
    split = task.load()
    evaluations = [
        each.only(wanted)
        for each in task.evaluations
        if (wanted := [own for own in each.conditions if task.name_of(own) in missing])
    ]
    folder, fit_on = subject.folder, subject.fit_on or (lambda: split)
    states = [
        prepared(each, model, split, fit_on=fit_on, folder=folder, seed=seed, engine=engine) for each in evaluations
    ]
    names = [own for each in evaluations for own in each.conditions]
    what = {"source": task.source, "evaluations": to_plain(evaluations), "seed": seed, "samples": len(split)}
    parts = kept.parts(what, names, seconds=engine.checkpoint_seconds, writes=engine.is_first)
    start = engine.of_first(parts.done)
    with tell.counting(len(split), task.source or "samples") as count:
        count(start)
        for block in blocks(evaluations, states, model, split, seed=seed, engine=engine, start=start):
            parts.add(block)
            count(block.stop)
    samples, frames = engine.of_first(parts.frames() if engine.is_first else None)
    found = []
    for each, state in zip(evaluations, states, strict=True):
        own = {name: _columns(frames[name]) for name in each.conditions}
        with evaluating(model):
            numbers = each.conclude(model, split, own, state=state, engine=engine)
        for name in each.conditions:
            found.append(
                ConditionOutcomes(
                    condition=task.name_of(name),
                    measures=each.measures,
                    columns=frames[name],
                    numbers=numbers.get(name, {}),
                    evaluation=_plain(each.only([name])),
                )
            )
    if engine.is_first:
        kept.add(found, sample_frame(samples, split), source=task.source)
        parts.remove()


def write_summary(subject: Subject, table: OutcomeTable) -> None:
    """Write the numbers of everything that is kept of a model: configuration, notes, and rows last."""
    folder = subject.folder
    assert folder is not None
    results = Results({subject.name: table})
    if subject.config:
        write_whole(folder / CONFIG, yaml.safe_dump(dict(subject.config), sort_keys=False).encode(), settle=False)
    notes = list(dict.fromkeys([*_read_notes(folder / NOTES), *subject.question.notes, *subject.notes]))
    write_whole(folder / NOTES, (json.dumps(notes, indent=1) + "\n").encode(), settle=False)
    write_rows(folder / ROWS, results.rows[subject.name], results.measures)


def read_results(folder: Path) -> Results:
    """Return what is kept of the model in a folder: a run, or what was measured later.

    Raises:
        InputError: If nothing is.
    """
    table = OutcomeTable.read(folder / FOLDER)
    return Results({folder.name: table}, notes=tuple(_read_notes(folder / NOTES)))


def check_outputs(model: nn.Module, split: Split, engine: Engine) -> None:
    """Refuse a model that does not map the split's inputs to one logit per class.

    Raises:
        InputError: If it does not; the message says what came.
    """
    x = torch.zeros(2, *split.shape, device=engine.device)
    with torch.no_grad(), evaluating(model):
        try:
            logits = model(x)
        except (RuntimeError, ValueError, TypeError, IndexError) as problem:
            raise InputError(
                f"model: cannot take inputs of shape {split.shape} ({str(problem).splitlines()[0]})."
            ) from problem
    shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if shape != (2, len(split.classes)):
        raise InputError(
            f"model: for {len(split.classes)} classes two inputs must give logits of shape (2, {len(split.classes)}), "
            f"got {shape}."
        )


def _inputs(question: Question) -> dict[str, Drawn]:
    """Return how the inputs of every condition that can be drawn again are made; nothing where they are no images."""
    if not has_thumbnails(question.split.shape):
        return {}
    return {
        task.name_of(perturbation.condition): Drawn(task.load, perturbation)
        for task in question.tasks
        for evaluation in task.evaluations
        if isinstance(evaluation, Accuracy) and evaluation.num_draws == 1
        for perturbation in evaluation.perturbations
    }


def _check_config(subject: Subject) -> None:
    """Refuse a folder that is called as this model's and holds the answers of another one.

    Raises:
        InputError: If its configuration is another one.
    """
    path = subject.folder / CONFIG if subject.folder is not None and subject.config else None
    if path is None or not path.exists():
        return
    try:
        known = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError):
        known = None
    if canonical(known) != canonical(subject.config):
        raise InputError(
            f"{path.parent}: expected what was measured of {subject.name}, found the {CONFIG} of something else; move "
            "the folder away."
        )


def _missing(task: Task, kept: Kept) -> list[str]:
    """Return the names of the conditions that are not kept."""
    return [
        task.name_of(own)
        for each in task.evaluations
        for own in each.conditions
        if not kept.has(task.name_of(own), _plain(each.only([own])))
    ]


def _plain(evaluation: Evaluation) -> dict[str, Any]:
    plain = to_plain(evaluation)
    assert isinstance(plain, dict)
    return plain


def _columns(frame: Any) -> Columns:
    return {
        name: torch.from_numpy(frame[name].fill_null(-1).to_numpy(writable=True))
        for name in frame.columns
        if name != "number"
    }


def _read_notes(path: Path) -> list[str]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


@contextmanager
def _folder(subject: Subject, engine: Engine) -> Iterator[None]:
    """Hold a model's folder; if nothing came of it, it does not stay behind."""
    folder = subject.folder
    if folder is None or not engine.is_first:
        yield
        return
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        with hold(folder):
            yield
    except BusyError:
        raise
    except BaseException:
        nothing = not (folder / FOLDER).exists() and not any(folder.glob("generator-*"))
        if folder in made and nothing:
            shutil.rmtree(folder, ignore_errors=True)
            for each in made[1:]:
                if not each.is_dir() or any(each.iterdir()):
                    break
                each.rmdir()
        raise
