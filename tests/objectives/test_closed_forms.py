"""The smoothed loss and its maximum on two moons, against closed forms and integrals that others compute."""

import math

import pytest
import torch
from scipy import integrate
from torch import nn
from torch.testing import assert_close

from withstand.data.tables.toy import Toy
from withstand.functional.losses import loss_per_sample
from withstand.functional.random import stream
from withstand.functional.risks import soft_maximum, weights_of_draws
from withstand.objectives.folds.soft_maximum import SoftMaximum
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.attacks.vertices import Vertices
from withstand.perturbations.ball import Ball
from withstand.perturbations.sobol import Sobol
from withstand.perturbations.uniform import Uniform

MOONS = Toy(num_test=60).load("test")
X, Y = MOONS.x, MOONS.y
RADIUS = 0.5
BALL = Ball("linf", RADIUS)
SIGN = (2 * Y - 1).double()


def linear(*weight: float) -> nn.Module:
    """Return two logits whose difference is weight . x."""
    model = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-each / 2 for each in weight], [each / 2 for each in weight]]))
    return model


def losses_of(model: nn.Module, inputs: torch.Tensor, loss: str) -> torch.Tensor:
    with torch.no_grad():
        return loss_per_sample(model(inputs.flatten(0, 1)), Y.repeat(len(inputs)), loss).view(len(inputs), -1)


def smoothed(perturbation, model: nn.Module, loss: str, temperature: float, num_draws: int) -> tuple:
    """Return the smoothed loss of every row, and the standard error of its estimate."""
    draws = perturbation.draw(X, Y, model, space=MOONS.space, num_draws=num_draws, rng=stream(0, "draws"))
    losses = losses_of(model, draws.inputs, loss).double()
    fields = {"temperature": temperature, "log_weights": draws.log_weights}
    effective = 1 / weights_of_draws(losses, **fields).square().sum(0)
    return soft_maximum(losses, **fields), temperature / effective.sqrt()


def hinge_in_closed_form(model: nn.Module, weight: tuple[float, ...], temperature: float) -> torch.Tensor:
    """l0 + T sum log(sinh(g r / T) / (g r / T)): the hinge is linear while no row is classified with a margin of 1."""
    total = 0.0
    for each in weight:
        slope = abs(each) * RADIUS / temperature
        total += slope - math.log(2) + math.log1p(-math.exp(-2 * slope)) - math.log(slope)
    return losses_of(model, X[None], "hinge")[0].double() + temperature * total


@pytest.mark.parametrize("temperature", [1.0, 0.05, 0.01])
@pytest.mark.parametrize(
    ("perturbation", "num_draws"), [(Uniform(ball=BALL), 4000), (Sobol(ball=BALL), 1024), (Tilted(ball=BALL), 512)]
)
def test_the_smoothed_hinge_of_a_linear_model_has_its_closed_form(perturbation, num_draws, temperature):
    weight = (0.1, -0.05)
    model = linear(*weight)
    if isinstance(perturbation, Tilted):
        perturbation = Tilted(ball=BALL, temperature=temperature, loss="hinge")
    assert losses_of(model, X[None], "hinge").min() > RADIUS * 0.15, "the kink must be out of reach"
    found, error = smoothed(perturbation, model, "hinge", temperature, num_draws)
    wanted = hinge_in_closed_form(model, weight, temperature)
    assert ((found - wanted).abs() <= 5 * error + 1e-5).all()
    assert (found - wanted).mean().abs() <= 2 * error.mean() / math.sqrt(len(X)) + temperature / 200


@pytest.mark.parametrize("mode", ["exact", "two_pass", "resampled"])
def test_the_smoothed_cross_entropy_is_its_integral(mode):
    weight, temperature = (1.0, -2.0), 0.3
    model = linear(*weight)
    margins = SIGN * (X.double() @ torch.tensor(weight).double())

    def density(up: float, across: float, margin: float) -> float:
        # exp(log(1 + exp(-margin)) / T), of the moved point
        return (1 + math.exp(-(margin + weight[0] * across + weight[1] * up))) ** (1 / temperature)

    integrals = [
        integrate.dblquad(density, -RADIUS, RADIUS, -RADIUS, RADIUS, (each,), epsabs=1e-6, epsrel=1e-6)[0]
        for each in margins[::6].tolist()
    ]
    wanted = temperature * torch.tensor([math.log(each / (2 * RADIUS) ** 2) for each in integrals])
    found, error = smoothed(Tilted(ball=BALL, temperature=temperature), model, "cross_entropy", temperature, 4000)
    assert ((found[::6] - wanted).abs() <= 5 * error[::6]).all()
    # The objective folds rows alone, and means over them.
    objective = PerturbedRisk(
        perturbation=Tilted(ball=BALL), num_draws=4000, fold=SoftMaximum(temperature=temperature), mode=mode
    )
    step = objective.step(model, X[::6], Y[::6], space=MOONS.space, state=nn.Module(), count=0, rng=stream(0, "x"))
    assert step.loss.item() == pytest.approx(wanted.mean().item(), abs=0.01)


@pytest.mark.parametrize("loss", ["cross_entropy", "hinge", "binary_cross_entropy"])
def test_the_worst_point_of_a_linear_model_is_the_corner(loss):
    weight = (0.1, -0.05)
    model = linear(*weight)
    corner = X - RADIUS * (SIGN[:, None] * torch.tensor(weight).sign()).float()
    for attack in (PGD(ball=BALL, loss=loss), PGD(ball=BALL, loss=loss, steps=3, reach=3.0)):
        found = attack.draw(X, Y, model, space=MOONS.space, num_draws=2, rng=stream(0, "x")).inputs
        assert_close(found, corner.expand(2, -1, -1))
    vertices = Vertices(ball=BALL).draw(X, Y, model, space=MOONS.space, num_draws=4, rng=stream(0, "x")).inputs
    highest = losses_of(model, corner[None], loss)[0]
    assert_close(losses_of(model, vertices, loss).amax(0), highest)
    # And at temperature 0 the smoothed loss over the vertices is that maximum.
    objective = PerturbedRisk(
        perturbation=Vertices(ball=BALL), num_draws=4, fold=SoftMaximum(temperature=0.0), loss=loss
    )
    step = objective.step(model, X, Y, space=MOONS.space, state=nn.Module(), count=0, rng=stream(0, "x"))
    assert step.loss.item() == pytest.approx(highest.mean().item(), rel=1e-6)
