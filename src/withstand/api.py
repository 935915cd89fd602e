"""`fit` and `evaluate`: the Python API for any module and data."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from withstand.data.as_split import as_split
from withstand.data.base import Dataset, Split
from withstand.engine import Engine
from withstand.errors import InputError, nearest
from withstand.experiment import accuracy_of
from withstand.limits import Location, PositiveInt, Seed, Workers, checked
from withstand.measuring.ask import ask
from withstand.measuring.precision import in_precision
from withstand.measuring.question import Conditions, Question, WhoseFrost
from withstand.measuring.results import Results
from withstand.measuring.subject import check_outputs
from withstand.models.base import unfinished
from withstand.models.frozen import blamed, with_gradients
from withstand.models.memory_format import formats_kept, place
from withstand.models.wrappers.black_box import as_module, check_tensors, is_differentiable
from withstand.models.wrappers.mixed_precision import Precision
from withstand.models.wrappers.with_surrogate import WithSurrogate
from withstand.objectives.base import Objective
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.corruptions.suites import Pixels
from withstand.reading.places import check_output
from withstand.subjects import num_outputs, of_modules, of_names
from withstand.training.rehearsal import rehearse
from withstand.training.settings import Training
from withstand.training.trainer import Trainer


@checked
@with_gradients()
def fit(
    model: nn.Module,
    data: Any,
    *,
    objective: Objective | None = None,
    validation: Any = None,
    seed: Seed = 0,
    device: str | torch.device = "auto",
    workers: Workers = 0,
    compile: bool = False,
    **training: Any,
) -> nn.Module:
    """Train a model in place and return it in evaluation mode.

    Args:
        model: Maps inputs to logits; images are in [0, 1], so normalisation belongs in the model.
        data: A data set of the package (its training part), a split, or a PyTorch data set of (input, label) pairs.
        objective: Objective of the training; None is plain training.
        validation: Like data, for the validation part; needed for `keep="best"` and `patience`.
        seed: Seed of the sample order and of every random draw.
        device: auto, cpu, cuda, cuda:1 or mps.
        workers: Processes that fetch samples.
        compile: Whether the model is compiled by `torch.compile`; changes results by rounding.
        **training: Fields of `Training`: epochs, batch_size, optimizer, ...

    Raises:
        InputError: If an argument is invalid, or model and data do not fit.

    Example:
        >>> import withstand as ws
        >>> model = ws.fit(ws.SmallCNN(width=4).build((3, 32, 32), 10, seed=0), ws.Digits(), epochs=1, device="cpu")
        >>> sorted({row.measure for row in ws.evaluate(model, ws.Digits(), device="cpu").rows["model"]})
        ['top1', 'top5']
    """
    _check_fit(model, training)
    seed, engine = int(seed), Engine.start(device=device, num_workers=workers, compile=compile)
    outputs = _num_outputs(model, data)
    split = as_split(data, "train", num_classes=outputs)
    with formats_kept(model):
        check_outputs(place(model, engine.device, split.shape, compiled=compile), split, engine)
        held_out = None if validation is None else _held_out(validation, outputs)
        validate = partial(accuracy_of, split=held_out, seed=seed, engine=engine) if held_out else None
        options: dict[str, Any] = {"objective": objective or PerturbedRisk(), "training": Training(**training)}
        trainer = Trainer(model, split, seed=seed, engine=engine, validate=validate, **options)
        rehearse(trainer)
        with blamed(model, split.shape, engine.device, who="fit: model"):
            result = trainer.fit()
        if result is not model:
            model.load_state_dict(result.state_dict())
    return model.eval()


def _check_fit(model: nn.Module, training: Mapping[str, Any]) -> None:
    names = [each.name for each in fields(Training)]
    for name in training:
        if name not in names:
            raise InputError(f"fit: {name} is not a field of Training; {nearest(name, names)}")
    check_tensors(model, who="fit: model")
    if wrong := unfinished(model):
        raise InputError(f"fit: model must have finite weights, got {wrong}.")


def _held_out(validation: Any, num_classes: int | None) -> Split:
    try:
        return as_split(validation, "validation", num_classes=num_classes)
    except InputError as problem:
        raise InputError(f"fit: validation: {problem}") from problem


@checked
@with_gradients()
def evaluate(
    model: Any,
    data: Any = None,
    *,
    on: Conditions | None = None,
    frost: WhoseFrost = "auto",
    pixels: Pixels | None = None,
    keep: Location | None = None,
    seed: Seed = 0,
    device: str | torch.device = "auto",
    workers: Workers = 0,
    batch_size: PositiveInt | None = None,
    surrogate: nn.Module | None = None,
    amp: Precision = "no",
    compile: bool = False,
) -> Results:
    """Evaluate one or several models, like `withstand evaluate`.

    Args:
        model: A module that maps inputs to logits, a model of MAITE, a mapping from names to models (also fitted
            classifiers of other packages and functions, see `BlackBox`), or folders of runs.
        data: A data set of the package (its test part) or of MAITE, a split, or PyTorch pairs; None: each run's own.
        on: Conditions by name (`clean`, `corruptions`, `contrast/3`, `by-class`), by class name or as YAML, or
            perturbations and evaluations. None measures clean inputs or, for already corrupted data, every cell.
        frost: Frost textures: `auto`, `published` or `procedural`.
        pixels: Image size whose corruption parameters apply (224, 299, 64 or 32); None takes the nearest.
        keep: Cache folder to reuse and resume evaluations of modules; None does not cache. Runs use their own folders.
        seed: Seed of every draw; the same seed gives every model the same noise.
        device: auto, cpu, cuda, cuda:1 or mps.
        workers: Processes that fetch samples.
        batch_size: Samples per batch; None chooses by the size of the inputs. Affects results only by rounding.
        surrogate: A module whose gradients attacks of budgets also follow, for models that mask their own or have none.
        amp: `bf16` computes in mixed precision, which changes the outcomes; a note says so.
        compile: Whether models are compiled by `torch.compile`; changes outcomes by rounding, and a note says so.

    Raises:
        InputError: If an argument is invalid, or model and data do not fit.
    """
    seed, ask_of, folder = int(seed), partial(Question.of, on=on, frost=frost, pixels=pixels), _folder(keep)
    engine = Engine.start(device=device, num_workers=workers, batch_size=batch_size, compile=compile)
    if names := _names(model):
        _check_runs(data, surrogate)
        subjects = of_names(names, ask_of, data=data, root=folder or Path("runs"), seed=seed, engine=engine)
        return ask([in_precision(each, amp, engine) for each in subjects], seed=seed, engine=engine)
    models = _models(model)
    question = ask_of(data, num_classes=_num_outputs(next(iter(models.values())), data))
    modules = _modules(models, question, surrogate)
    with formats_kept(*modules.values()):
        subjects = of_modules(modules, question, data=data, keep=folder, seed=seed, engine=engine)
        return ask([in_precision(each, amp, engine) for each in subjects], seed=seed, engine=engine)


def _names(model: Any) -> list[str]:
    """Return the folders of runs, or names of models; empty for modules."""
    given = [model] if isinstance(model, str | Path) else list(model) if isinstance(model, Sequence) else []
    return [str(each) for each in given] if all(isinstance(each, str | Path) for each in given) else []


def _check_runs(data: Any, surrogate: Any) -> None:
    if surrogate is not None:
        raise InputError("evaluate: surrogate: expected None for runs; pass their models as modules.")
    if data is not None and not isinstance(data, Dataset):
        raise InputError(
            "data: runs and models by name are measured on a data set of withstand, such as ws.Digits(), "
            f"got {type(data).__name__}."
        )


def _folder(keep: Location | None) -> Path | None:
    if keep == "":
        raise InputError("evaluate: keep must be a folder, got ''.")
    if keep is not None:
        check_output("evaluate: keep", Path(keep))
    return None if keep is None else Path(keep)


def _models(model: Any) -> dict[str, Any]:
    """Return models by name, checked."""
    if isinstance(model, list | tuple) and model:
        raise InputError(
            "evaluate: model: several modules need names, such as {'a': a, 'b': b}; a list holds names or folders of "
            f"runs, got {type(model[0]).__name__}."
        )
    is_empty = isinstance(model, list | tuple)
    models = dict(model) if isinstance(model, Mapping) else {} if is_empty else {"model": model}
    for name in models:
        if not isinstance(name, str) or not name:
            raise InputError(f"evaluate: models must have names, got {name!r}.")
    if not models:
        raise InputError("evaluate: expected at least one model, got none.")
    return models


def _modules(models: Mapping[str, Any], question: Question, surrogate: nn.Module | None) -> dict[str, nn.Module]:
    """Return models as modules, with the surrogate, if any."""
    modules = {name: as_module(each, question.split.classes, who=f"evaluate: {name}") for name, each in models.items()}
    if surrogate is None:
        return modules
    if not is_differentiable(surrogate):
        who = type(surrogate).__name__
        raise InputError(f"evaluate: surrogate must be a torch.nn.Module with gradients, got {who}.")
    if not any(each.gradient_balls for each in question.evaluations):
        raise InputError("evaluate: surrogate needs attacks; add WorstCase or Sandwich to `on`.")
    return {name: WithSurrogate(each, surrogate) for name, each in modules.items()}


def _num_outputs(model: Any, data: Any) -> int | None:
    """Return the number of a model's outputs, for pairs without a number of classes."""
    if isinstance(data, Split | Dataset) or not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        return None
    try:
        x = data[0][0]
    except Exception:  # reported when the pairs are read
        return None
    module = as_module(model, who="evaluate: model")
    return num_outputs(module, x) if isinstance(x, torch.Tensor) else None
