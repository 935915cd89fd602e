"""The mean over draws of a random model is the same every time, whatever generators the model draws from."""

import random

import numpy as np
import pytest
import torch
from torch import nn

import withstand as ws
from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.models.wrappers.expectation import Expectation

SOURCES = {
    "torch": lambda x: torch.randn_like(x),
    "numpy": lambda x: torch.from_numpy(np.random.standard_normal(tuple(x.shape))).to(x.dtype),  # noqa: NPY002
    "random": lambda x: torch.tensor([random.gauss(0, 1) for _ in range(x.numel())], dtype=x.dtype).view(x.shape),
}
X = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))


class Noisy(nn.Module):
    """A linear model of noisy inputs."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.linear, self.source = nn.Linear(4, 3), SOURCES[source]
        with torch.no_grad():
            self.linear.weight.copy_(torch.arange(12.0).view(3, 4).sin())
            self.linear.bias.zero_()

    def forward(self, x):
        return self.linear(x + 0.5 * self.source(x))


def states():
    return torch.random.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002


@pytest.mark.parametrize("source", SOURCES)
def test_the_mean_is_the_same_every_time_and_in_every_batch(source):
    model = Noisy(source)
    with torch.no_grad():
        assert not torch.equal(model(X), model(X))
        before = states()
        mean = Expectation(model)(X)
        assert torch.equal(mean, Expectation(model)(X))
        torch.testing.assert_close(mean[5:9], Expectation(model)(X[5:9]))
        assert states() == before
        single = [Expectation(model, num_draws=1)(X)]
        assert not any(torch.allclose(mean, each) for each in single)  # draws differ
        bare = model.linear(X).log_softmax(1)
        assert (mean.argmax(1) == bare.argmax(1)).float().mean() > 0.7


@pytest.mark.parametrize("source", SOURCES)
def test_attacks_on_a_random_model_are_reproducible(source):
    model = Noisy(source)
    split = TensorSplit(X, model.linear(X).argmax(1), classes=("a", "b", "c"), box=None)
    worst = ws.WorstCase(balls=(ws.Ball("linf", 0.1),), attacks=(ws.APGD(steps=3),), num_mean=0)
    before = states()
    one, other = (worst.measure(model, split, seed=0, engine=Engine()) for _ in range(2))
    assert states() == before
    for name, columns in one.columns.items():
        for column, values in columns.items():
            assert torch.equal(values, other.columns[name][column])
    assert any("random" in note.text for notes in one.notes.values() for note in notes)
