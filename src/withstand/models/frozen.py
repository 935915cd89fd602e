"""Context managers for evaluation mode and frozen parameters."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


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
