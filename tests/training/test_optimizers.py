import sys

import pytest
import torch
from torch import nn

from withstand.errors import InputError
from withstand.training.optimizers import SGD, Adam, AdamW

EVERY = [SGD, Adam, AdamW]
every_optimizer = pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)


@pytest.fixture
def model():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))


@every_optimizer
def test_biases_and_normalisation_are_not_decayed(cls, model):
    optimizer = cls(weight_decay=0.5).build(model)
    decayed = {id(each) for group in optimizer.param_groups if group["weight_decay"] for each in group["params"]}
    assert decayed == {id(model[0].weight), id(model[3].weight)}
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.5}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 6


@every_optimizer
def test_without_gradient_decay_alone_shrinks_weights_and_leaves_biases(cls, model):
    before = [each.detach().clone() for each in model.parameters()]
    for each in model.parameters():
        each.grad = torch.zeros_like(each)
    cls(lr=0.1, weight_decay=0.5).build(model).step()
    for was, now in zip(before, model.parameters(), strict=True):
        assert torch.equal(was, now) == (was.ndim <= 1)
    if cls is not Adam:
        torch.testing.assert_close(model[3].weight, before[4] * (1 - 0.1 * 0.5))


@every_optimizer
def test_frozen_parameters_stay_out(cls, model):
    model[0].requires_grad_(False)
    for decay in (0.0, 0.1):
        groups = cls(weight_decay=decay).build(model).param_groups
        assert sum(len(group["params"]) for group in groups) == 4


@every_optimizer
def test_the_fields_reach_the_optimiser_of_pytorch(cls, model):
    optimizer = cls(lr=0.03).build(model)
    assert isinstance(optimizer, getattr(torch.optim, cls.__name__))
    assert {group["lr"] for group in optimizer.param_groups} == {0.03}
    assert SGD(momentum=0.8, nesterov=True).build(model).param_groups[0]["nesterov"]
    assert Adam(betas=(0.5, 0.9)).build(model).param_groups[0]["betas"] == (0.5, 0.9)


@every_optimizer
def test_steps_are_those_of_pytorch_and_do_not_import_its_compiler(cls, model, monkeypatch):
    own = [each.detach().clone() for each in model.parameters()]
    theirs = getattr(torch.optim, cls.__name__)(model.parameters(), lr=0.1, weight_decay=0.0, **momentum(cls))
    ours = cls(lr=0.1, weight_decay=0.0).make(own)
    gradients = [[torch.randn_like(each) for each in own] for _ in range(5)]
    for step in gradients:
        for parameter, gradient in zip(model.parameters(), step, strict=True):
            parameter.grad = gradient.clone()
        theirs.step()
    expected = theirs.state_dict()["state"]
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # an import of it fails
    for step in gradients:
        for parameter, gradient in zip(own, step, strict=True):
            parameter.grad = gradient.clone()
        ours.step()
        ours.load_state_dict(ours.state_dict())
        ours.zero_grad(set_to_none=True)
    assert all(torch.equal(a, b) for a, b in zip(own, model.parameters(), strict=True))
    for number, state in ours.state_dict()["state"].items():
        assert all(torch.equal(value, expected[number][name]) for name, value in state.items())


def momentum(cls):
    return {"momentum": 0.9} if cls is SGD else {}


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(InputError, match=r"^SGD: nesterov needs a momentum"):
        SGD(momentum=0.0, nesterov=True)
