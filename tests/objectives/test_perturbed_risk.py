import math
from dataclasses import dataclass
from typing import Literal

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import stream
from withstand.models.mlp import MLP
from withstand.objectives.folds.consistency import Consistency
from withstand.objectives.folds.soft_maximum import SoftMaximum
from withstand.objectives.folds.trades import Trades
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Mixture


def loss_of(objective, model, x, y, weight=None):
    options = {"weight": weight, "space": Space.like(x), "state": nn.Module(), "count": 0, "rng": stream(0, "x")}
    return objective.step(model, x, y, **options).loss


def gradient_of(loss, model):
    return torch.cat([each.flatten() for each in torch.autograd.grad(loss, list(model.parameters()))])


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
        objective = PerturbedRisk(num_draws=num_draws, fold=SoftMaximum(temperature=temperature))
        torch.testing.assert_close(loss_of(objective, setting.model, setting.x, setting.y), wanted)


def test_the_fold_lies_between_mean_and_maximum_and_falls_with_the_temperature(setting):
    losses = [
        loss_of(
            PerturbedRisk(perturbation=Gaussian(std=1.0), num_draws=5, fold=SoftMaximum(temperature=temperature)),
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
    objective = PerturbedRisk(perturbation=noise, num_draws=3, fold=SoftMaximum(temperature=0.0))
    drawn = noise.draw(
        setting.x, setting.y, setting.model, space=Space.like(setting.x), num_draws=3, rng=stream(0, "x")
    ).inputs
    losses = torch.stack([cross_entropy(setting.model(each), setting.y, reduction="none") for each in drawn])
    torch.testing.assert_close(loss_of(objective, setting.model, setting.x, setting.y), losses.amax(0).mean())


def test_labels_can_be_smoothed(setting):
    wanted = cross_entropy(setting.model(setting.x), setting.y, label_smoothing=0.1)
    for num_draws in (1, 2):
        objective = PerturbedRisk(num_draws=num_draws, label_smoothing=0.1)
        torch.testing.assert_close(loss_of(objective, setting.model, setting.x, setting.y), wanted)


def test_the_loss_is_float32_under_mixed_precision(setting):
    objective = PerturbedRisk(perturbation=Gaussian(std=0.1), num_draws=2, fold=SoftMaximum(temperature=0.1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert setting.model(setting.x).dtype == torch.bfloat16
        assert loss_of(objective, setting.model, setting.x, setting.y).dtype == torch.float32


@dataclass(frozen=True, kw_only=True)
class Shifted(Perturbation):
    """Adds 0, 0.1, 0.2, ... to every input: the same draws for a sample wherever it stands in the batch."""

    targets: Literal["none", "one-hot", "mixed"] = "none"

    def draw(self, x, y, model, *, space, num_draws, rng):
        """Shift, and give targets if there are to be any."""
        inputs = x + 0.1 * torch.arange(num_draws).view(-1, *[1] * x.ndim)
        whole = one_hot(y, 3).float().expand(num_draws, -1, -1)
        targets = {"none": None, "one-hot": whole, "mixed": 0.7 * whole + 0.1}[self.targets]
        return Draws(inputs, targets=targets)

    @classmethod
    def examples(cls):
        """One."""
        return [cls()]


MODES = [
    {"num_draws": 1},
    {"num_draws": 4, "fold": SoftMaximum(temperature=0.1)},
    {"num_draws": 4, "fold": SoftMaximum(temperature=0.1), "mode": "two_pass", "tolerance": 0.0, "points_at_once": 10},
    {"num_draws": 4, "fold": SoftMaximum(temperature=0.0), "mode": "resampled", "num_kept": 2},
]
every_mode = pytest.mark.parametrize("fields", MODES, ids=str)


@every_mode
def test_a_weight_of_two_counts_as_the_sample_twice(setting, fields):
    objective, model = PerturbedRisk(perturbation=Shifted(), **fields), setting.model
    weight = torch.ones(12)
    weight[3] = 2.0
    again = torch.tensor([*range(12), 3])
    once = loss_of(objective, model, setting.x, setting.y, weight) * 12
    twice = loss_of(objective, model, setting.x[again], setting.y[again]) * 13
    torch.testing.assert_close(once, twice)
    torch.testing.assert_close(gradient_of(once, model), gradient_of(twice, model), rtol=1e-4, atol=1e-5)


@every_mode
def test_a_weight_of_zero_counts_as_no_sample(setting, fields):
    objective, model = PerturbedRisk(perturbation=Shifted(), **fields), setting.model
    weight = (torch.arange(12) < 9).float()
    some = loss_of(objective, model, setting.x, setting.y, weight) * 12
    fewer = loss_of(objective, model, setting.x[:9], setting.y[:9]) * 9
    torch.testing.assert_close(some, fewer)
    torch.testing.assert_close(gradient_of(some, model), gradient_of(fewer, model), rtol=1e-4, atol=1e-5)


@every_mode
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_targets_that_are_one_class_are_labels_and_others_are_the_mixture_of_losses(setting, fields, loss):
    model, x, y = setting.model, setting.x, setting.y
    hard, soft, mixed = (
        PerturbedRisk(perturbation=Shifted(targets=each), loss=loss, **fields) for each in ("none", "one-hot", "mixed")
    )
    one, other = loss_of(hard, model, x, y), loss_of(soft, model, x, y)
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(gradient_of(one, model), gradient_of(other, model), rtol=1e-4, atol=1e-5)
    if fields["num_draws"] == 1 and loss == "cross_entropy":
        wanted = 0.7 * one + 0.1 * sum(loss_of(hard, model, x, torch.full_like(y, label)) for label in range(3))
        torch.testing.assert_close(loss_of(mixed, model, x, y), wanted)


def test_a_mixture_gives_the_rows_of_other_parts_their_labels_as_targets(setting):
    soft = Mixture(parts=(Identity(), Shifted(targets="mixed")))
    draws = soft.draw(setting.x, setting.y, setting.model, space=Space.like(setting.x), num_draws=1, rng=stream(0, "x"))
    hard = (draws.inputs[0] == setting.x).all(1) & (draws.targets[0].amax(1) == 1)
    assert hard.sum() == 6
    assert torch.equal(draws.targets[0][hard], one_hot(setting.y, 3).float()[hard])
    torch.testing.assert_close(draws.targets[0][~hard], (0.7 * one_hot(setting.y, 3) + 0.1)[~hard])


@pytest.mark.parametrize("loss", ["hinge", "squared_error"])
def test_losses_without_soft_targets_refuse_them(setting, loss):
    objective = PerturbedRisk(perturbation=Shifted(targets="mixed"), loss=loss)
    with pytest.raises(InputError, match=f"^{loss}: targets must be one per sample, got probabilities of 3 classes"):
        loss_of(objective, setting.model, setting.x, setting.y)


def test_a_regression_has_numbers_as_targets():
    x, y = torch.randn((8, 2), generator=stream(0, "x")), torch.linspace(-1, 1, 8)
    model = nn.Linear(2, 1)
    model.weight.data, model.bias.data = torch.tensor([[1.0, -2.0]]), torch.zeros(1)
    errors = (x @ torch.tensor([1.0, -2.0]) - y).abs()
    attack = PGD(ball=Ball("linf", 0.1), loss="squared_error")
    for perturbation, largest in ((Identity(), errors), (attack, errors + 0.3)):
        objective = PerturbedRisk(perturbation=perturbation, loss="squared_error")
        torch.testing.assert_close(loss_of(objective, model, x, y), (largest.square() / 2).mean())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"label_smoothing": 0.1, "loss": "hinge"},
            "PerturbedRisk: label_smoothing needs the loss cross_entropy, got hinge.",
        ),
        (
            {"fold": Trades(), "loss": "hinge"},
            "PerturbedRisk: the fold Trades needs the loss cross_entropy, got hinge.",
        ),
        (
            {"fold": Consistency(), "mode": "two_pass"},
            "PerturbedRisk: mode two_pass needs the fold SoftMaximum or Mean without clean, got Consistency.",
        ),
    ],
    ids=str,
)
def test_fields_that_do_not_fit_each_other_are_refused(fields, sentence):
    with pytest.raises(InputError) as caught:
        PerturbedRisk(perturbation=Identity(), **fields)
    assert str(caught.value) == sentence


