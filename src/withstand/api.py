"""`fit`, `evaluate` and `attack`: the Python API for any module and data."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn

from withstand.data.as_split import as_split
from withstand.data.base import Dataset, Split
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError, nearest
from withstand.experiment import accuracy_of
from withstand.functional.random import RowStreams, derive_seed
from withstand.measuring.ask import ask
from withstand.measuring.question import On, Question, WhoseFrost
from withstand.measuring.results import Results
from withstand.measuring.subject import check_outputs
from withstand.models.black_box import BlackBox, predicts
from withstand.models.frozen import evaluating
from withstand.models.with_surrogate import WithSurrogate
from withstand.objectives.base import Objective
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.attacks.attack import Attacked
from withstand.perturbations.attacks.budgets import Budget, attacks_of
from withstand.perturbations.attacks.union import Union
from withstand.perturbations.ball import Ball
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
        model: Maps inputs to logits; images are in [0, 1], so normalisation belongs in the model.
        data: A data set of the package (its training part is used), a split, or a PyTorch data set of (input, label)
            pairs.
        objective: Objective of the training; None is plain training.
        validation: Like data, for the validation part; needed for `keep="best"` and `patience`.
        seed: Seed of the sample order and of every random draw.
        device: auto, cpu, cuda, cuda:1 or mps.
        workers: Processes that fetch samples.
        **training: Fields of `Training`: epochs, batch_size, optimizer, ...

    Raises:
        InputError: If an argument is invalid, or model and data do not fit.

    Example:
        >>> import withstand as ws
        >>> model = ws.SmallCNN(width=4).build((3, 32, 32), 10, seed=0)
        >>> model = ws.fit(model, ws.Digits(), epochs=1, device="cpu")
        >>> sorted({row.measure for row in ws.evaluate(model, ws.Digits(), device="cpu").rows["model"]})
        ['top1', 'top5']
    """
    _check_fit(model, objective, training)
    engine = Engine.start(device=device, num_workers=workers)
    outputs = _num_outputs(model, data)
    split, model = as_split(data, "train", num_classes=outputs), engine.place(model)
    check_outputs(model, split, engine)
    held_out = None if validation is None else as_split(validation, "validation", num_classes=outputs)
    validate = partial(accuracy_of, split=held_out, seed=seed, engine=engine) if held_out else None
    objective, settings = objective or PerturbedRisk(), Training(**training)
    trainer = Trainer(model, split, objective=objective, training=settings, seed=seed, engine=engine, validate=validate)
    rehearse(trainer)
    result = trainer.fit()
    if result is not model:
        model.load_state_dict(result.state_dict())
    return model.eval()


def _check_fit(model: Any, objective: Any, training: Mapping[str, Any]) -> None:
    names = [each.name for each in fields(Training)]
    for name in training:
        if name not in names:
            raise InputError(f"fit: {name} is not a field of Training; {nearest(name, names)}")
    if objective is not None and not isinstance(objective, Objective):
        raise InputError(f"fit: objective must be an Objective, got {type(objective).__name__}.")
    if not isinstance(model, nn.Module):
        raise InputError(f"fit: model must be a torch.nn.Module, got {type(model).__name__}; build it first.")


