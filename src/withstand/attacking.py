"""`attack`: attack any module within a ball."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from withstand.data.base import TensorSplit
from withstand.data.checks import check_finite, check_plain
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.worst_case import WorstCase
from withstand.functional.random import RowStreams, derive_seed
from withstand.limits import PositiveInt, Seed, checked
from withstand.measuring.subject import outputs_of
from withstand.models.frozen import blamed, evaluating, with_gradients
from withstand.models.memory_format import formats_kept, place
from withstand.models.wrappers.black_box import as_module
from withstand.perturbations.attacks.attack import Attacked
from withstand.perturbations.attacks.budgets import Budget
from withstand.perturbations.ball import Ball
from withstand.perturbations.masking.diagnosis import NUM_PROBES


@checked
@with_gradients()
def attack(
    model: Any,
    x: Tensor | np.ndarray,
    y: Tensor | np.ndarray,
    ball: Ball,
    *,
    budget: Budget = "standard",
    space: Space | None = None,
    seed: Seed = 0,
    device: str | torch.device = "auto",
    batch_size: PositiveInt | None = None,
) -> Attacked:
    """Attack inputs within a ball, as `WorstCase` does; warn if the model's gradients are masked on the first inputs.

    Args:
        model: A module that maps inputs to logits, or what `BlackBox` takes; without gradients, attacks use queries.
        x: Tensor or array of floats (batch, *shape), converted to the model's type; images are in [0, 1].
        y: Labels (batch,), tensor or array.
        ball: The norm, radius and unit.
        budget: `quick`, `standard` or `thorough`; see `WorstCase`.
        space: The input space, such as `split.space`; None takes the box [0, 1] for images and none for other inputs.
        seed: Seed of every draw; a row's draws depend on its place in x.
        device: auto, cpu, cuda, cuda:1 or mps.
        batch_size: Rows per batch; None chooses by the input size. Affects results only by rounding.

    Returns:
        On the CPU, per row: `points` in the ball, `success` (whether the model misclassifies the point), its
        `distance` in radii (infinity without success), and `passes`; see `Attacked`. The distance is not minimal.

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
    seed, engine = int(seed), Engine.start(device=device, batch_size=batch_size)
    module = as_module(model, who="attack: model")
    x, y, space = _checked_inputs(x, y, module, ball, space)
    with formats_kept(module), blamed(module, space.shape, engine.device, who="attack: model"):
        place(module, engine.device, space.shape)
        num_classes = _num_classes(module, x, y, engine)
        split = TensorSplit(x, y.long(), classes=tuple(map(str, range(num_classes))), box=space.box)
        return _in_batches(WorstCase(balls=(ball,), budget=budget, num_mean=0), module, split, space, seed, engine)


def _in_batches(
    evaluation: WorstCase, model: nn.Module, split: TensorSplit, space: Space, seed: int, engine: Engine
) -> Attacked:
    """Attack batch by batch, return the results of all rows, on the CPU, and warn if gradients are masked."""
    (ball,), parts, wrong, everything = evaluation.balls, [], 0, torch.arange(len(split))
    probed = replace(evaluation, balls=(ball.of_rows(everything[:NUM_PROBES]),))
    state = probed.prepare(model, split, space=space, seed=seed, engine=engine)
    state = replace(state, inputs="given inputs")
    for rows in everything.split(engine.samples_per_batch(space.shape)):
        own, labels = split.x[rows].to(engine.device), split.y[rows].to(engine.device)
        rng = RowStreams(derive_seed(seed, "attack"), rows, device=engine.device)
        attack = replace(evaluation, balls=(ball.of_rows(rows),))
        with torch.no_grad(), evaluating(model):
            (found,) = attack.points(model, own, labels, space=space, state=state, rng=rng).values()
            wrong += int((~model(found.points).amax(1).isfinite()).sum())
        parts.append(found)
    if wrong:
        count = f"{wrong:,} of {len(split):,} points"
        warnings.warn(f"attack: outputs are not finite and count as wrong at {count}.", UserWarning, stacklevel=4)
    for note in state.notes(probed.balls[0], unseen=0.0, reacts=evaluation.reacts_to(state)):
        if note.is_doubt:
            warnings.warn(f"attack: {note.text}", UserWarning, stacklevel=4)
    return Attacked(*(torch.cat([each.cpu() for each in column]) for column in zip(*parts, strict=True)))


