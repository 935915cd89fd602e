"""Adversarial training of the smoothed model."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from withstand.data.space import Space
from withstand.data.tables.features import Features
from withstand.errors import InputError
from withstand.functional.random import BatchStream, branches, normal, stream
from withstand.models.mlp import MLP
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.objectives.smooth_adv import SmoothAdv, Smoothed
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.ball import Ball

X, Y = torch.rand((12, 5), generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3
SPACE = Space(shape=(5,), box=(0.0, 1.0))


class Recording(nn.Module):
    """Keeps what passes in training mode."""

    def __init__(self):
        super().__init__()
        self.network, self.seen = MLP(hidden=(8,)).build((5,), 3, seed=0), []

    def forward(self, x):
        if self.training:
            self.seen.append(x.detach())
        return self.network(x)


def step(objective, model, *, space=SPACE, rng=None, x=X, y=Y, **options):
    rng = rng or stream(0, "x")
    return objective.step(model, x, y, space=space, state=nn.Module(), count=0, rng=rng, **options).loss


def gradient(loss, model):
    return torch.cat([each.flatten() for each in torch.autograd.grad(loss, list(model.parameters()))])


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_with_one_vector_of_no_noise_it_is_adversarial_training(norm):
    ball, model, other = Ball(norm, 0.3), Recording(), Recording()
    loss = step(SmoothAdv(std=1e-12, num_draws=1, ball=ball, steps=4, reach=2.0), model)
    attack = PGD(ball=ball, steps=4, reach=2.0)
    expected = step(PerturbedRisk(perturbation=attack), other, rng=branches(stream(0, "x"))(1))
    torch.testing.assert_close(model.seen[0], other.seen[0])
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient(loss, model), gradient(expected, other))


def test_one_step_on_a_linear_model_by_hand():
    """From the best of the start and one step along the gradient of -log of the mean probability, by hand."""
    weights = torch.randn((5, 3), generator=torch.Generator().manual_seed(1))
    model = nn.Linear(5, 3, bias=False)
    with torch.no_grad():
        model.weight.copy_(weights.T)
    objective = SmoothAdv(std=0.4, num_draws=3, ball=Ball("l2", 0.2), steps=1, reach=1.0)
    loss = step(objective, model)
    branch = branches(stream(0, "x"))
    noise = 0.4 * normal((12, 3, 5), rng=branch(0), device="cpu")
    start = Ball("l2", 0.2).sample(X, space=SPACE, num_draws=1, rng=branch(1))[0]
    total = 0.0
    for x, y, vectors, first in zip(X, Y, noise, start, strict=True):

        def of_smoothed(point, vectors=vectors, y=y):
            probabilities = [((point + each) @ weights).softmax(0)[y] for each in vectors]
            return -torch.stack(probabilities).mean().log()

        point = first.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(of_smoothed(point), point)
        moved = first + 0.2 * slope / slope.norm() - x
        moved = (x + moved * min(1.0, 0.2 / moved.norm().item())).clamp(0, 1)
        best = moved if of_smoothed(moved) > of_smoothed(first) else first
        total += sum(cross_entropy(((best + each) @ weights)[None], y[None]).item() for each in vectors) / 3
    assert loss.item() == pytest.approx(total / 12, rel=1e-5)


def test_the_smoothed_model_is_the_mean_of_probabilities():
    model, noise = MLP(hidden=(8,)).build((5,), 3, seed=0), torch.randn(4, 12, 5)
    expected = torch.stack([model(X + each).softmax(1) for each in noise]).mean(0)
    torch.testing.assert_close(Smoothed(model, noise)(X).exp(), expected)


def test_noise_leaves_the_box_but_the_attacked_points_do_not():
    model = Recording()
    step(SmoothAdv(std=1.0, num_draws=8, ball=Ball("l2", 0.5)), model)
    (seen,) = model.seen
    noise = normal((12, 8, 5), rng=branches(stream(0, "x"))(0), device="cpu").movedim(1, 0)
    points = seen.view(8, 12, 5) - noise
    torch.testing.assert_close(points, points[:1].expand_as(points))
    assert ((points >= -1e-5) & (points <= 1 + 1e-5)).all()
    assert ((points[0] - X).norm(dim=1) <= 0.5 + 1e-5).all()
    assert (points[0] - X).norm(dim=1).min() > 0.1
    outside = ((seen < 0) | (seen > 1)).float().mean().item()
    assert outside > 0.3


def test_with_radius_0_it_is_noise_training_without_clipping():
    model = Recording()
    loss = step(SmoothAdv(std=0.7, num_draws=2, ball=Ball("l2", 0.0)), model)
    noise = 0.7 * normal((12, 2, 5), rng=branches(stream(0, "x"))(0), device="cpu").movedim(1, 0)
    expected = torch.stack([cross_entropy(model(X + each), Y) for each in noise]).mean()
    torch.testing.assert_close(loss, expected)


def test_processes_that_share_a_batch_have_the_noise_and_gradient_of_one():
    model = MLP(hidden=(8,)).build((5,), 3, seed=0)

    def part(start, stop):
        rng = BatchStream(lambda: stream(0, "x"), start=start, stop=stop, total=12)
        return gradient(step(SmoothAdv(), model, rng=rng, x=X[start:stop], y=Y[start:stop]), model)

    torch.testing.assert_close((part(0, 5) * 5 + part(5, 12) * 7) / 12, part(0, 12))


def test_features_of_a_table_that_may_not_move_get_no_noise_and_the_unit_counts():
    features = Features(
        names=tuple("abcde"),
        columns=tuple("abcde"),
        kinds=("continuous",) * 5,
        movable=(True, True, True, True, False),
        offset=(0.0,) * 5,
        scale=(1.0, 10.0, 1.0, 1.0, 1.0),
        iqr=(1.0,) * 5,
    )
    space, model = Space(shape=(5,), features=features), Recording()
    step(SmoothAdv(std=0.5, num_draws=400, ball=Ball("l2", 0.0, unit="raw")), model, space=space)
    spread = (model.seen[0].view(400, 12, 5) - X).std((0, 1))
    torch.testing.assert_close(spread, torch.tensor([0.5, 0.05, 0.5, 0.5, 0.0]), rtol=0.05, atol=1e-3)


def test_weights_count_and_a_ball_that_does_not_fit_is_refused():
    model, weight = MLP(hidden=(8,)).build((5,), 3, seed=0), torch.zeros(12)
    assert step(SmoothAdv(), model, weight=weight).item() == 0
    with pytest.raises(InputError, match="unit"):
        SmoothAdv(ball=Ball("l2", 0.1, unit="iqr")).check(SPACE)


def test_confident_networks_keep_finite_losses_and_gradients():
    model = nn.Linear(5, 3)
    with torch.no_grad():
        model.weight.mul_(1e4)
    loss = step(SmoothAdv(std=1e-3), model)
    assert math.isfinite(loss.item())
    assert gradient(loss, model).isfinite().all()
