import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector

from withstand.data.sample import Sample
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import stream
from withstand.objectives.adversarial_noise import AdversarialNoise, radius_for

SPACE = Space(shape=(3, 8, 8), box=(0.0, 1.0))


class Watched(nn.Module):
    """A classifier that keeps what it is given in training."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weights = nn.Parameter(torch.randn((3 * 8 * 8, 4), generator=generator) / 4)
        self.norm = nn.BatchNorm1d(4)
        self.seen = []

    def forward(self, x):
        if self.training:
            self.seen.append(x.detach().clone())
        return self.norm(x.flatten(1) @ self.weights)


def batch(size=40):
    generator = torch.Generator().manual_seed(1)
    return torch.rand((size, 3, 8, 8), generator=generator), torch.arange(size) % 4


def game(**fields):
    objective = AdversarialNoise(radius=2.0, lr=0.05, restart_lr=0.05, restart_steps=3, **fields)
    x, y = batch()
    model = Watched()
    return objective, model, x, y, objective.init(x[:1], model=model, rng=stream(0, "init"))


def endless(x, y):
    number = 0
    while True:
        yield Sample(x, y, torch.arange(len(x))), stream(9, "more", number)
        number += 1


def vector(state):
    return parameters_to_vector(state.generator.parameters()).detach().clone()


def moved_by(mixed, x):
    return (mixed - x).flatten(1).norm(dim=1)


def test_the_clean_share_is_untouched_and_every_noisy_image_has_moved_by_the_radius():
    objective, model, x, y, state = game(clean_share=0.5)
    before, labels = x.clone(), y.clone()
    objective.step(model, x, y, space=SPACE, state=state, count=0, rng=stream(0, "a"))
    assert torch.equal(x, before)
    assert torch.equal(y, labels)
    distances = moved_by(model.seen[0], x)
    assert (distances == 0).sum() == 20
    torch.testing.assert_close(distances[distances > 0], torch.full((20,), 2.0), rtol=1e-4, atol=0)
    assert model.seen[0].min() >= 0
    assert model.seen[0].max() <= 1


def test_the_noise_in_the_batch_is_that_of_the_trained_generator():
    objective, model, x, y, state = game()
    untrained = copy.deepcopy(state)
    start = vector(state)
    objective.step(model, x, y, space=SPACE, state=state, count=0, rng=stream(0, "a"))
    assert not torch.equal(vector(state), start)
    # The same source, so the same rows and normal numbers: only the generator differs.
    with_trained = objective.mix(model, x, y, space=SPACE, state=state, rng=stream(0, "b")).inputs[0]
    with_untrained = objective.mix(model, x, y, space=SPACE, state=untrained, rng=stream(0, "b")).inputs[0]
    noisy = moved_by(with_trained, x) > 0
    assert torch.equal(noisy, moved_by(with_untrained, x) > 0)
    assert torch.equal(with_trained[~noisy], with_untrained[~noisy])
    assert (with_trained[noisy] != with_untrained[noisy]).flatten(1).any(1).all()


def test_the_generator_learns_to_raise_the_loss_and_the_classifier_stays_as_it_was():
    objective, model, x, y, state = game()
    state.optimizer = torch.optim.Adam(state.generator.parameters(), lr=0.05)
    kept = copy.deepcopy(model.state_dict())
    modes = [each.training for each in model.modules()]
    losses = [
        objective.attack(model, x, y, space=SPACE, state=state, rng=stream(0, "attack", step)).item()
        for step in range(60)
    ]
    assert sum(losses[-5:]) > 1.05 * sum(losses[:5])
    assert all(torch.equal(each, kept[name]) for name, each in model.state_dict().items())
    assert [each.training for each in model.modules()] == modes
    assert all(each.requires_grad and each.grad is None for each in model.parameters())


def test_a_weight_of_zero_counts_as_no_sample():
    objective, model, x, y, state = game()
    state.optimizer.param_groups[0]["lr"] = 0.0
    other, weight = copy.deepcopy(state), (torch.arange(40) < 30).float()
    model.eval()
    options = {"space": SPACE, "state": state}
    weighted = objective.attack(model, x, y, weight=weight, rng=stream(0, "a"), **options)
    # Of two sources the first draws the same normal numbers for the rows that both have.
    fewer = objective.attack(model, x[:30], y[:30], rng=stream(0, "a"), **options)
    torch.testing.assert_close(weighted * 40, fewer * 30)
    twice = objective.step(model, x, y, weight=torch.full((40,), 2.0), count=0, rng=stream(0, "b"), **options)
    once = objective.step(model, x, y, space=SPACE, state=other, count=0, rng=stream(0, "b"))
    torch.testing.assert_close(twice.loss, 2 * once.loss)


def test_earlier_generators_make_their_share_of_the_noise():
    objective, model, x, y, state = game(replay_share=0.4, num_replayed=2)
    zero = torch.zeros_like(vector(state))
    without_past = objective.mix(model, x, y, space=SPACE, state=state, rng=stream(0, "a")).inputs[0]
    assert (moved_by(without_past, x) > 0).sum() == 20
    # Two earlier generators that always say the same, told apart by a bias: brighter, and darker.
    brighter, darker = zero.clone(), zero.clone()
    brighter[-3:], darker[-3:] = 1000.0, -1000.0
    state.past = [brighter, darker]
    mixed = objective.mix(model, x, y, space=SPACE, state=state, rng=stream(0, "a")).inputs[0]
    change = (mixed - x).flatten(1)
    assert ((change >= 0).all(1) & (change > 0).any(1)).sum() == 8
    assert ((change <= 0).all(1) & (change < 0).any(1)).sum() == 8
    assert (change == 0).all(1).sum() == 20
    assert ((change > 0).any(1) & (change < 0).any(1)).sum() == 4


def test_an_epoch_begins_with_a_fresh_trained_generator_and_remembers_the_old_one():
    objective, model, x, y, state = game()
    objective.begin_epoch(model, endless(x, y), space=SPACE, state=state, epoch=0, epochs=2, rng=stream(0, "epoch", 0))
    assert state.past == []
    objective.step(model, x, y, space=SPACE, state=state, count=0, rng=stream(0, "a"))
    old = vector(state)
    objective.begin_epoch(model, endless(x, y), space=SPACE, state=state, epoch=1, epochs=2, rng=stream(0, "epoch", 1))
    assert len(state.past) == 1
    assert torch.equal(state.past[0], old)
    fresh = vector(state)
    assert not torch.equal(fresh, old)
    assert (fresh.abs().max() - 0.05 * 3).abs() < 0.1  # three steps of 0.05 from weights near 0
    assert state.optimizer.param_groups[0]["lr"] == 0.05


@pytest.mark.parametrize(("keep", "expected"), [("newest", [3.0, 4.0]), ("reservoir", None)])
def test_the_store_is_bounded(keep, expected):
    objective, _, _, _, state = game(capacity=2, keep=keep)
    for number in range(5):
        with torch.no_grad():
            for each in state.generator.parameters():
                each.fill_(float(number))
        objective._remember(state, stream(0, "epoch", number))
    values = [each[0].item() for each in state.past]
    assert len(values) == 2
    assert state.seen == 5
    assert values == expected if expected else len(set(values)) == 2


def test_a_reservoir_keeps_every_generator_with_the_same_chance():
    objective, _, _, _, state = game(capacity=2, keep="reservoir")
    counts = torch.zeros(5)
    for trial in range(300):
        state.past, state.seen = [], 0
        for number in range(5):
            with torch.no_grad():
                for each in state.generator.parameters():
                    each.fill_(float(number))
            objective._remember(state, stream(trial, "epoch", number))
        for each in state.past:
            counts[int(each[0])] += 1
    assert ((counts / 300 - 0.4).abs() < 0.1).all()


def test_radius():
    assert radius_for(2.5, (8,)) == 2.5
    assert radius_for(None, (3, 224, 224)) == 135.0
    assert radius_for(None, (3, 32, 32)) == pytest.approx(135 * (3072 / 150528) ** 0.5)
    with pytest.raises(InputError, match=r"inputs of shape \(8,\) need a radius"):
        AdversarialNoise().check(Space(shape=(8,)))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"clean_share": 0.8, "replay_share": 0.2}, r"clean_share .* replay_share must be below 1, got 0.8 .* 0.2"),
        ({"clean_share": -0.1}, "clean_share must be at least 0 and below 1, got -0.1"),
    ],
)
def test_what_cannot_be_is_refused(fields, sentence):
    with pytest.raises(InputError, match=sentence):
        AdversarialNoise(**fields)
