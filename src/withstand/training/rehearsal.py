"""A trial step that reports mismatches before training starts."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from withstand.errors import InputError, TrainingError, told
from withstand.functional.random import stream
from withstand.models.memory_format import make_contiguous
from withstand.training.trainer import Trainer, batches_of


def rehearse(trainer: Trainer) -> None:
    """Compute the loss of a batch of zeros and its gradient as a training step would, with at most 2 samples.

    If that fails with channels-last weights, the model gets contiguous ones. Otherwise the model, its gradients, its
    batch statistics and the global generators stay unchanged.

    Args:
        trainer: Before its first step.

    Raises:
        InputError: If the training step fails.
    """
    split, engine, objective, model = trainer.split, trainer.engine, trainer.objective, trainer.model
    batches = batches_of(torch.arange(len(split)), trainer.training.batch_size)
    number = min(2, *(max(1, len(rows) // engine.world_size) for rows in batches))
    x = torch.zeros(number, *split.shape, device=engine.device)
    y = torch.zeros(number, dtype=torch.int64, device=engine.device)
    devices = [engine.device] if engine.device.type == "cuda" else []

    def step() -> None:
        rng = stream(0, "rehearsal", device=engine.device)
        with torch.random.fork_rng(devices=devices), kept(model), trainer.update.autocast():
            state = objective.init(x, model=model, rng=rng)
            loss = objective.step(model.train(), x, y, space=trainer.space, state=state, count=0, rng=rng).loss
            if not loss.requires_grad:
                raise InputError("training: the loss must have gradients, got none; the model detaches its output.")
            trained = [each for each in model.parameters() if each.requires_grad]
            torch.autograd.grad(loss, trained, allow_unused=True)

    try:
        try:
            step()
        except Exception:  # a model may take channels-last weights in evaluation mode only
            if not make_contiguous(model):
                raise
            if trainer.update.average:
                make_contiguous(trainer.update.average)
            step()
    except (InputError, TrainingError, torch.OutOfMemoryError):
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as problem:
        taken = f"a batch of {number} in training mode, inputs of shape {split.shape}"
        is_too_small = number == 1 and any(isinstance(each, _BatchNorm) for each in model.modules())
        hint = "; batch normalisation needs two samples or more, so raise batch_size" if is_too_small else ""
        raise InputError(f"training: the model must take {taken}, got an error ({told(problem)}){hint}.") from problem


@contextmanager
def kept(model: nn.Module) -> Iterator[None]:
    """Restore the mode and the buffers of every part of a model at the end of the block."""
    modes = [(each, each.training) for each in model.modules()]
    buffers = [
        (each, name, buffer, buffer.detach().clone())
        for each in model.modules()
        for name, buffer in each._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        for each, training in modes:
            each.training = training
        with torch.no_grad():
            for each, name, buffer, values in buffers:
                each._buffers[name] = buffer.copy_(values)
