"""What attacks find, against closed forms on linear models."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.losses import loss_per_sample
from withstand.functional.random import stream
from withstand.functional.risks import soft_maximum
from withstand.perturbations.attacks.langevin import Langevin
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.attacks.vertices import Vertices
from withstand.perturbations.ball import Ball
from withstand.perturbations.search.gradient import loss_and_gradient
from withstand.perturbations.sobol import Sobol
from withstand.perturbations.uniform import Uniform

FEATURES, CLASSES = 4, 3
X = torch.randn(6, FEATURES, generator=torch.Generator().manual_seed(0))
Y = torch.arange(6) % CLASSES
SPACE = Space(shape=(FEATURES,))


class Linear(nn.Module):
    """An affine function as the loss itself: `squared_error` and cross entropy cannot be, the hinge of one can."""

    def __init__(self, gradient: torch.Tensor, offset: float = 10.0) -> None:
        super().__init__()
        self.gradient, self.offset = gradient, offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # With two classes and label 0 the hinge is 1 + (the other's output) - (the own one), above 0 by the offset.
        value = x @ self.gradient + self.offset
        return torch.stack([torch.zeros_like(value), value - 1], dim=1)


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Linear(16, CLASSES)).eval()


def losses_of(model: nn.Module, inputs: torch.Tensor, y: torch.Tensor, loss="cross_entropy") -> torch.Tensor:
    with torch.no_grad():
        return loss_per_sample(model(inputs.flatten(0, 1)), y.repeat(len(inputs)), loss).view(len(inputs), -1)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_pgd_finds_the_highest_point_of_a_linear_loss(norm):
    gradient = torch.tensor([1.0, -2.0, 0.5, 3.0])
    model, ball = Linear(gradient), Ball(norm, 0.3)
    labels = torch.zeros(6, dtype=torch.int64)
    pgd = PGD(ball=ball, steps=40, reach=40.0, loss="hinge")
    found = pgd.draw(X, labels, model, space=SPACE, num_draws=2, rng=stream(0, "pgd"))
    dual = {"l1": torch.inf, "l2": 2, "linf": 1}[norm]
    wanted = losses_of(model, X[None], labels, "hinge") + 0.3 * torch.linalg.vector_norm(gradient, dual)
    assert_close(losses_of(model, found.inputs, labels, "hinge"), wanted.expand(2, -1), rtol=1e-4, atol=1e-4)
    if norm == "linf":
        assert_close(found.inputs[0], X + 0.3 * gradient.sign())


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_pgd_keeps_the_best_point_and_stays_in_the_ball(norm):
    model, ball = network(), Ball(norm, 0.5)
    start = ball.sample(X, space=SPACE, num_draws=3, rng=stream(0, "pgd"))
    found = PGD(ball=ball, steps=7).draw(X, Y, model, space=SPACE, num_draws=3, rng=stream(0, "pgd")).inputs
    assert (losses_of(model, found, Y) >= losses_of(model, start, Y) - 1e-6).all()
    for each in found:
        assert ball.distance(X, each, space=SPACE).max().item() <= 1 + 1e-5


def test_pgd_that_stops_when_wrong_is_wrong_where_the_whole_one_is():
    model, ball = network(), Ball("linf", 0.4)
    whole, short = (
        PGD(ball=ball, steps=15, until_wrong=early)
        .draw(X, Y, model, space=SPACE, num_draws=4, rng=stream(0, "x"))
        .inputs
        for early in (False, True)
    )
    wrong = [(model(each.flatten(0, 1)).argmax(1).view(4, -1) != Y).any(0) for each in (whole, short)]
    assert wrong[0].any()
    assert (wrong[1] >= wrong[0]).all()


def test_pgd_leaves_fixed_features_alone():
    ball = Ball("linf", (0.5, 0.0, 0.5, 0.0))
    for attack in (
        PGD(ball=ball),
        Uniform(ball=ball),
        Sobol(ball=ball),
        Tilted(ball=ball),
        Langevin(ball=ball),
        Vertices(ball=ball),
    ):
        inputs = attack.draw(X, Y, network(), space=SPACE, num_draws=3, rng=stream(0, "x")).inputs
        assert torch.equal(inputs[..., 1::2], X[:, 1::2].expand(3, -1, -1))
        assert (inputs[..., 0::2] != X[:, 0::2]).any()


def test_all_vertices_are_drawn_before_one_is_drawn_twice():
    vertices = Vertices(ball=Ball("linf", 0.5))
    assert vertices.count(X, space=SPACE) == 16
    inputs = vertices.draw(X, Y, nn.Identity(), space=SPACE, num_draws=16, rng=stream(0, "x")).inputs
    for row in range(6):
        relative = inputs[:, row] - X[row]
        assert_close(relative.abs(), torch.full_like(relative, 0.5))
        assert len(relative.sign().unique(dim=0)) == 16
    diamond = Vertices(ball=Ball("l1", (0.5, 0.0, 1.0, 1.0)))
    assert diamond.count(X, space=SPACE) == 6
    relative = diamond.draw(X, Y, nn.Identity(), space=SPACE, num_draws=6, rng=stream(0, "x")).inputs[:, 2] - X[2]
    assert_close(relative.abs().sum(0), torch.tensor([1.0, 0.0, 2.0, 2.0]))
    assert ((relative.abs() > 1e-6).sum(1) == 1).all()


def test_too_many_vertices_and_norms_without_any_are_refused():
    with pytest.raises(InputError, match=r"in 17 features has 2\^17 vertices; at most 16 features may move"):
        Vertices().draw(torch.zeros(2, 17), Y[:2], nn.Identity(), space=SPACE, num_draws=1, rng=stream(0, "x"))
    with pytest.raises(InputError, match="the ball must be linf or l1, got l2, which has none"):
        Vertices(ball=Ball("l2", 1.0))


def closed_form(base: torch.Tensor, slopes: torch.Tensor, temperature: float) -> torch.Tensor:
    """l0 + T sum log(sinh(g r / T) / (g r / T)), in 64 bits."""
    ratio = (slopes.double().abs() / temperature).clamp_min(1e-12)
    log_sinh = ratio - math.log(2) + torch.log1p(-(-2 * ratio).exp())
    return base.double() + temperature * (log_sinh - ratio.log()).sum()


@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.01, 1e-4])
def test_tilted_draws_give_the_closed_form_of_a_linear_loss(temperature):
    gradient, radius = torch.tensor([1.0, -2.0, 0.5, 0.0]), 0.3
    model, labels = Linear(gradient), torch.zeros(6, dtype=torch.int64)
    tilted = Tilted(ball=Ball("linf", radius), temperature=temperature, loss="hinge")
    draws = tilted.draw(X, labels, model, space=SPACE, num_draws=256, rng=stream(0, "tilted"))
    losses = losses_of(model, draws.inputs, labels, "hinge")
    found = soft_maximum(losses, temperature=temperature, log_weights=draws.log_weights)
    wanted = closed_form(losses_of(model, X[None], labels, "hinge")[0], gradient * radius, temperature)
    # The tilt is the exact law here: the only errors are the uniform part's share and rounding.
    assert_close(found.double(), wanted, rtol=0, atol=0.15 * temperature + 2e-5)
    assert (
        tilted.draw(X, labels, model, space=SPACE, num_draws=3, rng=stream(0, "x")).log_weights.max()
        <= math.log(3) + 1e-5
    )


def test_weights_of_tilted_draws_give_back_uniform_means():
    model, ball = network(), Ball("linf", 0.5)
    draws = Tilted(ball=ball, temperature=0.2).draw(X, Y, model, space=SPACE, num_draws=20000, rng=stream(0, "x"))
    weights = draws.log_weights.softmax(0)
    mean = (weights.unsqueeze(2) * (draws.inputs - X)).sum(0)
    square = (weights.unsqueeze(2) * (draws.inputs - X).square()).sum(0)
    assert mean.abs().max().item() < 0.03
    assert_close(square, torch.full_like(square, 0.25 / 3), rtol=0.1, atol=0)
    assert_close(draws.log_weights.exp().mean(0), torch.ones(6), rtol=0.05, atol=0)


def test_one_tilted_draw_is_uniform_or_tilted_by_chance():
    model, many = network(), X[:1].expand(4000, -1)
    labels = Y[:1].expand(4000)
    draws = Tilted(ball=Ball("linf", 0.5), temperature=0.2).draw(
        many, labels, model, space=SPACE, num_draws=1, rng=stream(0, "x")
    )
    weights = draws.log_weights[0].exp()
    assert weights.max() <= 8 + 1e-4
    assert weights.mean().item() == pytest.approx(1.0, abs=0.1)


def test_tilted_points_come_closer_to_the_smoothed_loss_than_many_more_uniform_ones():
    model, ball, temperature = network(), Ball("linf", 0.6), 0.003
    reference, few, uniform = (
        soft_maximum(losses_of(model, draws.inputs, Y), temperature=temperature, log_weights=draws.log_weights)
        for draws in (
            Tilted(ball=ball, temperature=temperature).draw(
                X, Y, model, space=SPACE, num_draws=40000, rng=stream(0, "r")
            ),
            Tilted(ball=ball, temperature=temperature).draw(X, Y, model, space=SPACE, num_draws=64, rng=stream(0, "t")),
            Uniform(ball=ball).draw(X, Y, model, space=SPACE, num_draws=4096, rng=stream(0, "u")),
        )
    )
    assert (few - reference).abs().mean() < (uniform - reference).abs().mean() / 2


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_langevin_chain_has_the_mean_of_its_law(norm):
    # On a linear loss in one dimension the law is the truncated exponential: mean coth(k) - 1 / k.
    slope, temperature, radius = 1.0, 0.25, 0.5
    k = slope * radius / temperature
    model = Linear(torch.tensor([slope]))
    x, labels = torch.zeros(3000, 1), torch.zeros(3000, dtype=torch.int64)
    chain = Langevin(ball=Ball(norm, radius), temperature=temperature, step=0.004, burn_in=600, loss="hinge")
    draws = chain.draw(x, labels, model, space=SPACE, num_draws=1, rng=stream(0, "chain"))
    wanted = radius * (1 / math.tanh(k) - 1 / k)
    # Projection puts a little mass onto the walls that reflection does not.
    assert draws.inputs.mean().item() == pytest.approx(wanted, abs=0.02 if norm == "linf" else 0.05)
    assert draws.inputs.abs().max().item() <= radius * (1 + 1e-6)


def test_the_gradient_of_langevin_draws_is_their_mean():
    model = network()
    draws = Langevin(ball=Ball("linf", 0.3), temperature=0.05).draw(
        X, Y, model, space=SPACE, num_draws=4, rng=stream(0, "x")
    )
    losses = loss_per_sample(model(draws.inputs.flatten(0, 1)), Y.repeat(4)).view(4, -1)
    folded = soft_maximum(losses, temperature=0.05, log_weights=draws.log_weights).mean()
    got = torch.autograd.grad(folded, model.parameters(), retain_graph=True)
    wanted = torch.autograd.grad(losses.mean(), model.parameters())
    for one, other in zip(got, wanted, strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_a_temperature_left_open_is_one_hundredth():
    ball, model = Ball("linf", 0.3), network()
    for attack in (Tilted(ball=ball), Langevin(ball=ball)):
        named = replace(attack, temperature=0.01)
        one, other = (each.draw(X, Y, model, space=SPACE, num_draws=2, rng=stream(0, "x")) for each in (attack, named))
        assert torch.equal(one.inputs, other.inputs)


def test_pgd_that_stops_when_wrong_keeps_that_point_though_one_before_has_a_higher_loss():
    class Step(nn.Module):
        """Label 0 barely wins among three up to 1/2, and barely loses to one other beyond."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            own = 0.05 - 0.02 * x
            before = torch.cat([own, torch.zeros_like(x), torch.zeros_like(x)], dim=1)
            behind = torch.cat([own, torch.full_like(x, 0.1), torch.full_like(x, -9.0)], dim=1)
            return torch.where(x < 0.5, before, behind)

    x, labels, model = torch.zeros(20, 1), torch.zeros(20, dtype=torch.int64), Step()
    pgd = PGD(ball=Ball("linf", 1.0), until_wrong=True)
    found = pgd.draw(x, labels, model, space=SPACE, num_draws=1, rng=stream(0, "x")).inputs[0]
    assert (model(found).argmax(1) == 1).all()


