"""Modules that need contiguous inputs and activations work everywhere, and every module keeps its memory format."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import withstand as ws
from withstand.models.memory_format import formats_kept, make_contiguous, place

CPU, SHAPE, BALL = torch.device("cpu"), (3, 8, 8), ws.Ball("linf", 0.02)
LAST = torch.channels_last


class Viewing(nn.Module):
    """Calls `view` on its inputs and after a convolution; in one mode only, or on gradients only, if asked."""

    def __init__(self, where="always"):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(0)
            self.convolution, self.norm, self.last = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(144, 3)
        self.where = where
        self.register_buffer("kernel", torch.ones(4, 1, 1, 1))

    def forward(self, x):
        x.view(-1)
        h = (self.norm(self.convolution(x)) * self.kernel.view(4, 1, 1)).relu()
        viewed = {"training": self.training, "evaluation": not self.training}.get(self.where, self.where == "always")
        if self.where == "gradient":
            h = _View.apply(h)
        return self.last(h.view(len(x), -1) if viewed else h.flatten(1))


class _View(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        gradient.clone().view(-1)
        return gradient


def pairs(num=24, *, strided=False):
    y = torch.arange(num) % 3
    x = torch.rand(num, *SHAPE, generator=torch.Generator().manual_seed(0)) * 0.3 + y[:, None, None, None] * 0.3
    return TensorDataset(x.contiguous(memory_format=LAST) if strided else x, y)


def formats(model):
    return {name: each.stride() for name, each in model.state_dict().items()}


WHERE = pytest.mark.parametrize("where", ["always", "training", "evaluation", "gradient", "never"])


@pytest.mark.slow
@WHERE
@pytest.mark.parametrize("strided", [False, True], ids=["contiguous", "channels last"])
def test_a_module_trains_and_is_measured_wherever_it_needs_contiguous_values(where, strided):
    model, data = Viewing(where), pairs(strided=strided)
    before = formats(model)
    assert ws.fit(model, data, validation=data, epochs=2, batch_size=8, ema_decay=0.5, device="cpu") is model
    assert formats(model) == before
    model(torch.rand(2, *SHAPE))
    model.train()(torch.rand(2, *SHAPE))
    on = ["clean", "fog/1", ws.Gaussian(), ws.WorstCase(balls=(BALL,), budget="quick", num_mean=2), "distance/linf"]
    results = ws.evaluate(model, data, on=on, device="cpu")
    assert {row.count for row in results.rows["model"]} == {24}
    found = ws.attack(model, *data.tensors, BALL, budget="quick", device="cpu")
    assert found.success.shape == (24,)
    assert formats(model) == before


def test_a_given_surrogate_may_need_contiguous_values():
    small = ws.SmallCNN(width=2).build(SHAPE, 3, seed=0)
    surrogate = Viewing()
    before = formats(surrogate), formats(small)
    worst = ws.WorstCase(balls=(BALL,), budget="quick", num_mean=0)
    ws.evaluate(small, pairs(), on=worst, surrogate=surrogate, device="cpu")
    assert (formats(surrogate), formats(small)) == before


def test_training_does_not_depend_on_the_memory_format():
    viewing, other = Viewing(), Viewing("never")
    for model in (viewing, other):
        ws.fit(model, pairs(), epochs=2, batch_size=8, optimizer=ws.SGD(lr=0.01), device="cpu")
    for name, each in viewing.state_dict().items():
        torch.testing.assert_close(each, other.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_after_an_error_a_model_has_its_own_memory_format(monkeypatch):
    def fail(*_, **__):
        raise KeyError("stop")

    data = pairs()
    calls = {
        "withstand.api.ask": lambda model: ws.evaluate(model, data, device="cpu"),
        "withstand.api.rehearse": lambda model: ws.fit(model, data, epochs=1, device="cpu"),
        "withstand.attacking.WorstCase": lambda model: ws.attack(model, *data.tensors, BALL, device="cpu"),
    }
    for model in (Viewing("never"), Viewing("never").to(memory_format=LAST)):
        before = formats(model)
        for target, call in calls.items():
            monkeypatch.setattr(target, fail)
            with pytest.raises(KeyError):
                call(model)
            assert formats(model) == before


@pytest.mark.parametrize(("where", "is_last"), [("never", True), ("always", False)])
def test_placing_keeps_channels_last_where_a_model_takes_it(where, is_last, untouched_generators):
    with untouched_generators():
        model = nn.Sequential(nn.Identity(), Viewing(where), nn.Dropout())
        values = copy.deepcopy(model.state_dict())
        with formats_kept(model):
            assert place(model, CPU, SHAPE) is model
            assert model[1].convolution.weight.is_contiguous(memory_format=LAST) == is_last
            assert model.training
            assert make_contiguous(model) == is_last
        for name, each in model.state_dict().items():
            assert torch.equal(each, values[name])
            assert each.is_contiguous()
        assert all(each.grad is None for each in model.parameters())
