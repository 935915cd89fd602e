"""Models whose answers are random, as the mean over several draws."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from math import log

import numpy as np
import torch
from torch import Tensor, nn

NUM_DRAWS = 20


class Expectation(nn.Module):
    """The logarithm of the mean probabilities of a model over draws with fixed seeds of the global generators.

    These are the generators of PyTorch, NumPy and `random`; their states are restored. Every row gets the same draws,
    whatever its batch. In a model that `torch.func.vmap` does not run, they depend on the row's place in the batch
    instead.

    Source:
        Expectation over transformation: Athalye, Engstrom, Ilyas, Kwok 2018, arXiv 1707.07397.
    """

    def __init__(self, model: nn.Module, *, num_draws: int = NUM_DRAWS) -> None:
        """Keep a model that maps inputs to logits, and the number of draws."""
        super().__init__()
        self.model, self.num_draws, self._by_row = model, num_draws, True

    def forward(self, x: Tensor) -> Tensor:
        """Return the logarithm of the mean probabilities."""
        with generators_kept(x.device):
            found = [self._answer(x, number).log_softmax(1) for number in range(self.num_draws)]
        return torch.stack(found).logsumexp(0) - log(self.num_draws)

    def _answer(self, x: Tensor, number: int) -> Tensor:
        if self._by_row:
            _seed(number, x.device)
            try:
                return torch.func.vmap(lambda row: self.model(row[None])[0], randomness="same")(x)
            except (RuntimeError, ValueError, NotImplementedError):
                self._by_row = False
        _seed(number, x.device)
        return self.model(x)


@contextmanager
def generators_kept(device: torch.device) -> Iterator[None]:
    """Restore the global generators of PyTorch, NumPy and `random` at the end of the block."""
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002


def _seed(number: int, device: torch.device) -> None:
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(number)
