from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from withstand.data.space import Space
from withstand.functional.losses import loss_per_sample
from withstand.functional.random import BatchStream, stream
from withstand.functional.risks import soft_maximum, weights_of_draws
from withstand.objectives.folds.soft_maximum import SoftMaximum
from withstand.objectives.perturbed_risk import PerturbedRisk, Progress
from withstand.objectives.two_passes import resample
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.uniform import Uniform

X = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(7) % 3
SPACE = Space(shape=(4,))
UNIFORM = Uniform(ball=Ball("linf", 0.5))


def network(dropout: float = 0.0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 3))


def loss_of(objective: PerturbedRisk, model: nn.Module, name: str = "x", x=X, y=Y) -> torch.Tensor:
    state = objective.init(x, model=model, rng=stream(0, "init"))
    return objective.step(model, x, y, space=SPACE, state=state, count=0, rng=stream(0, name)).loss


def gradient_of(loss: torch.Tensor, model: nn.Module) -> torch.Tensor:
    return torch.cat([each.flatten() for each in torch.autograd.grad(loss, list(model.parameters()))])


def on_the_same_draws(objective: PerturbedRisk, model: nn.Module, name: str = "x") -> torch.Tensor:
    """Compute the loss on the draws of a two-pass objective at once, with the plain graph."""
    from withstand.functional.random import branches

    branch = branches(stream(0, name))
    some = min(objective.num_draws, max(1, objective.points_at_once // len(X)))
    starts = range(0, objective.num_draws, some)
    parts = [
        objective.perturbation.draw(
            X, Y, model, space=SPACE, num_draws=min(some, objective.num_draws - start), rng=branch(number)
        )
        for number, start in enumerate(starts)
    ]
    inputs = torch.cat([each.inputs for each in parts])
    weights = None if parts[0].log_weights is None else torch.cat([each.log_weights for each in parts])
    losses = loss_per_sample(model(inputs.flatten(0, 1)), Y.repeat(len(inputs)), objective.loss).view(len(inputs), -1)
    return soft_maximum(losses, temperature=objective.fold.temperature, log_weights=weights).mean()


@pytest.mark.parametrize("temperature", [0.0, 1e-3, 0.1, 10.0, float("inf")])
@pytest.mark.parametrize("loss", ["cross_entropy", "hinge", "binary_cross_entropy"])
def test_two_passes_that_leave_nothing_out_equal_one(temperature, loss):
    model = network()
    objective = PerturbedRisk(
        perturbation=UNIFORM,
        num_draws=33,
        fold=SoftMaximum(temperature=temperature),
        loss=loss,
        mode="two_pass",
        tolerance=0.0,
        points_at_once=40,
    )
    got, wanted = loss_of(objective, model), on_the_same_draws(objective, model)
    assert_close(got, wanted)
    assert_close(gradient_of(got, model), gradient_of(wanted, model), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("temperature", [1e-3, 0.1, 1.0])
def test_weighted_draws_and_a_tolerance_stay_near_the_whole(temperature):
    model = network()
    objective = PerturbedRisk(
        perturbation=Tilted(ball=Ball("linf", 0.5), temperature=temperature),
        num_draws=64,
        fold=SoftMaximum(temperature=temperature),
        mode="two_pass",
        tolerance=1e-3,
        points_at_once=100,
    )
    got, wanted = loss_of(objective, model), on_the_same_draws(objective, model)
    assert_close(got, wanted)
    one, other = gradient_of(got, model), gradient_of(wanted, model)
    assert (one - other).norm() <= 5e-3 * other.norm()


@pytest.mark.slow
def test_resampling_is_right_on_average():
    model = network()
    objective = PerturbedRisk(
        perturbation=UNIFORM,
        num_draws=40,
        fold=SoftMaximum(temperature=0.05),
        mode="resampled",
        num_kept=3,
        points_at_once=70,
    )
    wanted, names = torch.zeros(()), [str(number) for number in range(400)]
    found = torch.zeros(())
    for name in names:
        loss = loss_of(objective, model, name)
        whole = on_the_same_draws(objective, model, name)
        assert_close(loss, whole)
        found = found + gradient_of(loss, model)
        wanted = wanted + gradient_of(whole, model)
    assert ((found - wanted).norm() / wanted.norm()).item() < 0.02


def test_draws_are_taken_as_often_as_their_weights_say():
    weights = torch.rand(50, 6, generator=stream(0, "w")) ** 4
    weights = weights / weights.sum(0)
    total = torch.zeros_like(weights)
    for number in range(2000):
        counts = resample(weights, 5, torch.full((6, 1), number / 2000))
        assert (counts.sum(0) == 5).all()
        assert ((counts - 5 * weights).abs() < 1 + 1e-5).all()
        total += counts
    assert_close(total / 2000, 5 * weights, rtol=0, atol=2e-3)


def test_weights_of_draws_are_the_derivative():
    losses = torch.randn(9, 4, dtype=torch.float64, generator=stream(0, "l")).requires_grad_(True)
    log_weights = torch.randn(9, 4, dtype=torch.float64, generator=stream(0, "m"))
    for temperature in (0.0, 0.01, 1.0, float("inf")):
        value = soft_maximum(losses, temperature=temperature, log_weights=log_weights)
        (wanted,) = torch.autograd.grad(value.sum(), losses)
        got = weights_of_draws(losses.detach(), temperature=temperature, log_weights=log_weights)
        assert_close(got, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("perturbation", [UNIFORM, Tilted(ball=UNIFORM.ball), PGD(ball=UNIFORM.ball, steps=2)])
def test_many_points_are_computed_piece_by_piece_with_the_same_gradient(perturbation, monkeypatch):
    model = network()
    fields = {
        "perturbation": perturbation,
        "num_draws": 60,
        "fold": SoftMaximum(temperature=1.0),
        "mode": "two_pass",
        "tolerance": 0.0,
    }
    for size in (7, 70, 70_000):
        objective = PerturbedRisk(**fields, points_at_once=size)
        monkeypatch.setattr("withstand.objectives.two_passes.PIECES_KEPT", 10_000)
        whole = loss_of(objective, model)
        monkeypatch.setattr("withstand.objectives.two_passes.PIECES_KEPT", 0)
        pieces = loss_of(objective, model)
        assert_close(pieces, whole)
        gradient = gradient_of(pieces, model)
        assert_close(gradient, gradient_of(whole, model), rtol=1e-4, atol=1e-6)
        if perturbation is UNIFORM:
            wanted = on_the_same_draws(objective, model)
            assert_close(gradient, gradient_of(wanted, model), rtol=1e-4, atol=1e-6)


def test_when_memory_runs_out_fewer_points_are_computed_at_once():
    class Small(nn.Module):
        """A network that has room for so many points only."""

        def __init__(self, most: int) -> None:
            super().__init__()
            self.inner, self.largest, self.most = network(), 0, most

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > self.most:
                raise torch.OutOfMemoryError("no room")
            self.largest = max(self.largest, len(x))
            return self.inner(x)

    for mode in ("two_pass", "resampled"):
        model = Small(30)
        objective = PerturbedRisk(
            perturbation=UNIFORM, num_draws=16, fold=SoftMaximum(temperature=0.1), mode=mode, points_at_once=112
        )
        loss, whole = loss_of(objective, model), loss_of(objective, Small(1000))
        gradient = gradient_of(loss, model)
        assert 14 < model.largest <= 30
        # The draws are those that there would have been with more memory.
        assert_close(loss, whole)
        assert_close(gradient, gradient_of(loss_of(objective, model.inner), model.inner), rtol=1e-4, atol=1e-6)
    with pytest.raises(torch.OutOfMemoryError):
        loss_of(objective, Small(0))


def test_two_processes_draw_what_one_draws():
    @dataclass(frozen=True, kw_only=True)
    class Keep(Perturbation):
        """Adds uniform numbers, and remembers what came out."""

        def draw(self, x, y, model, **options):
            draws = UNIFORM.draw(x, y, model, **options)
            seen.append(draws.inputs)
            return draws

        @classmethod
        def examples(cls):
            return []

    model, runs = network(), []
    # Several pieces, whose size goes by the whole batch.
    objective = PerturbedRisk(perturbation=Keep(), num_draws=40, mode="resampled", num_kept=2, points_at_once=100)
    for start, stop in ((0, 7), (0, 3), (3, 7)):
        seen: list[torch.Tensor] = []
        rng = BatchStream(lambda: stream(0, "x"), start=start, stop=stop, total=7)
        objective.step(model, X[start:stop], Y[start:stop], space=SPACE, state=nn.Module(), count=0, rng=rng)
        assert [len(each) for each in seen[:3]] == [14, 14, 12]
        runs.append(torch.cat(seen[:3]))
    assert torch.equal(torch.cat(runs[1:], dim=1), runs[0])


def test_the_temperature_falls_by_the_epoch():
    linear = PerturbedRisk(fold=SoftMaximum(temperature=1.0, last_temperature=0.0, cooling="linear"))
    assert [linear.fold.at(epoch / 4).temperature for epoch in range(5)] == [1.0, 0.75, 0.5, 0.25, 0.0]
    by_factors = PerturbedRisk(fold=SoftMaximum(temperature=1.0, last_temperature=1e-4))
    assert [by_factors.fold.at(epoch / 4).temperature for epoch in range(5)] == pytest.approx(
        [1, 0.1, 0.01, 1e-3, 1e-4]
    )
    state = by_factors.init(X, model=network(), rng=stream(0, "x"))
    assert isinstance(state, Progress)
    by_factors.begin_epoch(network(), iter(()), space=SPACE, state=state, epoch=4, epochs=5, rng=stream(0, "x"))
    other = by_factors.init(X, model=network(), rng=stream(0, "x"))
    other.load_state_dict(state.state_dict())
    assert other.share == 1.0


def test_draws_take_the_temperature_of_the_epoch():
    model, ball = network(), Ball("linf", 0.5)
    objective = PerturbedRisk(
        perturbation=Tilted(ball=ball), num_draws=8, fold=SoftMaximum(temperature=1.0, last_temperature=0.01)
    )
    state = objective.init(X, model=model, rng=stream(0, "x"))
    objective.begin_epoch(model, iter(()), space=SPACE, state=state, epoch=1, epochs=2, rng=stream(0, "x"))
    got = objective.step(model, X, Y, space=SPACE, state=state, count=0, rng=stream(0, "x")).loss
    named = PerturbedRisk(
        perturbation=Tilted(ball=ball, temperature=0.01), num_draws=8, fold=SoftMaximum(temperature=0.01)
    )
    assert torch.equal(got, loss_of(named, model))


def test_a_model_with_dropout_is_measured_without_and_trained_with_it():
    model = network(dropout=0.9)
    objective = PerturbedRisk(perturbation=UNIFORM, num_draws=12, mode="two_pass", tolerance=0.0)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        one = loss_of(objective, model)
        other = loss_of(objective, model)
    assert torch.equal(one.detach(), other.detach())
    assert not torch.equal(gradient_of(one, model), gradient_of(other, model))
