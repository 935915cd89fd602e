"""Certificates are below the truth, and the truth is below what attacks leave."""

from itertools import pairwise, product

import pytest
import torch
from torch import nn

from withstand.certificates.certify import METHODS, Certifier, is_right, margins
from withstand.certificates.graph import trace
from withstand.data.space import Space
from withstand.data.tables.features import Features
from withstand.functional.changes import Change
from withstand.perturbations.ball import Ball

BALLS = [Ball("linf", 0.15), Ball("l2", 0.2), Ball("l1", 0.3), Ball("linf", (0.3, 0.0, 0.1))]
ACTIVATIONS = (nn.ReLU, nn.ReLU, nn.Tanh, nn.LeakyReLU, nn.GELU)


def certified(model, x, y, ball, space, *, method="complete", num_parts=400):
    certify = Certifier(trace(model, space.shape, who="Test"), model, ball, space, method, 10, num_parts)
    with torch.no_grad():
        return certify(x, y, is_right(model(x), y))


def network(seed, num_inputs=3, num_classes=3):
    """What builds a network: its weights are drawn when it is called, by the generator that is seeded then."""
    activation = ACTIVATIONS[seed % len(ACTIVATIONS)]

    def build():
        layers = [nn.Linear(num_inputs, 8), activation(), nn.Linear(8, 6), activation()]
        return nn.Sequential(*layers[: 2 + 2 * (seed % 2)], nn.Linear(8 if seed % 2 == 0 else 6, num_classes))

    return build


def check(model, x, ball, space, grid, *, sides=9):
    """Check that no sample is certified that a point breaks, and that a broken one is broken by its point."""
    y = model(x).argmax(1).detach()
    points = grid(x, ball, space=space, sides=sides, num_draws=100)
    with torch.no_grad():
        right = is_right(model(points.flatten(0, 1)), y.repeat(len(points))).view(len(points), -1).all(0)
        for method in METHODS:
            found = certified(model, x, y, ball, space, method=method)
            assert not (found.certified & ~right).any(), method
            assert not (found.certified & found.broken).any()
            assert not is_right(model(found.point[found.broken]), y[found.broken]).any()
            assert (ball.distance(x, found.point, space=space) <= 1 + 1e-5).all()
            assert ((found.method > 0) == (found.certified | found.broken)).all()
    return found


@pytest.mark.parametrize("seed", range(25))
def test_certified_is_below_the_truth_and_the_truth_below_what_a_search_leaves(seed, seeded, grid):
    _sound(seed, seeded, grid)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25, 200))
def test_it_is_so_for_many_networks(seed, seeded, grid):
    _sound(seed, seeded, grid)


def _sound(seed, seeded, grid):
    model = seeded(seed, network(seed))
    x = torch.rand(8, 3, generator=torch.Generator().manual_seed(seed))
    space = Space(shape=(3,), box=(0.0, 1.0) if seed % 3 else None)
    found = check(model, x, BALLS[seed % len(BALLS)], space, grid)
    # With three inputs almost all is decided.
    undecided = ~(found.certified | found.broken)
    assert undecided.sum() <= 2


def test_the_methods_certify_more_and_more(seeded):
    model = seeded(
        0, lambda: nn.Sequential(nn.Linear(4, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 3))
    )
    x, space = torch.rand(60, 4, generator=torch.Generator().manual_seed(0)), Space(shape=(4,))
    y = model(x).argmax(1)
    for ball in (Ball("linf", 0.12), Ball("l2", 0.2), Ball("l1", 0.3)):
        found = [certified(model, x, y, ball, space, method=each).certified for each in METHODS]
        for weaker, stronger in pairwise(found):
            assert not (weaker & ~stronger).any()
        assert found[0].sum() < found[1].sum() < found[3].sum()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_linear_networks_are_decided_as_the_closed_form_has_it(norm):
    rng = torch.Generator().manual_seed(0)
    layer = nn.Linear(20, 2)
    layer.weight.data, layer.bias.data = torch.randn(2, 20, generator=rng), torch.randn(2, generator=rng)
    model, x = nn.Sequential(layer), torch.randn(200, 20, generator=rng)
    logits = model(x).detach()
    y, distance = logits.argmax(1), (logits[:, 0] - logits[:, 1]).abs()
    weight = (layer.weight[0] - layer.weight[1]).detach()
    distance = distance / torch.linalg.vector_norm(weight, {"linf": 1, "l2": 2, "l1": torch.inf}[norm])
    radius = distance.median().item()
    found = certified(model, x, y, Ball(norm, radius), Space(shape=(20,)), method="crown")
    clear = (distance - radius).abs() > 1e-4 * radius
    assert torch.equal(found.certified[clear], (distance > radius)[clear])


