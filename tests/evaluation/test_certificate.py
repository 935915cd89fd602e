"""Certified accuracy: closed form on a linear model, and verdicts that exclude each other."""

import pytest
import torch
from scipy.stats import binomtest
from torch import nn

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.certificate import Certificate
from withstand.measuring.question import Question
from withstand.perturbations.ball import Ball


@pytest.fixture
def split():
    x = torch.rand(60, 3, generator=torch.Generator().manual_seed(0))
    return TensorSplit(x, (x.sum(1) > 1.5).long(), classes=("a", "b"), box=None)


@pytest.fixture
def linear():
    """A model that decides at a sum of 1.5."""
    layer = nn.Linear(3, 2)
    layer.weight.data, layer.bias.data = torch.tensor([[0.0] * 3, [1.0] * 3]), torch.tensor([0.0, -1.5])
    return nn.Sequential(layer)


def test_a_linear_model_is_certified_up_to_its_distance(linear, split, measured):
    balls = tuple(Ball("linf", radius) for radius in (0.01, 0.1, 0.3))
    rows = measured(Certificate(balls=balls), linear, split)
    for ball in balls:
        hits = int(((split.x.sum(1) - 1.5).abs() > 3 * ball.radius).sum())
        row = rows["certified_top1", f"{ball.name}, branch and bound"]
        exact = binomtest(hits, 60).proportion_ci(method="exact")
        assert row.value == pytest.approx(hits / 60)
        assert (row.low, row.high) == pytest.approx((exact.low, exact.high))
        assert row.budget == "branch and bound"
        assert rows["unknown", f"{ball.name}, branch and bound"].value == 0


def test_every_sample_is_certified_or_broken_or_unknown(sphere, trained):
    model, num_unknown = trained(20, 20, seed=0), []
    sphere.y[:5] = 1 - sphere.y[:5]
    for method in ("interval", "crown", "alpha_crown", "complete"):
        found = Certificate(balls=(Ball("linf", 0.1),), method=method).measure(model, sphere, seed=0, engine=Engine())
        (columns,) = found.columns.values()
        num_unknown.append(int(columns["unknown"].sum()))
        assert (columns["certified"].int() + columns["broken"].int() + columns["unknown"].int() == 1).all()
        assert not (columns["certified"] & ~columns["correct"]).any()
        assert (~columns["correct"]).sum() >= 5
        assert (columns["broken"] >= ~columns["correct"]).all()
        assert columns["certified"].any()
    assert num_unknown[0] > num_unknown[1] >= num_unknown[2] > num_unknown[3] == 0


def test_a_network_without_rules_is_refused_before_the_first_sample(split):
    model = nn.Sequential(nn.Linear(3, 4), nn.Softplus(), nn.Linear(4, 2))
    with pytest.raises(InputError, match=r"Certificate.*Softplus"):
        Certificate().check(model, split.space)


def test_the_word_sandwich_needs_a_radius(split):
    with pytest.raises(InputError, match=r"sandwich.*radius"):
        Question.of(split, on="sandwich")
    question = Question.of(split, on="sandwich", balls=(Ball("linf", 0.1), Ball("linf", 0.2)))
    assert len(question.conditions) == 2
