"""Channels-last weights for the models that take them, and the memory format that models had before."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from withstand.models.compiled import CALL, compile_calls, restore_calls
from withstand.models.frozen import evaluating
from withstand.models.wrappers.with_surrogate import WithSurrogate

Strides = dict[str, tuple[int, ...]]


def place(model: nn.Module, device: torch.device, shape: tuple[int, ...], *, compiled: bool = False) -> nn.Module:
    """Move a model to a device, with convolution weights in channels-last memory format, and return it.

    Convolutions use the memory format of their weights, and most are much faster in channels-last format, on CPUs too.
    A model that fails with it, for example because it calls `view` after a convolution, keeps its own format.

    Args:
        model: Maps inputs to logits. It is changed in place; see `formats_kept`.
        device: Where its parameters and buffers go.
        shape: Shape of one input.
        compiled: Whether its calls are compiled by `torch.compile`.

    Raises:
        InputError: If it cannot be compiled.
    """
    model.to(device)
    parts = (model.model, model.surrogate) if isinstance(model, WithSurrogate) else (model,)
    for part in parts:
        ranks = {each.ndim for each in _tensors(part).values()}
        if 4 in ranks and 5 not in ranks:
            before = _strides(part)
            part.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
            if not _works(part, torch.zeros(2, *shape, device=device)):
                _restore(part, before)
        if compiled:
            compile_calls(part, torch.zeros(2, *shape, device=device))
    return model


def make_contiguous(model: nn.Module) -> bool:
    """Give a model contiguous weights, and return whether any had another memory format.

    Example:
        >>> model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        >>> make_contiguous(model), make_contiguous(model)
        (True, False)
    """
    changes = any(not each.is_contiguous() for each in _tensors(model).values())
    _restore(model, {})
    return changes


@contextmanager
def formats_kept(*models: nn.Module) -> Iterator[None]:
    """Restore the memory format of parameters and buffers at the end of the block, and uncompiled calls."""
    before = [_strides(each) for each in models]
    compiled = {part for model in models for part in model.modules() if CALL in vars(part)}
    try:
        yield
    finally:
        for part in {part for model in models for part in model.modules()} - compiled:
            restore_calls(part)
        for model, strides in zip(models, before, strict=True):
            _restore(model, strides)


def _works(model: nn.Module, x: Tensor) -> bool:
    """Return whether a model has outputs and gradients for some inputs; the global generators are not changed."""
    wanted = [each for each in model.parameters() if each.requires_grad]
    with torch.random.fork_rng(devices=[x.device] if x.device.type == "cuda" else []), evaluating(model):
        try:
            with torch.enable_grad():
                outputs = model(x)
            if wanted and isinstance(outputs, Tensor) and outputs.requires_grad:
                torch.autograd.grad(outputs.sum(), wanted, allow_unused=True)
        except Exception:  # custom modules may raise anything
            return False
    return True


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    named = chain(model.named_parameters(), model.named_buffers())
    return {name: each for name, each in named if not is_lazy(each)}


def _strides(model: nn.Module) -> Strides:
    return {name: each.stride() for name, each in _tensors(model).items() if each.ndim == 4}


def _restore(model: nn.Module, before: Strides) -> None:
    """Give tensors of four axes the strides that they had; those without an entry become contiguous."""
    for name, each in _tensors(model).items():
        if each.ndim == 4:
            wanted = before.get(name, torch.empty(each.shape, device="meta").stride())
            if each.stride() != wanted:
                each.data = torch.empty_strided(each.shape, wanted, dtype=each.dtype, device=each.device).copy_(each)