def test_a_discrete_change_is_enumerated(seeded, grid):
    changes = (Change((0, 1), ((1.0, 0.0), (0.0, 1.0))), Change((2,), ((0.0,), (0.5,)), added=True))
    names, kinds = ("a=0", "a=1", "b", "c"), ("category", "category", "integer", "continuous")
    movable, ones = (False, False, False, True), (1.0,) * 4
    features = Features(names, ("a", "a", "b", "c"), kinds, movable, (0.0,) * 4, ones, ones, changes)
    space = Space(shape=(4,), features=features)
    rng = torch.Generator().manual_seed(0)
    one = torch.randint(0, 2, (40,), generator=rng)
    x = torch.stack([one.float(), 1 - one.float(), torch.rand(40, generator=rng), torch.rand(40, generator=rng)], 1)
    ball = Ball("linf", 0.2)
    for seed in range(4):
        model = seeded(seed, network(0, num_inputs=4))
        y = model(x).argmax(1).detach()
        right = torch.ones(40, dtype=torch.bool)
        for (first, second), step in product(changes[0].values, (0.0, 0.5)):
            for move in torch.linspace(-0.2, 0.2, 41):
                point = torch.stack(
                    [torch.full((40,), first), torch.full((40,), second), x[:, 2] + step, x[:, 3] + move], 1
                )
                right &= is_right(model(point), y)
        found = certified(model, x, y, ball, space)
        assert torch.equal(found.certified, ~found.broken)  # each sample is decided
        assert right[found.certified].all()
        # A wrong point may lie between those of the grid.
        assert not is_right(model(found.point), y)[found.broken].any()
        assert (ball.distance(x, found.point, space=space) <= 1 + 1e-5).all()


def test_a_network_that_answers_nan_certifies_nothing():
    layer = nn.Linear(2, 2)
    layer.bias.data = torch.tensor([torch.nan, 0.0])
    x, y = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)
    found = certified(nn.Sequential(layer), x, y, Ball("linf", 0.1), Space(shape=(2,)))
    assert not found.certified.any()
    certify = Certifier(trace(nn.Sequential(layer), (2,), who="T"), layer, Ball(), Space(shape=(2,)), "complete", 1, 10)
    with torch.no_grad():
        assert not certify(x, y, torch.ones(3, dtype=torch.bool)).certified.any()


def test_verdicts_do_not_depend_on_the_batch(seeded):
    model = seeded(3, network(0, num_inputs=4))
    x, space = torch.rand(30, 4, generator=torch.Generator().manual_seed(0)), Space(shape=(4,))
    y = model(x).argmax(1)
    whole = certified(model, x, y, Ball("linf", 0.1), space, num_parts=60)
    for part in torch.arange(30).split(7):
        found = certified(model, x[part], y[part], Ball("linf", 0.1), space, num_parts=60)
        assert torch.equal(found.certified, whole.certified[part])
        assert torch.equal(found.broken, whole.broken[part])
        assert torch.equal(found.method, whole.method[part])


def test_margins_are_those_of_the_label():
    logits = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0]])
    found = torch.einsum("bsk,bk->bs", margins(torch.tensor([0, 1]), 3), logits)
    assert found.tolist() == [[2.0, 1.0], [5.0, 4.0]]


def test_signs_are_searched_where_many_inputs_move(seeded, grid):
    decided = 0
    for seed in range(4):
        model = seeded(
            seed, lambda: nn.Sequential(nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 6), nn.ReLU(), nn.Linear(6, 3))
        )
        x, space = torch.rand(12, 12, generator=torch.Generator().manual_seed(seed)), Space(shape=(12,), box=(0.0, 1.0))
        ball = Ball(("linf", "l2", "l1", "linf")[seed], (0.3, 0.9, 2.0, 0.4)[seed])
        found = check(model, x, ball, space, grid)
        weaker = certified(model, x, model(x).argmax(1), ball, space, method="alpha_crown")
        assert not (weaker.certified & ~found.certified).any()
        decided += ((found.certified | found.broken) & ~weaker.certified).sum().item()
    assert decided >= 5
