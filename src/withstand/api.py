"""Two functions for Python users: `fit` and `evaluate`, for any module and any data."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from withstand.data.base import Dataset, Part, Split
from withstand.data.wrapped import WrappedSplit
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.base import Evaluation
from withstand.evaluation.conditions import conditions
from withstand.experiment import measure
from withstand.objectives.base import Objective
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.base import Perturbation, within
from withstand.results.frame import Results
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
    engine = Engine.start(device=device, num_workers=workers)
    split = as_split(data, "train")
    held_out = None if validation is None else as_split(validation, "validation")

    def validate(current: nn.Module) -> float:
        assert held_out is not None
        return next(iter(Accuracy(top=(1,)).measure(current, held_out, seed=seed, engine=engine))).value

    trainer = Trainer(
        model.to(engine.device),
        split,
        objective=within(objective or PerturbedRisk(), split.box),
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
    on: Sequence[str | Perturbation | Evaluation] = ("clean",),
    seed: int = 0,
    device: str = "auto",
    workers: int = 0,
    batch_size: int | None = None,
) -> Results:
    """Measure a model.

    Args:
        model: Maps inputs to logits.
        data: A data set of the package (its test part is used), a split, or any PyTorch data set of pairs.
        on: Names as on the command line (`clean`, `corruptions`, `contrast/3`), perturbations, or evaluations.
        seed: Decides every draw; the same seed gives every model the same noise.
        device: auto, cpu, cuda, cuda:1 or mps.
        workers: Processes that fetch samples.
        batch_size: Samples per batch; None goes by the size of the inputs. Decides no number.
    """
    engine = Engine.start(device=device, num_workers=workers, batch_size=batch_size)
    split = as_split(data, "test")
    named, notes = conditions([each for each in on if isinstance(each, str)], split.shape)
    given = tuple(each for each in on if isinstance(each, Perturbation))
    evaluations: list[Evaluation] = [Accuracy(perturbations=(*named, *given))] if named or given else []
    evaluations += [each for each in on if isinstance(each, Evaluation)]
    rows = measure(model.to(engine.device), split, tuple(evaluations), seed=seed, engine=engine)
    return Results({"model": rows}, notes=notes)


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
