import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from withstand.data.base import TensorSplit
from withstand.data.space import Space
from withstand.data.tables.features import Features
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.worst_case import WorstCase
from withstand.functional.changes import Change
from withstand.functional.random import RowStreams, stream
from withstand.perturbations.attacks.langevin import Langevin
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.attacks.vertices import Vertices
from withstand.perturbations.ball import Ball
from withstand.perturbations.sobol import Sobol
from withstand.perturbations.uniform import Uniform

# Inputs 0 and 1 are measured, 2 to 4 are the levels of a category of which the first two may be exchanged, 5 is counted.
EXCHANGE = Change((2, 3), ((1.0, 0.0), (0.0, 1.0)))
STEPS = Change((5,), ((0.0,), (-0.5,), (0.5,)), added=True)
LINEAR = torch.tensor([[0.3, -0.4, 0.2, 0.9, 0.1, -0.8]])
X = torch.tensor(
    [
        [0.1, 0.2, 1.0, 0.0, 0.0, 1.0],
        [0.3, -0.2, 0.0, 1.0, 0.0, -1.0],
        [-0.5, 0.7, 0.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 2.0],
    ]
)
Y = torch.zeros(4, dtype=torch.int64)


def space_of(*changes, movable=(True, True, False, False, False, False), scale=None, box=None):
    """Return the space of a table with these changes."""
    names = tuple(f"x{number}" for number in range(len(movable)))
    ones = (1.0,) * len(movable)
    known = Features(
        names=names,
        columns=names,
        kinds=("continuous",) * len(movable),
        movable=movable,
        offset=ones,
        scale=scale or ones,
        iqr=ones,
        changes=changes,
    )
    return Space(shape=(len(movable),), box=box, features=known)


# A radius in the units of the file is twice as large in the second input.
SPACE = space_of(EXCHANGE, STEPS, scale=(1.0, 0.5, 1.0, 1.0, 1.0, 1.0))


def ball(norm="linf", radius=0.2):
    return Ball(norm, radius, unit="raw")


def network():
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
    generator = torch.Generator().manual_seed(0)
    for each in model.parameters():
        each.data = torch.randn(each.shape, generator=generator)
    return model


def linear():
    """Return a model whose cross entropy of class 0 is log(1 + exp(LINEAR x)): it grows along LINEAR."""
    model = nn.Linear(6, 2)
    model.weight.data, model.bias.data = torch.cat([torch.zeros(1, 6), LINEAR]), torch.zeros(2)
    return model


def all_combinations(x):
    """Return what the inputs of both changes may be around one row."""
    colours = [(1.0, 0.0), (0.0, 1.0)] if x[2:4].sum() == 1 else [tuple(x[2:4].tolist())]
    return {(*colour, round(x[5].item() + step, 6)) for colour in colours for step in (0.0, -0.5, 0.5)}


def taken(points):
    return {(*each[2:4].tolist(), round(each[5].item(), 6)) for each in points}


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
@pytest.mark.parametrize("radius", [0.0, 0.2])
@pytest.mark.parametrize("kind", [Uniform, Sobol, PGD, Langevin, Vertices, Tilted])
def test_draws_stay_in_the_ball_and_take_all_options_and_no_others(kind, norm, radius):
    if (kind, norm) in [(Vertices, "l2"), (Tilted, "l1"), (Tilted, "l2")]:
        return
    hot = {"temperature": 20.0} if kind in (Tilted, Langevin) else {}
    perturbation = kind(ball=ball(norm, radius), **hot)
    num_draws = 4 if kind is PGD else 96
    draws = perturbation.draw(X, Y, network(), space=SPACE, num_draws=num_draws, rng=stream(0, "x")).inputs
    for number, x in enumerate(X):
        points = draws[:, number]
        assert (
            ball(norm, radius).distance(X[number : number + 1].expand_as(points), points, space=SPACE).max() <= 1 + 1e-5
        )
        assert taken(points) <= all_combinations(x)
        assert torch.equal(points[:, 4], x[4].expand(num_draws))
        if kind is not PGD:
            assert taken(points) == all_combinations(x)


@pytest.mark.parametrize("kind", [Uniform, Sobol, PGD, Tilted, Vertices, Langevin])
def test_a_row_draws_what_it_draws_alone(kind):
    perturbation, model = kind(ball=ball()), network()
    together = perturbation.draw(X, Y, model, space=SPACE, num_draws=5, rng=RowStreams(0, torch.arange(4)))
    alone = perturbation.draw(X[2:3], Y[:1], model, space=SPACE, num_draws=5, rng=RowStreams(0, torch.tensor([2])))
    assert_close(together.inputs[:, 2:3], alone.inputs)


