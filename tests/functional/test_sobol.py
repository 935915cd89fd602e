import pytest
import torch
from scipy import stats

from withstand.functional.balls import distance
from withstand.functional.random import stream
from withstand.functional.sobol import ball_from_cube, sobol


def test_every_point_is_uniform_in_the_cube():
    points = sobol(4000, 3, num_draws=4, rng=stream(0, "sobol"))
    assert points.shape == (4000, 4, 3)
    assert points.min() > 0
    assert points.max() < 1
    for draw in range(4):
        for feature in range(3):
            assert stats.kstest(points[:, draw, feature].numpy(), stats.uniform.cdf).pvalue > 1e-3


def test_the_points_of_a_row_have_one_in_every_slice_of_the_cube():
    points = sobol(5, 6, num_draws=64, rng=stream(0, "slices"))
    for row in points:
        for feature in range(6):
            assert (row[:, feature] * 64).long().unique().numel() == 64


def test_rows_have_shifts_of_their_own():
    points = sobol(2, 3, num_draws=8, rng=stream(0, "rows"))
    assert not torch.equal(points[0], points[1])


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_a_uniform_cube_becomes_a_uniform_ball(norm):
    features = 4
    cube = torch.rand(6000, features + (norm != "linf"), generator=stream(0, norm))
    points = ball_from_cube(cube.clamp(1e-6, 1 - 1e-6), norm)
    radii = distance(points, norm)
    assert radii.max() <= 1 + 1e-5
    assert stats.kstest(radii.numpy(), lambda r: r.clip(0, 1) ** features).pvalue > 0.01
    second = {"l1": 2 / 30, "l2": 1 / 6, "linf": 1 / 3}[norm]
    torch.testing.assert_close((points**2).mean(0), torch.full((features,), second), rtol=0.08, atol=0)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_the_ball_is_that_of_the_features_that_move_in_a_row(norm):
    cube = torch.rand(2000, 3, 4, generator=stream(0, norm)).clamp(1e-6, 1 - 1e-6)
    moving = torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    points = ball_from_cube(cube, norm, moving=moving)
    assert not points[:, moving == 0].any()
    for row, number in enumerate((2, 3, 1)):
        radii = distance(points[:, row], norm)
        assert stats.kstest(radii.numpy(), lambda r, number=number: r.clip(0, 1) ** number).pvalue > 0.01
