"""`attack`: what it takes, what it refuses, and what it returns."""

import re
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

import withstand as ws
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.margins import is_wrong

BALL = ws.Ball("linf", 0.3)
X = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))


Y = network()(X).argmax(1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": "resnet18"}, "got str"),
        ({"model": nn.Linear(5, 3)}, "cannot take inputs of shape (4,) and type float32"),
        ({"model": nn.Linear(4, 1)}, "at least 2 classes), for one input it returned float32 of shape (1, 1)"),
        ({"model": nn.Flatten(0)}, "must return logits of shape"),
        ({"model": nn.Unflatten(1, (2, 2))}, "must return logits of shape"),
        ({"x": X / 0}, "inputs must be finite"),
        ({"x": X[:0], "y": Y[:0]}, "at least one input"),
        ({"y": Y + 1}, "whole numbers from 0 to 2"),
        ({"seed": -1}, "seed must be"),
        ({"seed": "a"}, "seed must be"),
        ({"budget": "strong"}, "budget must be"),
        ({"space": Space(shape=(3,))}, "x must have the shape of the space, (3,), got (4,)"),
        ({"space": Space(shape=(4,), box=(0.0, 1.0))}, "x must lie in"),
    ],
)
def test_what_does_not_fit_is_refused(given, words):
    arguments = {"model": network(), "x": X, "y": Y, "ball": BALL, "device": "cpu"} | given
    with pytest.raises(InputError, match=f"^attack: .*{re.escape(words)}"):
        ws.attack(**arguments)


@pytest.mark.parametrize("size", [None, 7])
def test_radii_per_row_are_those_of_the_row_in_any_batch(size):
    radii = torch.linspace(0, 1, len(X))
    ball = ws.Ball("linf", tuple((each,) for each in radii.tolist()))
    found = ws.attack(network(), X, Y, ball, budget="quick", device="cpu", batch_size=size)
    assert ((found.points - X).abs().amax(1) <= radii + 1e-6).all()
    whole = ws.attack(network(), X, Y, ws.Ball("linf", 1.0), budget="quick", device="cpu")
    assert found.success[-1] == whole.success[-1]
    assert 0 < found.success.sum() < len(X)


class Hidden(nn.Module):
    """A network whose outputs have passed through something."""

    def __init__(self, last):
        super().__init__()
        self.inner, self.last = network(), last

    def forward(self, x):
        return self.last(self.inner(x))


LASTS = {
    "cut": torch.Tensor.detach,
    "whole numbers": lambda logits: (100 * logits).long(),
    "labels": lambda logits: nn.functional.one_hot(logits.argmax(1), 3).float(),
    "64 bits": torch.Tensor.double,
    "16 bits": torch.Tensor.half,
}


@pytest.mark.parametrize("name", LASTS)
def test_outputs_without_a_graph_or_of_another_type_can_be_attacked(name):
    model = Hidden(LASTS[name])
    masks = name in ("cut", "whole numbers", "labels")
    with pytest.warns(UserWarning, match="attack: Gradient masking.* given inputs") if masks else nullcontext():
        found = ws.attack(model, X, Y, BALL, device="cpu", budget="quick")
    assert found.points.dtype == X.dtype
    assert_close(is_wrong(model(found.points), Y), found.success)


@pytest.mark.slow
@pytest.mark.parametrize("name", LASTS)
def test_outputs_without_a_graph_do_not_look_robust(name):
    pairs = torch.utils.data.TensorDataset(X, Y)

    def worst(model):
        found = ws.evaluate(model, pairs, on=ws.WorstCase(balls=(BALL,), num_mean=0), device="cpu")
        value = next(row.value for row in found.rows["model"] if row.measure == "worst_case_top1")
        return value, " ".join(found.notes)

    (value, notes), (plain, _) = worst(Hidden(LASTS[name])), worst(network())
    assert value <= plain + 1.5 / len(X)
    assert ("Gradient masking" in notes) == (name in ("cut", "whole numbers", "labels"))


@pytest.mark.parametrize("model", [nn.Linear(4, 2), nn.Linear(5, 3), ws.BlackBox(np.exp), np.exp])
def test_a_surrogate_that_does_not_fit_is_refused(model):
    pairs = torch.utils.data.TensorDataset(X, Y)
    with pytest.raises(InputError, match="surrogate"):
        ws.evaluate(network(), pairs, on=ws.WorstCase(balls=(BALL,)), surrogate=model, device="cpu")
