import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch.testing import assert_close

from withstand.functional.balls import distance, project, sample, uphill
from withstand.functional.random import stream

NORMS = ("l1", "l2", "linf")
DUAL = {"l1": "linf", "l2": "l2", "linf": "l1"}
every_norm = pytest.mark.parametrize("norm", NORMS)
POINTS = st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=7).map(lambda row: torch.tensor([row]))
RADII = st.sampled_from([0.0, 0.1, 1.0, 4.0])


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def slow_l1(point, radius):
    """Find by bisection the threshold that shrinks the l1 norm to the radius."""
    point = point.double()
    if point.abs().sum() <= radius:
        return point
    low, high = 0.0, point.abs().max().item()
    for _ in range(80):
        middle = (low + high) / 2
        if (point.abs() - middle).clamp_min(0).sum() > radius:
            low = middle
        else:
            high = middle
    return point.sign() * (point.abs() - high).clamp_min(0)


@given(delta=POINTS, norm=st.sampled_from(NORMS), radius=RADII)
def test_a_projected_point_is_in_the_ball_and_stays_where_it_is(delta, norm, radius):
    point = project(delta, norm, radius)
    assert distance(point, norm).item() <= radius * (1 + 1e-5)
    assert_close(project(point, norm, radius), point, rtol=1e-5, atol=1e-6)


@given(delta=POINTS, norm=st.sampled_from(NORMS))
def test_a_point_of_the_ball_is_its_own_projection(delta, norm):
    radius = distance(delta, norm).item() * 1.01
    assert_close(project(delta, norm, radius), delta, rtol=1e-6, atol=1e-7)


@given(delta=POINTS, radius=RADII)
def test_the_projection_onto_the_l1_ball_equals_a_slow_one(delta, radius):
    assert_close(project(delta, "l1", radius)[0].double(), slow_l1(delta[0], radius), rtol=1e-5, atol=2e-6)


@every_norm
def test_no_other_point_of_the_ball_is_nearer(norm):
    delta = 3 * numbers(40, 5)
    nearest = project(delta, norm, 1.0)
    # Of a convex set: y is nearest to x if and only if (x - y) . (z - y) <= 0 for every z of the set.
    others = torch.cat(
        [sample((300, 5), norm, num_draws=1, rng=stream(0, norm))[0], uphill(numbers(300, 5, seed=2), norm)]
    )
    products = ((delta - nearest)[:, None] * (others[None] - nearest[:, None])).sum(2)
    assert products.max().item() < 1e-4


@every_norm
def test_images_are_projected_as_vectors(norm):
    delta = numbers(4, 3, 2, 2)
    assert torch.equal(project(delta, norm, 0.5).flatten(1), project(delta.flatten(1), norm, 0.5))


@every_norm
def test_a_radius_of_zero_leaves_only_the_centre(norm):
    assert not project(numbers(4, 6), norm, 0.0).any()
    assert not project(numbers(4, 6), norm, torch.zeros(6)).any()


def test_long_vectors_end_on_the_sphere_of_the_l1_ball():
    point = project(numbers(2, 3 * 224 * 224), "l1", 10.0)
    assert_close(distance(point, "l1"), torch.tensor([10.0, 10.0]), rtol=1e-3, atol=0)


@every_norm
def test_radii_of_samples_follow_the_volume(norm):
    points = 0.7 * sample((2000, 2, 2, 2), norm, num_draws=1, rng=stream(0, "radii", norm))[0]
    assert points.shape == (2000, 2, 2, 2)
    assert points.dtype == torch.float32
    radii = distance(points, norm) / 0.7
    assert radii.max() <= 1 + 1e-5
    assert stats.kstest(radii.numpy(), lambda r: r.clip(0, 1) ** 8).pvalue > 0.01


@pytest.mark.parametrize(("norm", "second_moment"), [("l1", 2 / 90), ("l2", 1 / 10), ("linf", 1 / 3)])
def test_samples_spread_alike_in_every_direction(norm, second_moment):
    # Second moments of a coordinate in 8 dimensions: 2 / ((d + 1)(d + 2)), 1 / (d + 2), 1 / 3.
    points = sample((20000, 8), norm, num_draws=1, rng=stream(0, "moments", norm))[0]
    covariance = points.T @ points / len(points)
    assert_close(covariance, second_moment * torch.eye(8), rtol=0.06, atol=0.03 * second_moment)
    assert points.mean(0).abs().max().item() < 0.02


