"""`attack`: attack any module within a ball."""

from typing import Any, get_args

import torch
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.functional.random import RowStreams, derive_seed
from withstand.models.frozen import evaluating
from withstand.perturbations.attacks.attack import Attacked
from withstand.perturbations.attacks.budgets import Budget, attacks_on
from withstand.perturbations.attacks.union import Union
from withstand.perturbations.ball import Ball


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
        model: A module that maps inputs to logits; one without gradients (`BlackBox`) is attacked by queries alone.
        x: Inputs (batch, *shape): images in [0, 1], rows of a table, or any vectors.
        y: Labels (batch,).
        ball: The norm, radius and unit.
        budget: `quick`, `standard` or `thorough`; see `WorstCase`.
        space: The input space, such as `split.space`; None takes the box [0, 1] for images and none for other inputs.
        seed: Seed of every draw; a row's draws depend on its place in x.
        device: auto, cpu, cuda, cuda:1 or mps.
        batch_size: Rows per batch; None chooses by the input size. Affects results only by rounding.

    Returns:
        Points in the ball, whether the model misclassifies them, distances in radii, and passes per row; on the CPU.

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
    space = _checked_inputs(model, x, y, ball, budget, space, seed)
    engine = Engine.start(device=device, batch_size=batch_size)
    model, parts = engine.place(model), []
    num_classes = _num_classes(model, x, y, engine)
    union = Union(ball=ball, attacks=attacks_on(model, budget, ball, num_classes=num_classes, shape=x.shape[1:]))
    for rows in torch.arange(len(x)).split(engine.samples_per_batch(tuple(x.shape[1:]))):
        own, labels = x[rows].to(engine.device), y[rows].long().to(engine.device)
        rng = RowStreams(derive_seed(seed, "attack"), rows, device=engine.device)
        parts.append(union.within(ball.of_rows(rows)).attack(own, labels, model, space=space, rng=rng))
    return Attacked(*(torch.cat([each.cpu() for each in column]) for column in zip(*parts, strict=True)))


def _num_classes(model: nn.Module, x: Tensor, y: Tensor, engine: Engine) -> int:
    """Return the number of a model's outputs, and check that labels are among them."""
    with torch.no_grad(), evaluating(model):
        try:
            logits = model(x[:1].to(engine.device))
        except RuntimeError as problem:
            raise InputError(
                f"attack: the model does not take inputs of shape {tuple(x.shape)} and type {x.dtype} "
                f"({str(problem).splitlines()[0].rstrip('.')})."
            ) from problem
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[1] < 2:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(f"attack: the model must return logits of shape (batch, at least 2 classes), got {got}.")
    num_classes = logits.shape[1]
    if y.is_floating_point() or y.long().min() < 0 or y.long().max() >= num_classes:
        came = f"{y.dtype} from {y.min():g} to {y.max():g}".removeprefix("torch.")
        raise InputError(f"attack: labels must be whole numbers from 0 to {num_classes - 1}, got {came}.")
    return num_classes


def _checked_inputs(model: Any, x: Any, y: Any, ball: Ball, budget: Any, space: Space | None, seed: Any) -> Space:
    """Check what is attacked; return the input space."""
    if not isinstance(model, nn.Module):
        raise InputError(f"attack: model must be a torch.nn.Module, got {type(model).__name__}; see BlackBox.")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InputError(f"attack: seed must be a whole number of at least 0, got {seed!r}.")
    if budget not in get_args(Budget):
        raise InputError(f"attack: budget must be one of {', '.join(get_args(Budget))}, got {budget!r}.")
    if not (isinstance(x, Tensor) and isinstance(y, Tensor) and x.is_floating_point() and y.shape == x.shape[:1]):
        raise InputError(
            "attack: expected inputs as a tensor of floats, and one label per input, got "
            f"{_described(x)} and {_described(y)}."
        )
    if len(x) == 0:
        raise InputError("attack: expected at least one input, got none.")
    if not x.isfinite().all():
        raise InputError("attack: inputs must be finite, got some that are not.")
    space = space or Space.like(x, box=(0.0, 1.0) if x.ndim == 4 else None)
    if space.shape != x.shape[1:]:
        raise InputError(f"attack: space must have the shape of the inputs, {tuple(x.shape[1:])}, got {space.shape}.")
    if space.box is not None and (x.amin() < space.box[0] or x.amax() > space.box[1]):
        raise InputError(f"attack: inputs must lie in {space.box}, got {x.amin():g} to {x.amax():g}; pass `space`.")
    ball.radii(x, space=space)  # radii per row must fit all inputs, not only those of a batch
    return space


def _described(value: Any) -> str:
    """Return type and shape of a tensor, or the name of another type."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{value.dtype} of shape {tuple(value.shape)}".removeprefix("torch.")