def test_options_are_equally_likely():
    x = X[:1].expand(6000, -1)
    drawn = (
        Uniform(ball=ball())
        .draw(x, Y[:1].expand(6000), nn.Identity(), space=SPACE, num_draws=1, rng=stream(0, "x"))
        .inputs[0]
    )
    for combination in all_combinations(X[0]):
        wanted = torch.tensor(combination)
        share = (drawn[:, [2, 3, 5]] - wanted).abs().amax(1).lt(1e-6).float().mean().item()
        assert share == pytest.approx(1 / 6, abs=4 * math.sqrt(1 / 6 * 5 / 6 / 6000))


def test_projection_takes_the_nearest_option_and_changes_nothing_the_second_time():
    point = X + torch.tensor([0.9, 0.1, -0.7, 0.4, 0.3, 0.3])
    inside = ball().project(X, point, space=SPACE)
    assert ball().distance(X, inside, space=SPACE).max() <= 1 + 1e-5
    assert inside[:, 2:5].tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert_close(inside[:, 5], X[:, 5] + 0.5)
    assert torch.equal(ball().project(X, inside, space=SPACE), inside)


def test_a_value_that_is_no_option_is_infinitely_far():
    other = X.clone()
    other[0, 5] += 0.4
    other[1, 2:5] = torch.tensor([0.0, 0.0, 1.0])
    other[2, 2:5] = torch.tensor([1.0, 0.0, 0.0])
    assert ball().distance(X, other, space=SPACE).tolist() == [math.inf] * 3 + [0]


def test_uphill_is_the_best_of_all_vertices():
    gradient = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    corners = Vertices(ball=ball()).draw(X, Y, nn.Identity(), space=SPACE, num_draws=24, rng=stream(0, "x")).inputs
    best = ((corners - X) * gradient).sum(2).amax(0)
    assert_close((ball().uphill(X, gradient, space=SPACE) * gradient).sum(1), best)
    assert_close(ball().ascend(X, X, gradient, space=SPACE), X + ball().uphill(X, gradient, space=SPACE))


def test_vertices_come_with_every_combination_once():
    vertices = Vertices(ball=ball())
    assert vertices.count(X, space=SPACE) == 4 * 2 * 3
    assert Vertices(ball=ball("l1")).count(X, space=SPACE) == 4 * 2 * 3
    corners = vertices.draw(X[:1], Y[:1], nn.Identity(), space=SPACE, num_draws=24, rng=stream(0, "x")).inputs[:, 0]
    assert len({tuple(each.tolist()) for each in corners}) == 24
    many = space_of(*(STEPS._replace(inputs=(k,)) for k in range(11)), movable=(False,) * 11)
    with pytest.raises(InputError, match=r"^Vertices: the ball has 177,147 vertices with all combinations"):
        Vertices(ball=Ball("linf", 0.2)).count(torch.zeros(1, 11), space=many)


def test_gradient_ascent_finds_the_worst_point_of_a_linear_model():
    found = PGD(ball=ball(), steps=5).draw(X, Y, linear(), space=SPACE, num_draws=1, rng=stream(0, "x")).inputs[0]
    assert_close(found, X + ball().uphill(X, LINEAR.expand(4, -1), space=SPACE))


@pytest.mark.parametrize("num_draws", [1, 16])
def test_tilted_draws_with_their_weights_have_the_mean_of_uniform_ones(num_draws):
    # Far from the label the cross entropy is linear.
    temperature, rounds = 0.5, 6000
    model = linear()
    model.bias.data[1] = 50.0
    perturbation = Tilted(ball=ball(), temperature=temperature)
    for row in (0, 2):
        x = X[row : row + 1].expand(rounds, -1)
        draws = perturbation.draw(
            x, Y[:1].expand(rounds), model, space=SPACE, num_draws=num_draws, rng=stream(0, "x", row)
        )
        gain = ((draws.inputs - X[row]) @ LINEAR[0]).double() / temperature
        values = (gain + draws.log_weights.double()).exp().mean(0)
        slopes = LINEAR[0, :2].double() * 0.2 * torch.tensor([1.0, 2.0]) / temperature
        measured = (slopes.sinh() / slopes).prod()
        exchanged = (LINEAR[0, 3] - LINEAR[0, 2]).double() / temperature
        category = (1 + exchanged.exp()) / 2 if row == 0 else 1.0
        counted = (LINEAR[0, 5].double() * torch.tensor([0.0, -0.5, 0.5]) / temperature).exp().mean()
        wanted = (measured * category * counted).item()
        error = values.std().item() / math.sqrt(rounds)
        assert abs(values.mean().item() - wanted) < 4 * error
        assert error < 0.02 * wanted