@every_norm
def test_uphill_has_length_one_and_gains_the_dual_norm(norm):
    gradient = numbers(30, 6)
    step = uphill(gradient, norm)
    assert_close(distance(step, norm), torch.ones(30))
    assert_close((step * gradient).sum(1), distance(gradient, DUAL[norm]))


@every_norm
def test_no_direction_climbs_more_than_uphill(norm):
    gradient = numbers(20, 6)
    gain = (uphill(gradient, norm) * gradient).sum(1)
    directions = numbers(500, 6, seed=1)
    directions = directions / distance(directions, norm)[:, None]
    assert (directions @ gradient.T <= gain + 1e-5).all()


@every_norm
def test_uphill_of_no_gradient_is_no_step(norm):
    assert torch.equal(uphill(torch.zeros(2, 3), norm), torch.zeros(2, 3))


def test_distances_are_the_norms():
    delta = torch.tensor([[[3.0, -4.0]], [[0.0, 0.0]]])
    assert distance(delta, "l1").tolist() == [7.0, 0.0]
    assert distance(delta, "l2").tolist() == [5.0, 0.0]
    assert distance(delta, "linf").tolist() == [4.0, 0.0]


@every_norm
def test_a_radius_per_feature_is_the_ball_of_radius_one_in_radii(norm):
    radius, delta = torch.tensor([2.0, 0.5, 1.0]), 2 * numbers(50, 3)
    assert_close(project(delta, norm, radius) / radius, project(delta / radius, norm, 1.0))
    assert_close(distance(delta, norm, radius), distance(delta / radius, norm))
    # Along the steepest step a linear function gains the dual norm of its gradient in radii.
    gain = (uphill(delta, norm, radius) * delta).sum(1)
    assert_close(gain, distance(delta * radius, DUAL[norm]))


@every_norm
def test_a_fixed_feature_stays_and_leaving_it_is_infinitely_far(norm):
    radius = torch.tensor([1.0, 0.0, 1.0])
    fixed = radius == 0
    points = sample((2000, 3), norm, num_draws=1, rng=stream(0, "fixed", norm), fixed=fixed)[0]
    assert not points[:, 1].any()
    assert not project(numbers(9, 3), norm, radius)[:, 1].any()
    assert not uphill(numbers(9, 3), norm, radius)[:, 1].any()
    assert distance(torch.tensor([[0.1, 0.0, 0.1], [0.0, 0.1, 0.0]]), norm, radius).isinf().tolist() == [False, True]
    # The others fill the ball of two dimensions.
    assert stats.kstest(distance(points, norm).numpy(), lambda r: r.clip(0, 1) ** 2).pvalue > 0.01


@every_norm
def test_draws_of_a_row_are_independent_of_each_other(norm):
    points = sample((4000, 2), norm, num_draws=2, rng=stream(0, "pairs", norm))
    assert points.shape == (2, 4000, 2)
    assert (points[0] * points[1]).mean().abs().item() < 0.02


@pytest.mark.parametrize("size", [1e-20, 1e-25, 1e-34])
def test_uphill_of_a_tiny_gradient_has_length_one(size):
    # A confident network's cross entropy has such gradients; their squares are 0 in 32 bits.
    for norm in NORMS:
        assert_close(distance(uphill(size * numbers(5, 6), norm), norm), torch.ones(5))


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_fixed_features_may_differ_from_row_to_row(norm):
    fixed = torch.tensor([[False, True, False], [False, False, False], [True, True, False]]).repeat(2000, 1)
    points = sample((6000, 3), norm, num_draws=1, rng=stream(0, "rows", norm), fixed=fixed)[0]
    assert not points[fixed].any()
    for row, moving in enumerate((2, 3, 1)):
        radii = distance(points[row::3], norm)
        assert stats.kstest(radii.numpy(), lambda r, moving=moving: r.clip(0, 1) ** moving).pvalue > 0.01
