"""Folds: values by closed forms and the published formulas, and what they are applied to."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div

from withstand.configuration import discover
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import stream
from withstand.objectives.folds.base import Fold, folded
from withstand.objectives.folds.consistency import Consistency
from withstand.objectives.folds.mean import Mean
from withstand.objectives.folds.soft_maximum import SoftMaximum
from withstand.objectives.folds.trades import Trades
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Draws
from withstand.perturbations.gaussian import Gaussian

X = torch.randn((5, 4), generator=stream(0, "x"))
Y = torch.tensor([0, 1, 2, 0, 1])
SPACE = Space(shape=(4,))


def network() -> nn.Module:
    model = nn.Linear(4, 3)
    torch.nn.init.normal_(model.weight, std=2.0, generator=stream(1, "w"))
    torch.nn.init.normal_(model.bias, generator=stream(2, "w"))
    return model


def losses(outputs, targets):
    return cross_entropy(outputs, targets, reduction="none")


def copies(num: int) -> torch.Tensor:
    return X + 0.5 * torch.randn((num, *X.shape), generator=stream(3, "x"))


def test_consistency_is_the_published_loss_of_augmix():
    model, draws = network(), copies(2)
    clean, one, two = (model(each).softmax(1) for each in (X, *draws))
    mixture = ((clean + one + two) / 3).clamp(1e-7, 1).log()
    divergence = sum(kl_div(mixture, each, reduction="batchmean") for each in (clean, one, two)) / 3
    expected = cross_entropy(model(X), Y) + 12 * divergence
    got = folded(Consistency(), model, X, Y, Draws(draws), loss=losses).mean()
    torch.testing.assert_close(got, expected)
    for mine, theirs in zip(
        torch.autograd.grad(got, list(model.parameters()), retain_graph=True),
        torch.autograd.grad(expected, list(model.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


def test_trades_is_the_published_loss():
    model, draws = network(), copies(1)
    robust = kl_div(model(draws[0]).log_softmax(1), model(X).softmax(1), reduction="sum") / len(X)
    expected = cross_entropy(model(X), Y) + 6 * robust
    got = folded(Trades(), model, X, Y, Draws(draws), loss=losses).mean()
    torch.testing.assert_close(got, expected)
    mine = torch.autograd.grad(got, list(model.parameters()), retain_graph=True)
    for own, theirs in zip(mine, torch.autograd.grad(expected, list(model.parameters())), strict=True):
        torch.testing.assert_close(own, theirs)


def test_the_mean_with_the_clean_input_is_that_of_a_doubled_batch():
    model, draws = network(), copies(1)
    expected = cross_entropy(model(torch.cat([X, draws[0]])), torch.cat([Y, Y]))
    torch.testing.assert_close(folded(Mean(clean=True), model, X, Y, Draws(draws), loss=losses).mean(), expected)


def test_the_mean_is_the_soft_maximum_of_infinite_temperature():
    model, draws = network(), Draws(copies(3), torch.randn((3, 5), generator=stream(4, "x")))
    one, other = (folded(each, model, X, Y, draws, loss=losses) for each in (Mean(), SoftMaximum(temperature=math.inf)))
    assert torch.equal(one, other)


@pytest.mark.parametrize("fold", [Mean(clean=True), Consistency(), Trades()], ids=repr)
def test_weighted_draws_count_like_repeated_ones(fold):
    model, draws = network(), copies(2)
    weights = torch.tensor([2.0, 1.0]).log()[:, None].expand(2, 5)
    weighted = fold.reduce(
        torch.stack([model(X), *(model(each) for each in draws)]), Y.expand(3, -1), loss=losses, log_weights=weights
    )
    shares = torch.tensor([2.0, 1.0]) / 3
    outputs = [model(each) for each in draws]
    if isinstance(fold, Trades):
        clean = model(X).log_softmax(1)
        own = [(clean.exp() * (clean - each.log_softmax(1))).sum(1) for each in outputs]
        expected = losses(model(X), Y) + fold.beta * (shares[0] * own[0] + shares[1] * own[1])
    elif isinstance(fold, Mean):
        own = [losses(each, Y) for each in outputs]
        expected = (losses(model(X), Y) + 2 * (shares[0] * own[0] + shares[1] * own[1])) / 3
    else:
        parts = [model(X).softmax(1), *(each.softmax(1) for each in outputs)]
        w = [1 / 3, *(2 / 3 * shares)]
        m = torch.stack([a * b for a, b in zip(w, parts, strict=True)]).sum(0)
        expected = losses(model(X), Y) + fold.weight * sum(
            a * (b * (b.log() - m.log())).sum(1) for a, b in zip(w, parts, strict=True)
        )
    torch.testing.assert_close(weighted, expected)


@pytest.mark.parametrize("fold", [each for cls in discover(Fold) for each in cls.examples()], ids=repr)
def test_samples_are_folded_one_by_one(fold):
    model, draws = network(), copies(2)
    whole = folded(fold, model, X, Y, Draws(draws), loss=losses)
    alone = [folded(fold, model, X[i : i + 1], Y[i : i + 1], Draws(draws[:, i : i + 1]), loss=losses) for i in range(5)]
    torch.testing.assert_close(whole, torch.cat(alone))


@pytest.mark.parametrize("fold", [each for cls in discover(Fold) for each in cls.examples()], ids=repr)
def test_mixed_targets_apply_to_the_copies_alone(fold):
    model, draws = network(), copies(2)
    mixed = torch.rand((2, 5, 3), generator=stream(5, "x")).softmax(2)
    seen = []

    def loss(outputs, targets):
        seen.append(targets)
        return losses(outputs, targets)

    folded(fold, model, X, Y, Draws(draws, targets=mixed), loss=loss)
    if fold.takes_clean:
        torch.testing.assert_close(seen[0][:5], nn.functional.one_hot(Y, 3).float())
    else:
        torch.testing.assert_close(seen[0], mixed.flatten(0, 1))


def test_the_divergence_is_climbed_away_from_the_clean_answer():
    model, attack = network(), PGD(ball=Ball("linf", 0.3), steps=20, loss="divergence")
    clean = model(X).log_softmax(1)

    def divergence(points):
        return (clean.exp() * (clean - model(points).log_softmax(1))).sum(1)

    found = attack.draw(X, Y, model, space=SPACE, num_draws=16, rng=stream(0, "a")).inputs
    corners = torch.cartesian_prod(*[torch.tensor([-0.3, 0.3])] * 4)
    best = torch.stack([divergence(X + corner) for corner in corners]).amax(0)
    assert (torch.stack([divergence(each) for each in found]).amax(0) >= 0.98 * best).all()
    other = attack.draw(X, (Y + 1) % 3, model, space=SPACE, num_draws=16, rng=stream(0, "a")).inputs
    assert torch.equal(found, other)  # labels do not matter


def test_perturbations_take_the_temperature_of_the_fold_or_none():
    for fold, temperature in ((SoftMaximum(temperature=0.5), 0.5), (Consistency(), math.inf), (Trades(), math.inf)):
        assert fold.as_temperature in (temperature, None)
    objective = PerturbedRisk(perturbation=Gaussian(std=0.1), num_draws=2, fold=Consistency())
    loss = objective.step(network(), X, Y, space=SPACE, state=nn.Module(), count=0, rng=stream(0, "x")).loss
    assert loss.isfinite()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"temperature": math.inf, "last_temperature": 1.0}, "SoftMaximum: cooling needs finite temperatures"),
        ({"last_temperature": math.inf, "cooling": "linear"}, "SoftMaximum: cooling needs finite temperatures"),
        ({"last_temperature": 0.0}, "SoftMaximum: log_linear cooling needs temperatures > 0"),
    ],
)
def test_impossible_coolings_are_refused(fields, sentence):
    with pytest.raises(InputError, match=sentence):
        SoftMaximum(**fields)


@pytest.mark.parametrize("num_draws", [1, 2, 3])
def test_doubles_keep_their_precision(num_draws):
    outputs = torch.randn((num_draws + 1, 5, 3), dtype=torch.float64, generator=stream(4, "x"))
    targets, logs = Y.expand(num_draws + 1, -1), outputs.log_softmax(2)
    clean = losses(outputs[0], Y)
    mixture = logs.exp().mean(0).log()
    jensen_shannon = (logs.exp() * (logs - mixture)).sum(2).mean(0)
    divergence = (logs[0].exp() * (logs[0] - logs[1:])).sum(2).mean(0)
    for fold, expected in ((Consistency(), clean + 12 * jensen_shannon), (Trades(), clean + 6 * divergence)):
        torch.testing.assert_close(fold.reduce(outputs, targets, loss=losses), expected, rtol=1e-13, atol=1e-13)