def test_the_chain_visits_options_by_the_exponential_of_their_loss():
    temperature, model = 0.8, linear()
    chain = Langevin(ball=ball(radius=0.0), temperature=temperature, burn_in=20, thinning=4)
    x = X[:1].expand(400, -1)
    states = chain.draw(x, Y[:1].expand(400), model, space=SPACE, num_draws=20, rng=stream(0, "x")).inputs.flatten(0, 1)
    combinations = torch.tensor(sorted(all_combinations(X[0])))
    every = X[0].repeat(len(combinations), 1)
    every[:, [2, 3, 5]] = combinations
    wanted = (nn.functional.softplus(every @ LINEAR[0]) / temperature).softmax(0)
    shares = torch.stack([(states - each).abs().amax(1).lt(1e-5).float().mean() for each in every])
    assert_close(shares, wanted, rtol=0, atol=0.02)


def test_worst_case_accuracy_of_a_linear_model_is_that_of_its_worst_point():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(300, 6, generator=generator)
    x[:, 2:5] = torch.eye(3)[torch.arange(300) % 3]
    y = (x @ LINEAR[0] > 0).long()
    split = TensorSplit(x, y, classes=("a", "b"), box=None, features=SPACE.features)
    direction = LINEAR * (1 - 2 * y[:, None])
    margin = (x @ LINEAR[0]).abs() - (ball().uphill(x, direction, space=SPACE) * direction).sum(1)
    wanted = (margin > 0).sum().item()
    assert 20 < wanted < 250
    for evaluation in (
        WorstCase(balls=(ball(),), budget="quick", num_mean=0),
        WorstCase(balls=(ball(),), budget="standard", num_mean=0),
    ):
        (columns,) = evaluation.measure(linear(), split, seed=0, engine=Engine()).columns.values()
        assert columns["correct"].sum() == wanted


@pytest.mark.parametrize("kind", [Uniform, Sobol, Vertices, Tilted, PGD, Langevin])
def test_options_outside_the_box_are_none(kind):
    boxed = space_of(STEPS, box=(-1.0, 1.0))
    x = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 0.9]])
    hot = {"temperature": 20.0} if kind in (Tilted, Langevin) else {}
    own = Ball("linf", 0.2)
    draws = kind(ball=own, **hot).draw(x, Y[:1], network(), space=boxed, num_draws=40, rng=stream(0, "x")).inputs[:, 0]
    assert draws.max() <= 1
    assert {round(each, 6) for each in draws[:, 5].tolist()} <= {0.9, 0.4}
    assert own.project(x, x + 0.4, space=boxed)[0, 5] == x[0, 5]
    outside = x + torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 0.5])
    assert own.distance(x, outside, space=boxed).item() == math.inf


def test_what_has_options_is_not_displaced_besides():
    all_move = space_of(EXCHANGE, STEPS, movable=(True,) * 6)
    assert Ball("l2", 1.0).radii(X, space=all_move).tolist() == [1, 1, 0, 0, 1, 0]
    assert Vertices(ball=Ball("linf", 1.0)).count(X, space=all_move) == 2**3 * 6


def test_images_have_no_changes():
    with pytest.raises(InputError, match=r"^Ball: changes are for rows of a table, got inputs of shape \(2, 3, 4, 6\)"):
        Ball("linf", 0.1).sample(torch.zeros(2, 3, 4, 6), space=SPACE, num_draws=1, rng=stream(0, "x"))


def test_a_table_may_have_nothing_that_moves_besides_its_changes():
    space = space_of(STEPS._replace(inputs=(1,)), movable=(False, False))
    drawn = Ball("linf", 0.2).sample(torch.zeros(50, 2), space=space, num_draws=1, rng=stream(0, "x"))[0]
    assert {round(each, 1) for each in drawn[:, 1].tolist()} == {-0.5, 0.0, 0.5}
    assert drawn[:, 0].abs().max() == 0
