"""Evaluate models: reuse kept outcomes, measure the rest."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import yaml
from torch import nn

from withstand.configuration import foreign_source, to_plain
from withstand.data.base import Split
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.base import Evaluation
from withstand.files import write_whole
from withstand.measuring.blocks import Spread
from withstand.measuring.generators import prepared
from withstand.measuring.kept import Kept, sample_frame
from withstand.measuring.parts import PARTS, Parts
from withstand.measuring.passes import columns_of, further_passes, one_pass
from withstand.measuring.pictures import Drawn, Taken, has_thumbnails, keep_pictures, watched
from withstand.measuring.question import Question, Task
from withstand.measuring.results import Results
from withstand.measuring.subject import Silent, Subject, Teller, check_config, check_model, held
from withstand.models.frozen import evaluating
from withstand.study.contents import CONFIG, NOTES, OUTCOMES, ROWS, read_notes
from withstand.study.measures.outcome_files import ABOUT
from withstand.study.measures.outcomes import ConditionOutcomes, OutcomeTable
from withstand.study.measures.row import read_values, write_rows


def ask(
    subjects: Sequence[Subject],
    *,
    seed: int,
    engine: Engine,
    teller: Teller | None = None,
    spread: Spread | None = None,
) -> Results:
    """Measure all models, and return the results, the same in every process.

    Args:
        subjects: The models, with different names.
        seed: Seed of every draw; the same seed gives every model the same noise.
        engine: Device, processes and batch size; does not affect results.
        teller: Receives progress.
        spread: Measures in many processes or on many machines; None measures in this process.

    Raises:
        InputError: If a model does not suit its question; no folder is created then.
        BusyError: If another process works in a model's folder.
    """
    teller = teller or Silent()
    if seed < 0:
        raise InputError(f"evaluate: seed must be at least 0, got {seed}.")
    if len(subjects) > 1:  # all models are checked before the first is measured
        for each in subjects:
            if _is_asked(each, seed=seed, engine=engine):
                check_model(each.load(), each.question, engine)
    tables: dict[str, OutcomeTable] = {}
    notes: dict[str, None] = {}
    for each in subjects:
        load = cache(each.load)  # released when the next model comes
        with held(each, engine):
            taken: Taken = {}
            subject = replace(each, load=load)
            own = engine if each.batch_size is None else replace(engine, batch_size=each.batch_size)
            options = {"seed": seed, "engine": own, "teller": teller, "taken": taken, "spread": spread}
            tables[each.name] = answer(subject, **options)
            if (folder := each.folder) is not None:
                table, inputs = tables[each.name], _inputs(each.question)
                engine.first(partial(keep_pictures, folder, table, inputs, load, engine=engine, taken=taken))
        notes |= dict.fromkeys([*each.notes, *each.question.notes, *_unread(each.question, tables[each.name])])
    return Results(tables, notes=tuple(notes))


def answer(
    subject: Subject,
    *,
    seed: int,
    engine: Engine,
    teller: Teller,
    taken: Taken | None = None,
    spread: Spread | None = None,
) -> OutcomeTable:
    """Return the outcomes of one model, by condition, and keep them and their summary in its folder, if any."""
    question, folder = subject.question, subject.folder
    kept = kept_of(subject, seed=seed, engine=engine)
    missing = engine.of_first([missing_of(task, kept) for task in question.tasks])
    if count := sum(map(len, missing)):
        plural = "s" if count > 1 else ""
        teller.say(f"{subject.name}: {count} condition{plural}, {len(question.split):,} samples, {engine.device}.")
        model = subject.load()
        check_model(model, question, engine)
        for task, wanted in zip(question.tasks, missing, strict=True):
            if wanted:
                options = {"subject": subject, "seed": seed, "engine": engine, "teller": teller, "taken": taken}
                measure(task, wanted, model, kept, spread=spread, **options)
    else:
        teller.say(f"{subject.name}: measured already" + (f" ({folder})." if folder else "."))
        if folder is not None and (folder / OUTCOMES / PARTS).is_dir():  # left by a kill between merging and removal
            for task in question.tasks:
                parts_of(task, task.evaluations, kept, seed=seed, engine=engine).remove()
    if folder is not None and engine.first(lambda: is_stale(folder)):
        engine.first(lambda: write_summary(subject, kept.table))
    return engine.of_first(kept.table).only(question.conditions)


def is_stale(folder: Path) -> bool:
    """Return whether the summary in a model's folder is missing, damaged, or older than the outcomes."""
    rows, outcomes = folder / ROWS, folder / OUTCOMES / ABOUT
    if not rows.is_file() or rows.stat().st_mtime_ns < outcomes.stat().st_mtime_ns:
        return True
    try:
        read_values(rows)
    except InputError:
        return True
    return False


