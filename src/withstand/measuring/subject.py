"""Subject: a model to measure, and its question."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from withstand.configuration import canonical, to_plain
from withstand.data.base import Dataset, Split
from withstand.engine import Engine
from withstand.errors import InputError, told
from withstand.files import hold
from withstand.measuring.question import Question
from withstand.models.frozen import evaluating
from withstand.models.wrappers.black_box import is_differentiable
from withstand.models.wrappers.with_surrogate import WithSurrogate
from withstand.study.contents import CONFIG, MOVE, OUTCOMES
from withstand.study.records import read_yaml

NUM_HASHED = 64  # samples that identify custom data


class Teller(Protocol):
    """Receives messages and progress."""

    def say(self, sentence: str) -> None:
        """Show a message."""
        ...

    def counting(self, total: int, what: str) -> AbstractContextManager[Callable[[int], None]]:
        """Return a context manager that yields a progress callback."""
        ...


class Silent:
    """A `Teller` that prints nothing."""

    def say(self, sentence: str) -> None:
        """Print nothing."""

    def counting(self, total: int, what: str) -> AbstractContextManager[Callable[[int], None]]:
        """Show no progress."""
        return nullcontext(lambda _: None)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model to measure, and its question.

    Attributes:
        name: Name of the model, in tables.
        question: The evaluations.
        load: Returns the model on the engine's device; called only if a condition is missing.
        fit_on: Returns training samples, for attacks that are trained; None takes the test samples.
        folder: For the outcomes; None keeps nothing.
        config: Everything else that affects outcomes, in plain form.
        batch_size: Number of samples in a batch, where predictions depend on the batch; else None.
        notes: Remarks for readers of the results.
    """

    name: str
    question: Question
    load: Callable[[], nn.Module]
    fit_on: Callable[[], Split] | None = None
    folder: Path | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int | None = None
    notes: tuple[str, ...] = ()


def check_model(model: nn.Module, question: Question, engine: Engine) -> None:
    """Reject a model that does not suit its question."""
    check_outputs(model, question.split, engine)
    if isinstance(model, WithSurrogate):
        check_outputs(model.surrogate, question.split, engine, who="surrogate:")
    for each in question.evaluations:
        if each.needs_gradient and not is_differentiable(model):
            raise InputError(
                f"{type(each).__name__}: {each.conditions[0]} needs gradients, which the model does not have; clean, "
                "corruptions, noise, smoothing and worst-case do not need them."
            )
        each.check(model, question.split.space)


def check_outputs(model: nn.Module, split: Split, engine: Engine, *, who: str = "model:") -> None:
    """Reject a model that does not map the split's inputs to one logit per class."""
    logits = outputs_of(model, torch.zeros(2, *split.shape, device=engine.device), who=who)
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != (2, len(split.classes)):
        raise InputError(
            f"{who} for {len(split.classes)} classes two inputs must give logits of shape (2, {len(split.classes)}), "
            f"got {shape}."
        )
    if logits.is_complex() or logits.device.type != engine.device.type:
        came = f"{logits.dtype} on {logits.device.type}".removeprefix("torch.")
        raise InputError(f"{who} logits must be real numbers on {engine.device.type}, as the inputs, got {came}.")


def outputs_of(model: nn.Module, x: Tensor, *, who: str) -> Any:
    """Return what a model in evaluation mode returns for some inputs.

    Raises:
        InputError: If it raises any exception.
    """
    with torch.no_grad(), evaluating(model):
        try:
            return model(x)
        except Exception as problem:  # custom modules may raise anything
            what = f"inputs of shape {tuple(x.shape[1:])} and type {x.dtype}".replace("torch.", "")
            raise InputError(f"{who} cannot take {what} ({told(problem)}).") from problem


def check_config(subject: Subject) -> None:
    """Reject a folder that holds the outcomes of another model."""
    path = subject.folder / CONFIG if subject.folder is not None and subject.config else None
    if path is None or not path.exists():
        return
    if canonical(read_yaml(path, then=MOVE)) != canonical(subject.config):
        raise InputError(
            f"{path.parent}: expected outcomes of {subject.name}, found the {CONFIG} of something else; move the "
            "folder away."
        )


@contextmanager
def held(subject: Subject, engine: Engine) -> Iterator[None]:
    """Lock a model's folder; remove it after a failure that left no outcomes."""
    folder = subject.folder
    if folder is None:
        yield
        return
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    with ExitStack() as locks:
        engine.first(lambda: locks.enter_context(hold(folder)))
        try:
            yield
        except BaseException:
            nothing = not (folder / OUTCOMES).exists() and not any(folder.glob("generator-*"))
            if engine.is_first and folder in made and nothing:
                shutil.rmtree(folder, ignore_errors=True)
                for each in made[1:]:
                    if not each.is_dir() or any(each.iterdir()):
                        break
                    each.rmdir()
            raise


def about(data: Any, split: Split) -> Any:
    """Return what identifies data: their configuration, or a hash of samples."""
    if isinstance(data, Dataset):
        return to_plain(data)
    if isinstance(tensors := getattr(data, "tensors", None), tuple | list):  # in memory
        whole = sha256(b"".join(each.detach().cpu().contiguous().numpy().tobytes() for each in tensors)).hexdigest()
        return {"kind": type(data).__name__, "classes": list(split.classes), "tensors": whole}
    places = torch.linspace(0, len(split) - 1, min(NUM_HASHED, len(split))).round().long()
    x, y = next(iter(split.batches([places])))[:2]
    some = sha256(x.numpy().tobytes() + y.numpy().tobytes()).hexdigest()
    return {"kind": type(data).__name__, "classes": list(split.classes), "shape": list(split.shape), "samples": some}