def evaluate(
    model: nn.Module | str | Sequence[str] | Mapping[str, Any],
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
    surrogate: nn.Module | None = None,
) -> Results:
    """Evaluate one or several models, like `withstand evaluate`.

    Args:
        model: A module that maps inputs to logits, a mapping from names to models, or folders of finished runs. In a
            mapping, fitted classifiers of other packages and functions of arrays are models too; see `BlackBox`.
        data: A data set of the package (its test part is used), a split, or a PyTorch data set of pairs; None takes
            each run's own.
        on: Conditions by name (`clean`, `corruptions`, `contrast/3`, `by-class`), by class name or as YAML, or
            perturbations and evaluations. None measures clean inputs or, for already corrupted data, every cell.
        frost: Frost textures: `auto`, `published` or `procedural`.
        pixels: Image size whose corruption parameters apply (224, 299, 64 or 32); None takes the nearest.
        keep: Cache folder for the outcomes of modules, so that evaluations are reused and resumed; None does not cache.
            The outcomes of runs are in their own folders.
        seed: Seed of every draw; the same seed gives every model the same noise.
        device: auto, cpu, cuda, cuda:1 or mps.
        workers: Processes that fetch samples.
        batch_size: Samples per batch; None chooses by the size of the inputs. Affects results only by rounding.
        surrogate: A module whose gradients attacks of budgets follow too, for modules that mask their own.

    Raises:
        InputError: If an argument is invalid, or model and data do not fit.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InputError(f"evaluate: seed must be a whole number of at least 0, got {seed!r}.")
    folder = _folder(keep)
    engine = Engine.start(device=device, num_workers=workers, batch_size=batch_size)
    ask_of = partial(Question.of, on=on, frost=frost, pixels=pixels)
    if isinstance(model, str) or (isinstance(model, Sequence) and all(isinstance(each, str) for each in model)):
        if surrogate is not None:
            raise InputError("evaluate: surrogate: expected None for runs; pass their models as modules.")
        if data is not None and not isinstance(data, Dataset):
            raise InputError(f"data: runs are measured on a data set of withstand, got {type(data).__name__}.")
        names = [model] if isinstance(model, str) else list(model)
        subjects = of_names(names, ask_of, data=data, root=folder or Path("runs"), seed=seed, engine=engine)
        return ask(subjects, seed=seed, engine=engine)
    models = _models(model)
    question = ask_of(data, num_classes=_num_outputs(_as_module(next(iter(models.values()))), data))
    modules = {name: _as_module(each, question.split.classes) for name, each in models.items()}
    if surrogate is not None:
        modules = {name: WithSurrogate(each, surrogate) for name, each in modules.items()}
    subjects = of_modules(modules, question, data=data, keep=folder, seed=seed, engine=engine)
    return ask(subjects, seed=seed, engine=engine)


def attack(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    ball: Ball,
    *,
    budget: Budget = "standard",
    space: Space | None = None,
    seed: int = 0,
    device: str = "auto",
    batch_size: int | None = None,
) -> Attacked:
    """Attack inputs within a ball, with the attacks of a budget.

    Args:
        model: A module that maps inputs to logits.
        x: Inputs (batch, *shape): images in [0, 1], rows of a table, or any vectors.
        y: Labels (batch,).
        ball: The norm, radius and unit.
        budget: `quick`, `standard` or `thorough`; see `WorstCase`.
        space: Box, scaling, fixed columns and allowed changes of the inputs, such as `split.space`; None takes the box
            [0, 1] for images (three axes) and no box for other inputs.
        seed: Seed of every draw; a row's draws depend on its place in x.
        device: auto, cpu, cuda, cuda:1 or mps.
        batch_size: Rows per batch; None chooses by the input size. Affects results only by rounding.

    Returns:
        On the CPU: points in the ball, which of them the model gets wrong, distances of the nearest wrong points in
        units of the radius, and passes through the model per row.

    Raises:
        InputError: If an argument is invalid, or model and inputs do not fit.

    Example:
        >>> import withstand as ws
        >>> model = torch.nn.Linear(2, 2)
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.eye(2)), model.bias.zero_()
        >>> found = ws.attack(model, torch.tensor([[1.0, 0.5]]), torch.tensor([0]), ws.Ball("linf", 0.3), device="cpu")
        >>> found.success
        tensor([True])
    """
    space = _checked_inputs(x, y, budget, space)
    engine = Engine.start(device=device, batch_size=batch_size)
    model, parts = engine.place(model), []
    with torch.no_grad(), evaluating(model):
        num_classes = model(x[:1].to(engine.device)).shape[1]
    if y.is_floating_point() or y.min() < 0 or y.max() >= num_classes:
        raise InputError(f"attack: labels must be whole numbers from 0 to {num_classes - 1}.")
    union = Union(ball=ball, attacks=attacks_of(budget, ball, num_classes=num_classes))
    for rows in torch.arange(len(x)).split(engine.samples_per_batch(tuple(x.shape[1:]))):
        own, labels = x[rows].to(engine.device), y[rows].long().to(engine.device)
        rng = RowStreams(derive_seed(seed, "attack"), rows, device=engine.device)
        parts.append(union.attack(own, labels, model, space=space, rng=rng))
    return Attacked(*(torch.cat([each.cpu() for each in column]) for column in zip(*parts, strict=True)))


def _checked_inputs(x: Any, y: Any, budget: Any, space: Space | None) -> Space:
    """Check what is attacked, and return its space."""
    if budget not in get_args(Budget):
        raise InputError(f"attack: budget must be one of {', '.join(get_args(Budget))}, got {budget!r}.")
    if not (isinstance(x, Tensor) and isinstance(y, Tensor) and x.is_floating_point() and y.shape == x.shape[:1]):
        raise InputError("attack: expected inputs as a tensor of floats, and one label per input.")
    if len(x) == 0:
        raise InputError("attack: expected at least one input, got none.")
    space = space or Space.like(x, box=(0.0, 1.0) if x.ndim == 4 else None)
    if space.box is not None and (x.amin() < space.box[0] or x.amax() > space.box[1]):
        raise InputError(f"attack: inputs must lie in {space.box}, got {x.amin():g} to {x.amax():g}; give their space.")
    return space


def _folder(keep: Any) -> Path | None:
    if keep is not None and (not isinstance(keep, str | Path) or not str(keep)):
        raise InputError(f"evaluate: keep must be a folder, got {keep!r}.")
    if keep is not None and Path(keep).is_file():
        raise InputError(f"evaluate: keep: expected a folder, found a file at {keep}.")
    return None if keep is None else Path(keep)


def _models(model: Any) -> dict[str, Any]:
    """Return models by name, checked."""
    models = dict(model) if isinstance(model, Mapping) else {"model": model}
    for name, each in models.items():
        if not isinstance(name, str) or not name:
            raise InputError(f"evaluate: models must have names, got {name!r}.")
        if not isinstance(each, nn.Module) and not predicts(each):
            raise InputError(
                f"evaluate: {name} must be a torch.nn.Module or answer predict, got {type(each).__name__}."
            )
    if not models:
        raise InputError("evaluate: expected at least one model, got none.")
    return models


def _as_module(model: Any, classes: Sequence[str] | None = None) -> nn.Module:
    return model if isinstance(model, nn.Module) else BlackBox(model, classes)


def _num_outputs(model: Any, data: Any) -> int | None:
    """Return the number of a model's outputs, for pairs without a number of classes."""
    if isinstance(data, Split | Dataset) or not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        return None
    try:
        x = data[0][0]
    except Exception:  # reported when the pairs are read
        return None
    return num_outputs(model, x) if isinstance(x, torch.Tensor) else None
