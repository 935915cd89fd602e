"""Subjects whose model adapts to each batch of test samples."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from withstand.configuration import identity
from withstand.data.base import Split
from withstand.data.shuffled import Shuffled
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.base import Evaluation
from withstand.measuring.question import Question
from withstand.measuring.subject import Subject
from withstand.models.wrappers.batch_norm_adapted import BatchNormAdapted
from withstand.perturbations.transform import needs_model

SUFFIX = "-adapted"


def adapting(
    subject: Subject, *, prior: float, batch_size: int | None, seed: int, home: Path | None, compiled: bool = False
) -> Subject:
    """Return a subject whose samples come in random order and in batches of one size, since outputs depend on both.

    Args:
        subject: Its model is wrapped in `BatchNormAdapted`, unless it is one already.
        prior: Number of samples that the statistics of training count as, at least 0.
        batch_size: Number of samples in a batch, which becomes part of what identifies the outcomes.
        seed: Seed of the order.
        home: Where the folder for the outcomes lies; None keeps nothing.
        compiled: Whether models are compiled, which is refused.

    Raises:
        InputError: If there is no batch size, or a condition does not suit such a model.
    """
    if compiled:
        raise InputError("evaluate: compile does not follow batch normalisation that adapts; leave it out.")
    if batch_size is None:
        raise InputError("evaluate: --adapt needs a batch size, which affects the results, got none; pass -b 64.")
    question = subject.question
    for each in question.evaluations:
        _check(each)
    name = subject.name + SUFFIX
    whole = len(question.split) // batch_size * batch_size
    rest = f", the last of {len(question.split) - whole:,}" if len(question.split) > whole else ""
    note = (
        f"{name}: batch normalisation adapts to each batch of {batch_size:,} test samples{rest}; the statistics of "
        f"training count as {prior:g} samples."
    )
    plain, asked = subject.load, {"prior": prior, "batch_size": batch_size}

    def load() -> nn.Module:
        model = plain()
        return model if isinstance(model, BatchNormAdapted) else _wrapped(model, subject.name, asked)

    config = {**subject.config, "adapted": {"prior": float(prior), "batch_size": batch_size}}
    return replace(
        subject,
        name=name,
        load=load,
        folder=None if home is None else home / f"{re.sub('[/:]', '_', name)}-{identity(config)}",
        question=_in_random_order(question, seed),
        config=config,
        batch_size=batch_size,
        notes=(*subject.notes, note),
    )


def _wrapped(model: nn.Module, name: str, asked: dict[str, Any]) -> BatchNormAdapted:
    try:
        return BatchNormAdapted(model, **asked)
    except InputError as problem:
        raise InputError(f"evaluate: --adapt does not suit {name}: {problem}") from None


def _check(evaluation: Evaluation) -> None:
    refused: Sequence[str] = evaluation.conditions
    if isinstance(evaluation, Accuracy) and evaluation.num_draws == 1:
        refused = [each.condition for each in evaluation.perturbations if needs_model(each)]
    if refused:
        raise InputError(
            f"{type(evaluation).__name__}: {refused[0]} cannot be measured for a model that adapts to its batch; "
            "clean, corruptions and noise with one draw can."
        )


def _in_random_order(question: Question, seed: int) -> Question:
    def shuffled(load: Callable[[], Split]) -> Callable[[], Split]:
        return lambda: Shuffled(load(), seed=seed)

    tasks = tuple(replace(task, load=shuffled(task.load)) for task in question.tasks)
    return replace(question, tasks=tasks, split=Shuffled(question.split, seed=seed))
