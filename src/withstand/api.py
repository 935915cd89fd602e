"""Two functions for Python users: `fit` and `evaluate`, for any module and any data."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import nn

from withstand.data.base import Dataset, Part, Split
from withstand.data.wrapped import WrappedSplit
from withstand.engine import Engine
from withstand.errors import InputError, nearest
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.base import Evaluation
from withstand.evaluation.conditions import cell_notes, choose_cells, conditions, notes_on, split_words
from withstand.experiment import measure
from withstand.models.frozen import evaluating
from withstand.objectives.base import Objective
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.base import Perturbation
from withstand.perturbations.imagenet_c import ImageNetC
from withstand.study.frame import Results
from withstand.study.row import Row
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
    split, model = as_split(data, "train"), engine.place(model)
    held_out = None if validation is None else as_split(validation, "validation")

    check_outputs(model, split, engine)

    def validate(current: nn.Module) -> float:
        assert held_out is not None
        return next(iter(Accuracy(top=(1,)).measure(current, held_out, seed=seed, engine=engine))).value

    trainer = Trainer(
        model,
        split,
        objective=objective or PerturbedRisk(),
        training=Training(**training),
        seed=seed,
        engine=engine,
        validate=validate if held_out is not None and len(held_out) else None,
    )
    result = trainer.fit()
    if result is not model:
        model.load_state_dict(result.state_dict())
    return model.eval()


def evaluate(
    model: nn.Module,
    data: Any,
    *,
    on: str | Perturbation | Evaluation | Sequence[str | Perturbation | Evaluation] | None = None,
    seed: int = 0,
    device: str = "auto",
    workers: int = 0,
    batch_size: int | None = None,
) -> Results:
    """Measure a model.

    Args:
        model: Maps inputs to logits.
        data: A data set of the package (its test part is used), a split, or any PyTorch data set of pairs.
        on: Names as on the command line (`clean`, `corruptions`, `contrast/3`, `by-class`), perturbations, or
            evaluations. None is clean, or every cell of data that are corrupted already, of which only names can
            choose some.
        seed: Decides every draw; the same seed gives every model the same noise.
        device: auto, cpu, cuda, cuda:1 or mps.
        workers: Processes that fetch samples.
        batch_size: Samples per batch; None goes by the size of the inputs. Decides no number.

    Raises:
        InputError: If something does not fit; one sentence.
    """
    engine = Engine.start(device=device, num_workers=workers, batch_size=batch_size)
    model = engine.place(model)
    given = [on] if isinstance(on, str | Perturbation | Evaluation) else list(on or [])
    for each in given:
        if not isinstance(each, str | Perturbation | Evaluation):
            raise InputError(f"on: expected names, perturbations or evaluations, got {each!r}.")
    names = [each for each in given if isinstance(each, str)]
    cells = data.cells() if isinstance(data, Dataset) else {}
    if cells:
        if len(names) < len(given):
            raise InputError("on: data that are corrupted already are chosen by names, got something else.")
        assert isinstance(data, Dataset)
        chosen = choose_cells(names or None, cells)
        rows: list[Row] = []
        for name in chosen:
            split = cells[name].load("test")
            check_outputs(model, split, engine)
            own = measure(model, split, (Accuracy(),), seed=seed, engine=engine)
            rows += [replace(row, condition=name) for row in own]
        return Results({"model": rows}, notes=cell_notes(chosen, data.missing()))
    split = as_split(data, "test")
    check_outputs(model, split, engine)
    names, others = split_words(names if given else ["clean"], split.shape)
    perturbations = list(conditions(names, split.shape)[0])
    for each in given:
        if isinstance(each, ImageNetC):
            perturbations += [cell for cell in each.cells(*split.shape[-2:]) if cell not in perturbations]
        elif isinstance(each, Perturbation):
            perturbations.append(each)
    evaluations: list[Evaluation] = [Accuracy(perturbations=tuple(perturbations))] if perturbations else []
    evaluations += [*others, *(each for each in given if isinstance(each, Evaluation))]
    rows = measure(model, split, tuple(evaluations), seed=seed, engine=engine)
    return Results({"model": rows}, notes=notes_on(perturbations, split.shape))


def _names() -> list[str]:
    return [each.name for each in fields(Training)]


def check_outputs(model: nn.Module, split: Split, engine: Engine) -> None:
    """Refuse a model that does not map the split's inputs to one logit per class.

    Raises:
        InputError: If it does not; the message says what came.
    """
    x = torch.zeros(2, *split.shape, device=engine.device)
    with torch.no_grad(), evaluating(model):
        try:
            logits = model(x)
        except RuntimeError as problem:
            raise InputError(
                f"model: cannot take inputs of shape {split.shape} ({str(problem).splitlines()[0]})."
            ) from problem
    shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if shape != (2, len(split.classes)):
        raise InputError(
            f"model: for {len(split.classes)} classes two inputs must give logits of shape (2, {len(split.classes)}), "
            f"got {shape}."
        )


def as_split(data: Any, part: Part) -> Split:
    """Return data of any accepted kind as a split."""
    if isinstance(data, Split):
        return data
    if isinstance(data, Dataset):
        return data.load(part)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return WrappedSplit(data)
    raise InputError(
        "data: expected a data set of withstand or a PyTorch data set of (input, label) pairs, "
        f"got {type(data).__name__}."
    )
