"""Context managers around a model: evaluation mode, frozen parameters, errors of its own code."""

from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb

import torch
from torch import nn

from withstand.errors import InputError, TrainingError, told


@contextmanager
def with_gradients() -> Iterator[None]:
    """Compute gradients within the block, whatever the mode of the caller, such as `torch.inference_mode()`.

    Tensors that are made in that mode can never be trained, not even those of a model that is merely copied.
    """
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode, and restore the mode of every part at the end of the block."""
    modes = [(each, each.training) for each in model.modules()]
    if any(training for _, training in modes):
        model.eval()
    try:
        yield
    finally:
        for each, training in modes:
            if each.training != training:
                each.training = training


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode, with parameters that require no gradient, until the end of the block."""
    trained = [each for each in model.parameters() if each.requires_grad]
    with evaluating(model):
        try:
            for each in trained:
                each.requires_grad_(False)
            yield
        finally:
            for each in trained:
                each.requires_grad_(True)


@contextmanager
def blamed(model: nn.Module, shape: tuple[int, ...], device: torch.device, *, who: str = "model") -> Iterator[None]:
    """Raise exceptions that the model causes as `InputError`; leave those that the package causes unchanged.

    Args:
        model: It is the cause if one of its parts is among the calls that led to the exception, or if it does not
            return one row per input.
        shape: Shape of an input.
        device: Device of the inputs.
        who: Name at the beginning of the error.

    Raises:
        InputError: If the model causes any exception, except that memory is exhausted.
    """
    try:
        yield
    except (InputError, TrainingError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as problem:
        parts, call = list(model.modules()), nn.Module._call_impl.__code__
        callers = [frame.f_locals.get("self") for frame, _ in walk_tb(problem.__traceback__) if frame.f_code is call]
        if any(part is caller for caller in callers for part in parts):
            came = f"{type(problem).__name__} ({told(problem)})"
            raise InputError(f"{who}: expected logits for every batch, its code raised {came}.") from problem
        for count in (1, 3):
            with torch.no_grad(), evaluating(model):
                found = tuple(model(torch.zeros(count, *shape, device=device)).shape)
            if len(found) != 2 or found[0] != count:
                wanted = f"one row of logits for each of {count} inputs"
                raise InputError(f"{who}: expected {wanted}, got the shape {found}.") from problem
        raise
