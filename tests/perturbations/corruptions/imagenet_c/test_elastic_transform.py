import pytest
import torch

from withstand.functional.random import row_streams, stream, uniform
from withstand.perturbations.corruptions.imagenet_c.elastic_transform import ElasticTransform, _inverse


def test_the_map_takes_the_moved_points_back():
    moves = uniform((5, 3, 2), rng=stream(0, "moves")).double() * 40 - 20
    inverse = _inverse(moves, 224, 300)
    points = torch.tensor([[150.0, 112.0], [150.0, 112.0], [150.0, 112.0]], dtype=torch.float64)
    points += 74 * torch.tensor([[1, 1], [1, -1], [-1, -1]])
    moved = torch.cat([points + moves, torch.ones(5, 3, 1)], dim=2)
    assert torch.allclose(moved @ inverse.mT, points.expand(5, -1, -1))


def test_points_on_one_line_do_no_harm():
    moves = torch.zeros(1, 3, 2, dtype=torch.float64)
    moves[:, 1] = torch.tensor([-74.0, 74.0])
    assert torch.equal(_inverse(moves, 224, 224)[..., :2], torch.zeros(1, 2, 2, dtype=torch.float64))


def test_without_moves_and_displacements_the_image_stays():
    x = uniform((2, 3, 40, 50), rng=stream(0, "x"))
    changed = ElasticTransform(severity=5, pixels=224).corrupt(x, (torch.zeros(2, 3, 2), torch.zeros(2, 2, 40, 50)))
    assert torch.allclose(changed, x, rtol=0, atol=1e-4)


def test_equal_moves_of_all_points_shift_the_image():
    x = uniform((1, 3, 40, 50), rng=stream(0, "x"))
    corruption = ElasticTransform(severity=1, pixels=32)
    points = torch.tensor([1.0, -0.5]).expand(1, 3, 2) * (3 / corruption.published(40, 50)[2])
    changed = corruption.corrupt(x, (points, torch.zeros(1, 2, 40, 50)))
    upper, lower = x[..., 1:-1, :-3], x[..., 2:, :-3]
    assert torch.allclose(changed[..., :-2, 3:], (upper + lower) / 2, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("severity", "std"), [(1, 0.09), (2, 4.72), (3, 0.84), (4, 1.17), (5, 1.99)])
def test_pixels_are_displaced_as_far_as_in_the_original(severity, std):
    # The image is its own row and column number, so that what it shows is where it was read.
    steps = torch.arange(224.0) / 255
    x = torch.stack([steps.expand(224, 224), steps[:, None].expand(224, 224)])[:, None].repeat(8, 1, 1, 1)
    corruption = ElasticTransform(severity=severity)
    points, field = corruption.sample((16, 1, 224, 224), rng=stream(0, "a"))
    changed = corruption.corrupt(x, (torch.zeros_like(points), field))
    shift = ((changed - x) * 255)[..., 30:-30, 30:-30].flatten(1)
    assert shift.var(1).mean().sqrt().item() == pytest.approx(std, rel=0.25)


def test_images_that_do_not_fit_one_chunk_are_the_same_alone():
    corruption, index = ElasticTransform(severity=2), torch.arange(5)
    x = uniform((5, 3, 224, 224), rng=stream(0, "x"))
    together = corruption.corrupt(x, corruption.sample(x.shape, rng=row_streams(0, "a", index=index)))
    alone = corruption.corrupt(x[4:], corruption.sample(x[4:].shape, rng=row_streams(0, "a", index=index[4:])))
    assert torch.equal(together[4:], alone)
