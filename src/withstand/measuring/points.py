"""The points at which attacks broke samples."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from withstand.engine import Engine
from withstand.evaluation.worst_case import WorstCase
from withstand.files import write_whole
from withstand.functional.random import RowStreams
from withstand.measuring.generators import prepared
from withstand.measuring.question import Task
from withstand.measuring.subject import Subject
from withstand.models.frozen import evaluating
from withstand.perturbations.masking.diagnosis import Diagnosis
from withstand.study.measures.outcomes import OutcomeTable


def keep_points(subject: Subject, table: OutcomeTable, folder: Path, *, seed: int, engine: Engine) -> list[Path]:
    """Write a file per ball with a misclassified point for every sample that attacks broke, and return the files.

    The attacks run again on these samples, with the same draws. Each file is a NumPy archive with the arrays `number`
    and `label` of the samples, `points` (sample, *feature), and `prediction` at the points. Points are images in
    [0, 1], or rows of a table in the units of its file.

    Args:
        subject: The model and its question.
        table: Its outcomes.
        folder: Receives the files, named after the conditions.
        seed: Seed of the measurement.
        engine: Device; all processes must call this together, and the first one writes.
    """
    files, model = [], subject.load()
    for task in subject.question.tasks:
        for evaluation in task.evaluations:
            if isinstance(evaluation, WorstCase):
                split = task.load()
                fit_on = subject.fit_on or task.load
                options = {"fit_on": fit_on, "folder": subject.folder, "seed": seed, "engine": engine}
                state = prepared(evaluation, model, split, **options)
                if engine.is_first:
                    with torch.no_grad(), evaluating(model):
                        found = dict(_search(evaluation, state, task, table, model, seed=seed, engine=engine))
                    for condition, arrays in found.items():
                        path = folder / (re.sub(r"[^\w.+]+", "-", condition) + ".npz")
                        np.savez_compressed(content := io.BytesIO(), **arrays)  # pyright: ignore[reportArgumentType]
                        write_whole(path, content.getvalue())
                        files.append(path)
    return files


def _search(
    evaluation: WorstCase,
    state: Diagnosis,
    task: Task,
    table: OutcomeTable,
    model: nn.Module,
    *,
    seed: int,
    engine: Engine,
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield the name and the arrays of each ball."""
    split, features = task.load(), task.load().space.features
    broken = {each: _broken(table, task.name_of(each)) for each in evaluation.conditions}
    some = torch.from_numpy(np.unique(np.concatenate(list(broken.values()))))
    places = some if split.numbers is None else torch.isin(split.numbers, some).nonzero()[:, 0]
    parts: dict[str, list[tuple[np.ndarray, ...]]] = {each: [] for each in broken}
    plan = [each for each in places.split(engine.samples_per_batch(split.shape)) if len(each)]
    for x, y, number, *_ in split.batches(plan, device=engine.device, num_workers=engine.num_workers):
        rng = RowStreams(seed, number, device=engine.device)
        for condition, found in evaluation.points(model, x, y, space=split.space, state=state, rng=rng).items():
            wanted = torch.from_numpy(np.isin(number.cpu().numpy(), broken[condition])).to(x.device)
            rows = (found.success & wanted).nonzero()[:, 0]
            points = found.points[rows]
            prediction = model(points).argmax(1) if len(rows) else rows
            parts[condition].append(tuple(each.cpu().numpy() for each in (number[rows], y[rows], prediction, points)))
    for condition, own in parts.items():
        empty = (np.zeros(0, np.int64),) * 3 + (np.zeros((0, *split.shape), np.float32),)
        columns = [np.concatenate(each) for each in zip(*(own or [empty]), strict=True)]
        if features is not None:
            columns[3] = columns[3] * np.array(features.scale) + np.array(features.offset)
        yield task.name_of(condition), dict(zip(("number", "label", "prediction", "points"), columns, strict=True))


def _broken(table: OutcomeTable, condition: str) -> np.ndarray:
    """Return the numbers of the samples that an attack broke; samples that were wrong before have no point."""
    frame = table.of(condition).frame
    return frame.filter(frame["broken_by"] > 0)["number"].to_numpy().astype(np.int64)