def test_fast_adversarial_training_is_one_signed_step_of_a_quarter_more_than_the_radius():
    """Wong, Rice, Kolter 2020, by hand; a start with a higher loss than the end of the step is kept instead."""
    x, y = torch.rand((16, 4), generator=stream(0, "x")), torch.arange(16) % 3
    space, ball, model = Space.like(x, box=(0.0, 1.0)), Ball("linf", 0.2), MLP(hidden=(8,)).build((4,), 3, seed=0)
    objective = PerturbedRisk(perturbation=PGD(ball=ball, steps=1, reach=1.25))
    start = ball.sample(x, space=space, num_draws=1, rng=stream(0, "a"))[0].requires_grad_(True)
    first = nn.functional.cross_entropy(model(start), y, reduction="none")
    step = 1.25 * 0.2 * torch.autograd.grad(first.sum(), start)[0].sign()
    moved = x + (start.detach() + step - x).clamp(-0.2, 0.2)
    last = nn.functional.cross_entropy(model(moved.clamp(0, 1)), y, reduction="none")
    assert (last > first).float().mean() > 0.8
    options = {"space": space, "state": nn.Module(), "count": 0, "rng": stream(0, "a")}
    torch.testing.assert_close(objective.step(model, x, y, **options).loss, torch.maximum(first, last).mean())