def _num_classes(model: nn.Module, x: Tensor, y: Tensor, engine: Engine) -> int:
    """Return the number of a model's outputs, and check that labels are among them."""
    logits = outputs_of(model, x[:1].to(engine.device), who="attack: the model")
    if not (isinstance(logits, Tensor) and logits.ndim == 2 and len(logits) == 1 and logits.shape[1] > 1):
        wanted = "logits of shape (batch, at least 2 classes)"
        raise InputError(f"attack: the model must return {wanted}, for one input it returned {_described(logits)}.")
    num_classes = logits.shape[1]
    y = y.long() if y.dtype == torch.uint64 else y  # larger ones become negative
    if y.is_floating_point() or y.is_complex() or y.min() < 0 or y.max() >= num_classes:
        span = "" if y.is_complex() else f" from {y.min():g} to {y.max():g}"
        came = f"{y.dtype}{span}".removeprefix("torch.")
        raise InputError(f"attack: y must be whole numbers from 0 to {num_classes - 1}, got {came}.")
    return num_classes


def _checked_inputs(x: Any, y: Any, model: nn.Module, ball: Ball, space: Space | None) -> tuple[Tensor, Tensor, Space]:
    """Return inputs in the model's type, labels and the input space, checked."""
    for name, each in (("x", x), ("y", y)):
        check_plain(f"attack: {name}", each)
    given, (x, y) = (x, y), (_as_tensor(x), _as_tensor(y))
    if not (isinstance(x, Tensor) and x.is_floating_point()):
        raise InputError(f"attack: x must be inputs, as a tensor or array of floats, got {_described(given[0])}.")
    if not (isinstance(y, Tensor) and y.shape == x.shape[:1]):
        wanted = f"a whole number per input of x, which has the shape {(*x.shape,)}"
        raise InputError(f"attack: y must be labels, {wanted}, got {_described(given[1])}.")
    if len(x) == 0:
        raise InputError("attack: x must have at least one input, got none.")
    if x.ndim < 2 or x.numel() == 0:
        raise InputError(f"attack: x must have the shape (batch, *shape), got {tuple(x.shape)}.")
    x = x.detach().to(_dtype_of(model, x)).contiguous()
    space = space or Space.like(x, box=(0.0, 1.0) if x.ndim == 4 else None)
    if space.shape != tuple(x.shape[1:]):
        raise InputError(f"attack: x must have the shape of the space, {space.shape}, got {tuple(x.shape[1:])}.")
    check_finite(x, range(len(x)), who="attack: x")
    if space.box is not None and (x.amin() < space.box[0] or x.amax() > space.box[1]):
        low, high = space.box
        span = f"[{low:g}, {high:g}], got {x.amin():g} to {x.amax():g}"
        raise InputError(f"attack: x must lie in {span}; scale it, or pass `space` if the model takes other values.")
    ball.radii(x, space=space)  # radii per row must fit all inputs, not only those of a batch
    return x, y, space


def _as_tensor(values: Any) -> Any:
    """Return an array of numbers as a tensor, and anything else unchanged."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iufb":
        return values
    kind = np.float32 if values.dtype.kind == "f" and values.dtype != np.float64 else values.dtype.newbyteorder("=")
    return torch.from_numpy(np.array(values, dtype=kind))


def _dtype_of(model: nn.Module, x: Tensor) -> torch.dtype:
    """Return the type of a model's parameters, or else of the inputs."""
    for each in model.parameters():
        if each.dtype in (torch.float32, torch.float64):
            return each.dtype
    return x.dtype


def _described(value: Any) -> str:
    """Return type and shape of a tensor or array, or the name of another type."""
    if not isinstance(value, Tensor | np.ndarray):
        return type(value).__name__
    kind = "" if isinstance(value, Tensor) else "array of "
    return f"{kind}{value.dtype} of shape {tuple(value.shape)}".replace("torch.", "")