def measure(
    task: Task,
    missing: Sequence[str],
    model: nn.Module,
    kept: Kept,
    *,
    subject: Subject,
    seed: int,
    engine: Engine,
    teller: Teller,
    taken: Taken | None = None,
    spread: Spread | None = None,
) -> None:
    """Measure some conditions of a task, part by part, and keep their outcomes; take pictures of the examples."""
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
    parts = parts_of(task, evaluations, kept, seed=seed, engine=engine)
    # Elsewhere, and of already corrupted data, whose cells have samples of their own, pictures are drawn afterwards.
    looked_at = evaluations
    if taken is not None and not task.source and spread is None:
        looked_at = [watched(each, split, taken) for each in evaluations]
    counting = partial(teller.counting, len(split), task.source or "samples")
    run = partial(one_pass, model, split, seed=seed, engine=engine, counting=counting, spread=spread, home=folder)
    samples, frames = run(looked_at, states, parts)
    if len(samples) == 0:
        raise InputError("evaluate: none of the samples could be read.")
    further_passes(evaluations, states, frames, parts, run)
    found = [
        outcomes
        for each, state in zip(evaluations, states, strict=True)
        for outcomes in _concluded(each, task, frames, model, split, state=state, engine=engine)
    ]

    def keep() -> None:
        kept.add(found, sample_frame(samples, split), source=task.source)
        parts.remove()

    engine.first(keep)


def _concluded(
    evaluation: Evaluation, task: Task, frames: Any, model: nn.Module, split: Split, *, state: Any, engine: Engine
) -> Iterator[ConditionOutcomes]:
    """Yield the outcomes under the conditions of an evaluation, with its numbers and notes."""
    own = {name: columns_of(frames[name]) for name in evaluation.conditions}
    with evaluating(model):
        numbers = evaluation.conclude(model, split, own, state=state, engine=engine)
    notes = evaluation.remarks(own, state=state)
    for name in evaluation.conditions:
        yield ConditionOutcomes(
            condition=task.name_of(name),
            measures=evaluation.measures,
            columns=frames[name],
            numbers=numbers.get(name, {}),
            evaluation=_plain(evaluation.only([name])),
            notes=notes.get(name, ()),
        )


def write_summary(subject: Subject, table: OutcomeTable) -> None:
    """Write the summary of all kept outcomes of a model: configuration, notes, and rows last."""
    folder = subject.folder
    assert folder is not None
    results = Results({subject.name: table})
    if subject.config:
        write_whole(folder / CONFIG, yaml.safe_dump(dict(subject.config), sort_keys=False).encode(), settle=False)
    unread = _unread(subject.question, table)
    known = [*read_notes(folder), *subject.question.notes, *subject.notes, *unread, *results.notes]
    notes = list(dict.fromkeys(known))
    write_whole(folder / NOTES, (json.dumps(notes, indent=1) + "\n").encode(), settle=False)
    write_rows(folder / ROWS, results.rows[subject.name], results.measures)


def read_results(folder: Path) -> Results:
    """Return the kept results in a folder: a run, or a later evaluation.

    Raises:
        InputError: If there are none.
    """
    table = OutcomeTable.read(folder / OUTCOMES)
    return Results({folder.name: table}, notes=read_notes(folder))


def _unread(question: Question, table: OutcomeTable) -> list[str]:
    """Return a note on samples that could not be read."""
    known = dict(table.samples.group_by("source").len().iter_rows())
    lost = len(question.split) - known.get("", 0)
    return [f"{lost:,} of {len(question.split):,} samples could not be read and are left out."] if lost > 0 else []


def _inputs(question: Question) -> dict[str, Drawn]:
    """Return how to draw the inputs of every condition again; empty if they are not images."""
    if not has_thumbnails(question.split.shape):
        return {}
    return {
        task.name_of(perturbation.condition): Drawn(task.load, perturbation)
        for task in question.tasks
        for evaluation in task.evaluations
        if isinstance(evaluation, Accuracy) and evaluation.num_draws == 1
        for perturbation in evaluation.perturbations
    }


def kept_of(subject: Subject, *, seed: int, engine: Engine) -> Kept:
    """Return the kept outcomes of a model."""
    split = subject.question.split

    def read() -> Kept:
        check_config(subject)
        folder = None if subject.folder is None else subject.folder / OUTCOMES
        return Kept(folder, data=subject.question.data, seed=seed, classes=split.classes, shape=split.shape)

    return engine.first(read)


def _is_asked(subject: Subject, *, seed: int, engine: Engine) -> bool:
    """Return whether any condition of a model is missing."""
    kept = kept_of(subject, seed=seed, engine=engine)
    return engine.first(lambda: any(missing_of(task, kept) for task in subject.question.tasks))


def parts_of(task: Task, evaluations: Sequence[Evaluation], kept: Kept, *, seed: int, engine: Engine) -> Parts:
    """Return the parts of some evaluations of a task."""
    plain = [_plain(each) for each in evaluations]
    what = {"source": task.source, "evaluations": plain, "seed": seed, "samples": len(task.load())}
    names = [own for each in evaluations for own in each.conditions]
    return kept.parts(what, names, seconds=engine.checkpoint_seconds, writes=engine.is_first)


def missing_of(task: Task, kept: Kept) -> list[str]:
    """Return the names of the missing conditions."""
    return [
        task.name_of(own)
        for each in task.evaluations
        for own in each.conditions
        if not kept.has(task.name_of(own), _plain(each.only([own])))
    ]


def _plain(evaluation: Evaluation) -> dict[str, Any]:
    """Return the plain form of an evaluation; classes from outside the package add a hash of their source."""
    plain = cast(dict[str, Any], to_plain(evaluation))
    source = foreign_source(evaluation)
    return plain | {"source": source} if source else plain