def test_pgd_that_stops_when_wrong_takes_radii_per_row():
    rows = tuple(map(tuple, torch.rand(6, FEATURES, generator=stream(0, "radii")).tolist()))
    ball, model = Ball("linf", rows), network()
    found = PGD(ball=ball, until_wrong=True).draw(X, Y, model, space=SPACE, num_draws=2, rng=stream(0, "x")).inputs
    for each in found:
        assert ball.distance(X, each, space=SPACE).max().item() <= 1 + 1e-5


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
@pytest.mark.parametrize("radius", [0.0, (0.0,) * FEATURES])
def test_a_ball_without_extent_leaves_every_point_where_it_is(norm, radius):
    ball = Ball(norm, radius)
    attacks = [PGD(ball=ball), Uniform(ball=ball), Sobol(ball=ball), Langevin(ball=ball)]
    attacks += [Tilted(ball=ball)] if norm == "linf" else []
    attacks += [Vertices(ball=ball)] if norm != "l2" else []
    for attack in attacks:
        for rows in (slice(0), slice(1), slice(None)):
            inputs = attack.draw(X[rows], Y[rows], network(), space=SPACE, num_draws=3, rng=stream(0, "x")).inputs
            assert torch.equal(inputs, X[rows].expand(3, -1, -1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_draws_keep_the_type_of_their_inputs(dtype):
    model, x = network().to(dtype), X.to(dtype)
    for attack in (PGD(), Uniform(), Sobol(), Langevin(), Tilted(), Vertices()):
        draws = attack.draw(x, Y, model, space=SPACE, num_draws=2, rng=stream(0, "x"))
        assert draws.inputs.dtype == dtype
        assert draws.log_weights is None or draws.log_weights.dtype in (torch.float32, torch.float64)


def test_more_features_than_sobol_sequences_have_are_refused():
    with pytest.raises(InputError, match="Sobol: at most 21,201 features may move, got 30,000; Uniform takes any"):
        Sobol().draw(torch.zeros(1, 30000), Y[:1], nn.Identity(), space=SPACE, num_draws=1, rng=stream(0, "x"))


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_the_scale_of_the_logits_does_not_stop_pgd(norm):
    # Cross entropy of confident logits is 0 in 32 bits, and so is its gradient.
    for scale in (1.0, 1e2, 1e4):
        model = nn.Linear(FEATURES, 2)
        with torch.no_grad():
            model.weight.copy_(scale * torch.tensor([[0.5, -1.0, 0.0, 0.0], [-0.5, 1.0, 0.0, 2.0]]))
            model.bias.copy_(scale * torch.tensor([6.0, 0.0]))
        x, labels, ball = X.clamp(-1, 1), torch.zeros(6, dtype=torch.int64), Ball(norm, 8.0)
        assert (model(x).argmax(1) == labels).all()
        for early in (False, True):
            found = PGD(ball=ball, steps=5, until_wrong=early).draw(
                x, labels, model, space=SPACE, num_draws=1, rng=stream(0, "x")
            )
            assert (model(found.inputs[0]).argmax(1) == 1).all()


def test_the_tilt_of_a_confident_network_is_towards_the_worst_corner():
    model = nn.Linear(FEATURES, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(60 * torch.tensor([[1.0, 0.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0]]))
    x, labels = torch.zeros(6, FEATURES), torch.zeros(6, dtype=torch.int64)
    x[:, 0] = 1.0
    draws = Tilted(ball=Ball("linf", 1.1)).draw(x, labels, model, space=SPACE, num_draws=16, rng=stream(0, "x"))
    assert (losses_of(model, draws.inputs, labels).amax(0) > 11.9).all()


def test_a_gradient_for_ascent_is_the_plain_one_where_the_label_leads_by_little():
    model = network()
    plain, steep = (loss_and_gradient(model, X, Y, "cross_entropy", steep=each) for each in (False, True))
    for one, other in zip(plain, steep, strict=True):
        assert torch.equal(one, other)


def test_a_langevin_chain_that_starts_where_the_loss_is_flat_reaches_its_law():
    # Cross entropy is nearly 0 at the inputs; from the border of the classes on it grows by 20 per unit and feature.
    model = nn.Linear(FEATURES, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[10.0] * FEATURES, [-10.0] * FEATURES]))
    x, labels, ball = torch.zeros(60, FEATURES), torch.zeros(60, dtype=torch.int64), Ball("linf", 0.5)
    x[:, 0] = 0.5
    chain = Langevin(ball=ball, temperature=0.1, burn_in=150)
    draws = chain.draw(x, labels, model, space=SPACE, num_draws=4, rng=stream(0, "x"))
    # The law's mean is the corner's 30 less a temperature for every feature; steps of a tenth of the radius take some.
    assert losses_of(model, draws.inputs, labels).mean().item() == pytest.approx(29.6, abs=3)


def test_an_l1_ball_may_have_any_number_of_vertices():
    x = torch.zeros(1, 40_000)
    vertices = Vertices(ball=Ball("l1", 0.5))
    assert vertices.count(x, space=SPACE) == 80_000
