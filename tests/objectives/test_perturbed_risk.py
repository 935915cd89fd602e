import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from withstand.errors import InputError
from withstand.functional.random import stream
from withstand.models.mlp import MLP
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity


def loss_of(objective, model, x, y):
    return objective.step(model, x, y, state=nn.Module(), count=0, rng=stream(0, "x")).loss


@dataclass(frozen=True)
class Setting:
    model: nn.Module
    x: torch.Tensor
    y: torch.Tensor


@pytest.fixture
def setting():
    x = torch.randn((12, 4), generator=torch.Generator().manual_seed(0))
    return Setting(MLP(hidden=(5,)).build((4,), 3, seed=0), x, torch.arange(12) % 3)


def test_without_perturbation_it_is_the_cross_entropy(setting):
    wanted = cross_entropy(setting.model(setting.x), setting.y)
    for num_draws, temperature in ((1, 1.0), (4, 0.0), (4, 0.1), (4, math.inf)):
        objective = PerturbedRisk(num_draws=num_draws, temperature=temperature)
        torch.testing.assert_close(loss_of(objective, setting.model, setting.x, setting.y), wanted)


def test_the_fold_lies_between_mean_and_maximum_and_falls_with_the_temperature(setting):
    losses = [
        loss_of(
            PerturbedRisk(perturbation=Gaussian(std=1.0), num_draws=5, temperature=temperature),
            setting.model,
            setting.x,
            setting.y,
        ).item()
        for temperature in (0.0, 0.01, 0.1, 1.0, math.inf)
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1]


def test_draws_of_a_sample_are_folded_not_its_neighbours(setting):
    noise = Gaussian(std=1.0)
    objective = PerturbedRisk(perturbation=noise, num_draws=3, temperature=0.0)
    drawn = noise.draw(setting.x, setting.y, setting.model, num_draws=3, rng=stream(0, "x")).inputs
    losses = torch.stack([cross_entropy(setting.model(each), setting.y, reduction="none") for each in drawn])
    torch.testing.assert_close(loss_of(objective, setting.model, setting.x, setting.y), losses.amax(0).mean())


def test_labels_can_be_smoothed(setting):
    wanted = cross_entropy(setting.model(setting.x), setting.y, label_smoothing=0.1)
    for num_draws in (1, 2):
        objective = PerturbedRisk(num_draws=num_draws, label_smoothing=0.1)
        torch.testing.assert_close(loss_of(objective, setting.model, setting.x, setting.y), wanted)


def test_the_loss_is_float32_under_mixed_precision(setting):
    objective = PerturbedRisk(perturbation=Gaussian(std=0.1), num_draws=2, temperature=0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert setting.model(setting.x).dtype == torch.bfloat16
        assert loss_of(objective, setting.model, setting.x, setting.y).dtype == torch.float32


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"num_draws": 0}, "PerturbedRisk: num_draws must be at least 1, got 0."),
        ({"temperature": -1.0}, "PerturbedRisk: temperature must be >= 0, got -1.0."),
        ({"temperature": math.nan}, "PerturbedRisk: temperature must be >= 0, got nan."),
        (
            {"temperature": math.inf, "last_temperature": 1.0},
            "PerturbedRisk: cooling needs finite temperatures, got inf; leave out last_temperature.",
        ),
        (
            {"last_temperature": math.inf, "cooling": "linear"},
            "PerturbedRisk: cooling needs finite temperatures, got inf; leave out last_temperature.",
        ),
        ({"label_smoothing": 1.0}, "PerturbedRisk: label_smoothing must be in [0, 1), got 1.0."),
    ],
    ids=str,
)
def test_fields_out_of_range_are_refused(fields, sentence):
    with pytest.raises(InputError) as caught:
        PerturbedRisk(perturbation=Identity(), **fields)
    assert str(caught.value) == sentence
