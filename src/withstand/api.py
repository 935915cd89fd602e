"""Two functions for Python users: `fit` and `evaluate`, for any module and any data."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from withstand.data.as_split import as_split
from withstand.data.base import Dataset, Split
from withstand.engine import Engine
from withstand.errors import InputError, nearest
from withstand.experiment import accuracy_of
from withstand.measuring.ask import ask
from withstand.measuring.question import On, Question, WhoseFrost
from withstand.measuring.results import Results
from withstand.measuring.subject import check_outputs
from withstand.objectives.base import Objective
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.corruptions.suites import Pixels
from withstand.subjects import num_outputs, of_modules, of_names
from withstand.training.rehearsal import rehearse
from withstand.training.settings import Training
from withstand.training.trainer import Trainer


def fit(
    model: nn.Module,
    data: Any,
    *,
    objective: Objective | None = None,
    validation: Any = None,
    seed: int = 0,
    device: str = "auto",
    workers: int = 0,
    **training: Any,
) -> nn.Module:
    """Train a model in place and return it in evaluation mode.

    Args:
        model: Maps inputs to logits; images come in [0, 1], so normalisation belongs inside.
        data: A data set of the package (its training part is used), a split, or any PyTorch data set of pairs.
        objective: What is minimised; None is plain training.
        validation: The same kinds as data (the validation part is used); needed for `keep="best"` and `patience`.
        seed: Decides the order of the samples and every draw.
        device: auto, cpu, cuda, cuda:1 or mps.
        workers: Processes that fetch samples.
        **training: Fields of `Training`: epochs, batch_size, optimizer, ...

    Raises:
        InputError: If something does not fit; one sentence.

    Example:
        >>> import withstand as ws
        >>> model = ws.SmallCNN(width=4).build((3, 32, 32), 10, seed=0)
        >>> model = ws.fit(model, ws.Digits(), epochs=1, device="cpu")
        >>> sorted({row.measure for row in ws.evaluate(model, ws.Digits(), device="cpu").rows["model"]})
        ['top1', 'top5']
    """
    unknown = [name for name in training if name not in _names()]
    if unknown:
        raise InputError(f"fit: {unknown[0]} is not a field of Training; {nearest(unknown[0], _names())}")
    if objective is not None and not isinstance(objective, Objective):
        raise InputError(f"fit: objective must be an Objective, got {type(objective).__name__}.")
    if not isinstance(model, nn.Module):
        raise InputError(
            f"fit: model must be a torch.nn.Module, got {type(model).__name__}; configurations are built first."
        )
    engine = Engine.start(device=device, num_workers=workers)
    outputs = _num_outputs(model, data)
    split, model = as_split(data, "train", num_classes=outputs), engine.place(model)
    held_out = None if validation is None else as_split(validation, "validation", num_classes=outputs)

    check_outputs(model, split, engine)

    def validate(current: nn.Module) -> float:
        assert held_out is not None
        return accuracy_of(current, held_out, seed=seed, engine=engine)

    trainer = Trainer(
        model,
        split,
        objective=objective or PerturbedRisk(),
        training=Training(**training),
        seed=seed,
        engine=engine,
        validate=validate if held_out is not None and len(held_out) else None,
    )
    rehearse(trainer)
    result = trainer.fit()
    if result is not model:
        model.load_state_dict(result.state_dict())
    return model.eval()


def evaluate(
    model: nn.Module | str | Sequence[str] | Mapping[str, nn.Module],
    data: Any = None,
    *,
    on: On | Sequence[On] | None = None,
    frost: WhoseFrost = "auto",
    pixels: Pixels | None = None,
    keep: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    workers: int = 0,
    batch_size: int | None = None,
) -> Results:
    """Measure one or several models, as `withstand evaluate` does.

    Args:
        model: A module that maps inputs to logits, several of them by name, or folders of finished runs.
        data: A data set of the package (its test part is used), a split, or any PyTorch data set of pairs; None takes
            each run's own.
        on: Words as on the command line (`clean`, `corruptions`, `contrast/3`, `by-class`), classes of perturbations or
            evaluations by name or as YAML, or such objects. None is clean, or every cell of data that are corrupted
            already, of which only names can choose some.
        frost: Whose textures frost takes: `auto`, `published` or `procedural`.
        pixels: Size of images whose published parameters the corruptions take (224, 299, 64 or 32); None takes the
            nearest.
        keep: Folder under which the outcomes of modules are kept, so that what was measured before is not measured
            again and a measurement that was killed resumes; None keeps nothing. Runs keep theirs themselves.
        seed: Decides every draw; the same seed gives every model the same noise.
        device: auto, cpu, cuda, cuda:1 or mps.
        workers: Processes that fetch samples.
        batch_size: Samples per batch; None goes by the size of the inputs. Does not affect results.

    Raises:
        InputError: If something does not fit; one sentence.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InputError(f"evaluate: seed must be a whole number of at least 0, got {seed!r}.")
    if keep is not None and (not isinstance(keep, str | Path) or not str(keep)):
        raise InputError(f"evaluate: keep must be a folder, got {keep!r}.")
    engine = Engine.start(device=device, num_workers=workers, batch_size=batch_size)
    if isinstance(model, str) or (isinstance(model, Sequence) and all(isinstance(each, str) for each in model)):

        def asked(own: Dataset) -> Question:
            return Question.of(own, on, frost=frost, pixels=pixels)

        if data is not None and not isinstance(data, Dataset):
            raise InputError(f"data: runs are measured on a data set of withstand, got {type(data).__name__}.")
        names = [model] if isinstance(model, str) else list(model)
        subjects = of_names(names, asked, data=data, root=Path(keep or "runs"), seed=seed, engine=engine)
        return ask(subjects, seed=seed, engine=engine)
    modules: dict[str, nn.Module] = {}
    for name, each in (model if isinstance(model, Mapping) else {"model": model}).items():
        if not isinstance(name, str) or not name:
            raise InputError(f"evaluate: models must have names, got {name!r}.")
        if not isinstance(each, nn.Module):
            raise InputError(f"evaluate: {name} must be a torch.nn.Module, got {type(each).__name__}.")
        modules[name] = each
    if not modules:
        raise InputError("evaluate: expected at least one model, got none.")
    question = Question.of(
        data, on, num_classes=_num_outputs(next(iter(modules.values())), data), frost=frost, pixels=pixels
    )
    folder = None if keep is None else Path(keep)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise InputError(f"evaluate: keep: expected a folder, found a file at {folder}.")
    subjects = of_modules(modules, question, data=data, keep=folder, seed=seed, engine=engine)
    return ask(subjects, seed=seed, engine=engine)


def _num_outputs(model: Any, data: Any) -> int | None:
    """Return how many classes a model knows, for pairs that do not say how many there are."""
    if isinstance(data, Split | Dataset) or not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        return None
    try:
        x = data[0][0]
    except Exception:  # whatever is wrong with the pairs is said when they are read
        return None
    return num_outputs(model, x) if isinstance(x, torch.Tensor) else None


def _names() -> list[str]:
    return [each.name for each in fields(Training)]
