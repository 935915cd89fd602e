"""Columns behind the features: weights multiply gradients, and nothing moves the columns."""

import pytest
import torch
from torch import nn

from withstand.errors import InputError
from withstand.estimators.carried import Carried, extended, keep_carried
from withstand.functional.losses import loss_per_sample
from withstand.functional.random import stream
from withstand.functional.risks import soft_maximum
from withstand.objectives.adversarial_noise import AdversarialNoise
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.attacks.langevin import Langevin
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.ball import Ball
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.uniform import Uniform

BALL = Ball("linf", 0.3)
PERTURBATIONS = [
    Uniform(ball=BALL),
    PGD(ball=BALL),
    Tilted(ball=BALL, temperature=0.1),
    Langevin(ball=BALL, temperature=0.1),
    Gaussian(std=0.3),
]


@pytest.fixture
def parts():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(9, 4, generator=generator)
    weights = torch.rand(9, 1, generator=generator) + 0.1
    network = nn.Linear(4, 3)
    with torch.no_grad():
        network.weight.copy_(torch.randn(3, 4, generator=generator))
        network.bias.zero_()
    return network, x, weights, torch.arange(9) % 3


def gradient(network, loss):
    return torch.autograd.grad(loss, network.weight)[0]


@pytest.mark.parametrize("perturbation", PERTURBATIONS)
@pytest.mark.parametrize("mode", ["exact", "two_pass"])
def test_the_gradient_is_that_of_the_weighted_sum_of_the_folded_losses(perturbation, mode, parts):
    network, x, weights, y = parts
    risk = PerturbedRisk(perturbation=perturbation, num_draws=3, temperature=0.1, mode=mode, tolerance=0.0)
    own = keep_carried(risk, num_features=4, num_carried=1)
    model = Carried(network, num_features=4, target=False, weight=True)
    whole = torch.cat([x, weights], 1)
    step = own.step(model, whole, y, state=own.init(whole, rng=stream(0, "i")), count=0, rng=stream(0, "s"))
    if mode == "two_pass":
        # Draws of its own, so only the size of the effect is known: doubled weights, doubled gradient.
        double = torch.cat([x, 2 * weights], 1)
        again = own.step(model, double, y, state=own.init(double, rng=stream(0, "i")), count=0, rng=stream(0, "s"))
        assert torch.allclose(2 * gradient(network, step.loss), gradient(network, again.loss), atol=1e-5)
        assert again.loss.item() == pytest.approx(step.loss.item(), abs=1e-6)
        return
    draws = own.perturbation.draw(whole, y, model, num_draws=3, rng=stream(0, "s"))
    losses = loss_per_sample(network(draws.inputs[:, :, :4].flatten(0, 1)), y.repeat(3)).view(3, 9)
    folded = soft_maximum(losses, temperature=0.1, log_weights=draws.log_weights)
    assert step.loss.item() == pytest.approx(folded.mean().item(), abs=1e-6)
    assert torch.allclose(gradient(network, step.loss), gradient(network, (weights[:, 0] * folded).mean()), atol=1e-6)


@pytest.mark.parametrize("perturbation", PERTURBATIONS)
def test_nothing_moves_the_columns(perturbation, parts):
    network, x, weights, y = parts
    whole = torch.cat([x, weights], 1)
    own = keep_carried(perturbation, num_features=4, num_carried=1)
    model = Carried(network, num_features=4, target=False, weight=True)
    draws = own.draw(whole, y, model, num_draws=2, rng=stream(0, "x")).inputs
    assert torch.equal(draws[:, :, 4:], weights.expand(2, -1, -1))
    assert not torch.equal(draws[:, :, :4], x.expand(2, -1, -1))


def test_the_output_with_a_target_is_the_distance_to_it(parts):
    _, x, weights, _ = parts
    single = nn.Linear(4, 1)
    model = Carried(single, num_features=4, target=True, weight=True)
    target = torch.arange(9.0)[:, None]
    assert torch.allclose(model(torch.cat([x, target, weights], 1)), single(x) - target, atol=1e-6)


def test_a_ball_is_extended_by_radii_of_zero():
    assert extended(Ball("l2", 0.5), num_features=2, num_carried=1).radius == (0.5, 0.5, 0.0)
    scaled = Ball("linf", (1.0, 3.0), unit="raw", factors=(0.5, 0.0))
    assert extended(scaled, num_features=2, num_carried=2) == Ball("linf", (0.5, 0.0, 0.0, 0.0))


def test_other_objectives_know_no_columns():
    with pytest.raises(InputError, match="weights and regression need a PerturbedRisk or a name, got AdversarialNoise"):
        keep_carried(AdversarialNoise(), num_features=4, num_carried=1)
    assert keep_carried(AdversarialNoise(), num_features=4, num_carried=0) == AdversarialNoise()
