import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from withstand.data.space import Space
from withstand.data.tables.features import Features
from withstand.errors import InputError
from withstand.functional.random import RowStreams, stream
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.ball import Ball
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Mixture
from withstand.perturbations.sobol import Sobol
from withstand.perturbations.uniform import Uniform

every_norm = pytest.mark.parametrize("norm", ["l1", "l2", "linf"])


def unit(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@every_norm
def test_cutting_to_the_box_keeps_a_point_in_the_ball_if_the_input_is_in_the_box(norm):
    ball, space = Ball(norm, 0.3), Space(shape=(3, 2, 2), box=(0.0, 1.0))
    x = unit(40, 3, 2, 2).round(decimals=1)
    drawn = ball.sample(x, space=space, num_draws=1, rng=stream(0, "x"))[0]
    for point in (x + 4 * unit(40, 3, 2, 2, seed=1) - 2, drawn):
        inside = ball.project(x, point, space=space)
        assert ball.distance(x, inside, space=space).max().item() <= 1 + 1e-5
        assert inside.min() >= 0
        assert inside.max() <= 1
        assert_close(ball.project(x, inside, space=space), inside, rtol=0, atol=1e-6)


@given(
    x=st.floats(0, 1, width=32),
    point=st.floats(-3, 3, width=32),
    radius=st.sampled_from([0.0, 1 / 255, 0.5, 2.0]),
)
def test_for_linf_the_result_is_the_nearest_point_of_ball_and_box(x, point, radius):
    wanted = min(max(point, x - radius, 0.0), x + radius, 1.0)
    space = Space(shape=(1,), box=(0.0, 1.0))
    found = Ball("linf", radius).project(torch.tensor([[x]]), torch.tensor([[point]]), space=space)
    assert found.item() == pytest.approx(wanted, abs=1e-6)


@every_norm
def test_samples_stay_within_the_radius_and_rows_keep_their_own(norm):
    ball, x, space = Ball(norm, 0.2), unit(5, 7), Space(shape=(7,))
    drawn = ball.sample(x, space=space, num_draws=1, rng=RowStreams(0, torch.arange(5)))[0]
    assert ball.distance(x, drawn, space=space).max().item() <= 1 + 1e-5
    alone = ball.sample(x[3:4], space=space, num_draws=1, rng=RowStreams(0, torch.tensor([3])))[0]
    assert torch.equal(alone, drawn[3:4])


@every_norm
def test_uphill_has_the_length_of_the_radius(norm):
    ball, gradient = Ball(norm, 0.25), unit(5, 7) - 0.5
    x, space = torch.zeros(5, 7), Space(shape=(7,))
    assert_close(ball.distance(x, ball.uphill(x, gradient, space=space), space=space), torch.ones(5))


@pytest.mark.parametrize("norm", ["l3", 2, "L2", None])
def test_an_unknown_norm_is_refused(norm):
    with pytest.raises(InputError, match=f"^Ball: norm must be l1, l2 or linf, got {norm!r}.$"):
        Ball(norm, 0.1)


@pytest.mark.parametrize("radius", [-0.1, float("nan"), float("inf"), "0.1", None, True])
def test_a_radius_that_is_no_size_is_refused(radius):
    with pytest.raises(InputError, match=f"^Ball: radius must be .+, got {radius!r}.$"):
        Ball("l2", radius)


def table(movable, scale=None, iqr=None):
    """Return the space of a table with these features."""
    names = tuple(f"x{number}" for number in range(len(movable)))
    ones = (1.0,) * len(movable)
    known = Features(
        names=names,
        columns=names,
        kinds=("continuous",) * len(movable),
        movable=movable,
        offset=ones,
        scale=scale or ones,
        iqr=iqr or ones,
    )
    return Space(shape=(len(movable),), features=known)


def test_radii_of_the_file_become_standard_deviations():
    x, all_move, movable = torch.zeros(2, 3), (True, True, True), (True, True, False)

    def radii(ball: Ball, moves=movable) -> list | float:
        found = ball.radii(x, space=table(moves, (2.0, 0.5, 1.0), (3.0, 1.0, 0.0)))
        return found.tolist() if isinstance(found, torch.Tensor) else found

    assert radii(Ball("linf", 0.1), all_move) == 0.1
    assert radii(Ball("linf", 0.5)) == [0.5, 0.5, 0.0]
    assert radii(Ball("linf", 0.5, unit="raw")) == [0.25, 1.0, 0.0]
    assert radii(Ball("linf", 0.5, unit="iqr")) == [0.75, 1.0, 0.0]
    assert radii(Ball("l2", (1.0, 0.0, 2.0), unit="raw"), all_move) == [0.5, 0.0, 2.0]
    rows = ((1.0, 1.0, 1.0), (2.0, 0.0, 2.0))
    assert radii(Ball("l1", rows, unit="raw")) == [[0.5, 2.0, 0.0], [1.0, 0.0, 0.0]]
    assert radii(Ball("l1", ((1.0,), (2.0,)), unit="raw")) == [[0.5, 2.0, 0.0], [1.0, 4.0, 0.0]]


@pytest.mark.parametrize(
    ("ball", "space", "problem"),
    [
        (Ball("linf", 0.1, unit="raw"), Space(shape=(3,)), "unit raw needs a table whose features are scaled, got"),
        (Ball("linf", (0.1, 0.1)), Space(shape=(3,)), r"one per feature, .* got radii of shape \(2,\)"),
        (Ball("linf", (0.1, 0.1)), table((True,) * 3), r"one per feature, .* got radii of shape \(2,\)"),
        (Ball("linf", (0.1,)), table((True, True, False)), r"one per feature, .* got radii of shape \(1,\)"),
        (Ball("linf", (0.1,) * 4), Space(shape=(1, 2, 2)), r"one per feature, .* got radii of shape \(4,\)"),
        (Ball("linf", 0.1), table((False, False)), "all features are fixed; set --data.movable"),
        (
            Ball("linf", ((0.1, 0.2), (0.3, 0.4))),
            Space(shape=(2,)),
            "where data are cut into batches, got radii per row",
        ),
    ],
)
def test_a_space_that_does_not_fit_is_refused_before_anything_is_drawn(ball, space, problem):
    for holder in (ball, PGD(ball=ball), PerturbedRisk(perturbation=Mixture(parts=(Identity(), Uniform(ball=ball))))):
        with pytest.raises(InputError, match=f"^Ball: .*{problem}"):
            holder.check(space)


def test_an_unknown_unit_is_refused():
    with pytest.raises(InputError, match=r"unit must be std, raw or iqr, got .mm.\."):
        Ball("linf", 0.1, unit="mm")


@every_norm
def test_a_radius_per_row_and_feature_holds_row_by_row(norm):
    ball, x = Ball(norm, ((0.1, 0.0), (1.0, 2.0))), unit(2, 2)
    points = ball.sample(x, space=Space.like(x), num_draws=50, rng=stream(0, "x"))
    for each in points:
        assert ball.distance(x, each, space=Space.like(x)).max().item() <= 1 + 1e-5
    assert torch.equal(points[:, 0, 1], x[0, 1].expand(50))
    assert (points[:, 1] - x[1]).abs().max().item() > 0.5


@every_norm
def test_rows_of_a_larger_batch_take_radii_in_turn(norm):
    turns, rows = Ball(norm, ((0.1,), (2.0,))), Ball(norm, ((0.1, 0.1, 0.1), (2.0, 2.0, 2.0)) * 2)
    x, point, space = unit(4, 3), 3 * unit(4, 3) + 1, Space(shape=(3,))
    projected = turns.project(x, point, space=space)
    assert torch.equal(projected, rows.project(x, point, space=space))
    for row, radius in enumerate((0.1, 2.0, 0.1, 2.0)):
        alone = Ball(norm, radius).project(x[row : row + 1], point[row : row + 1], space=space)
        torch.testing.assert_close(projected[row : row + 1], alone)
    kept = torch.tensor([3, 2])
    assert torch.equal(turns.of_rows(kept).project(x[kept], point[kept], space=space), projected[kept])
    images = unit(4, 3, 2, 2)
    assert turns.distance(images, images + 0.05, space=Space.like(images)).shape == (4,)
    with pytest.raises(InputError, match=r"of inputs of shape \(3, 3\), got radii of shape \(2, 1\)"):
        turns.project(x[:3], point[:3], space=space)


@pytest.mark.parametrize("radius", [((0.1, 0.2), (0.3,)), ((0.1, 0.2), 0.3)])
def test_radii_of_rows_of_different_lengths_are_refused(radius):
    with pytest.raises(InputError, match=r"^Ball: radi.+ must be .+, got "):
        Ball("linf", radius)


@every_norm
def test_rows_with_fixed_features_of_their_own_fill_the_ball_of_the_others(norm):
    x, rows = torch.zeros(2000, 2), ((1.0, 0.0), (1.0, 1.0)) * 1000
    ball = Ball(norm, rows)
    for perturbation in (Uniform(ball=ball), Sobol(ball=ball)):
        options = {"space": Space.like(x), "num_draws": 4, "rng": stream(0, "x")}
        drawn = perturbation.draw(x, torch.zeros(2000).long(), nn.Identity(), **options)
        # One feature moves: uniform in [-1, 1], whatever the norm.
        assert drawn.inputs[:, ::2, 0].abs().mean().item() == pytest.approx(0.5, abs=0.02)
        assert not drawn.inputs[:, ::2, 1].any()


@pytest.mark.parametrize(
    ("ball", "name"),
    [
        (Ball("linf", 8 / 255), "linf 0.0313725"),
        (Ball("l2", 3), "l2 3"),
        (Ball("l1", (0.5, 0.0), unit="iqr"), "l1 [0.5 0] iqr"),
    ],
)
def test_a_ball_is_named_by_norm_radius_and_unit(ball, name):
    assert ball.name == name


def test_balls_with_too_many_radii_for_a_name_have_different_ones():
    names = {Ball("linf", (radius,) * 40).name for radius in (0.1, 0.2)} | {Ball("linf", ((0.1,), (0.2,))).name}
    assert len(names) == 3
    assert all(len(each) < 60 for each in names)
