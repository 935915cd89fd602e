import pytest
import torch

from withstand.functional.kernels.edges import canny, chamfer_distance
from withstand.functional.random import stream, uniform


def edges(*rows, low=50, high=150):
    return canny(torch.tensor(rows, dtype=torch.int32)[None], low=low, high=high)[0].int().tolist()


def test_a_step_is_one_line_on_its_first_side():
    # Both columns at the step are as steep, and the left one is taken.
    assert edges(*[[0, 0, 100, 100, 100]] * 3) == [[0, 1, 0, 0, 0]] * 3
    assert edges(*[[0] * 4, [0] * 4, [100] * 4, [100] * 4]) == [[0] * 4, [1] * 4, [0] * 4, [0] * 4]


def test_a_low_step_is_no_edge_by_itself_and_one_in_line_with_a_high_one():
    # The sum of the gradient over a step of h is 4 h: 100 is between the thresholds, 400 is above.
    low, high = [0, 0, 25, 25], [0, 0, 100, 100]
    assert edges(*[low] * 6) == [[0] * 4] * 6
    assert edges(*[low] * 6, *[high] * 6)[:5] == [[0, 1, 0, 0]] * 5
    assert edges(*[[0, 0, 10, 10]] * 6, *[high] * 6)[:5] == [[0] * 4] * 5


def test_a_long_faint_line_is_followed_to_its_end():
    rows = [[0, 0, 25, 25]] * 200 + [[0, 0, 100, 100]] * 2
    assert edges(*rows)[:199] == [[0, 1, 0, 0]] * 199


def test_a_flat_image_has_no_edges():
    assert not canny(torch.full((2, 5, 7), 200, dtype=torch.int32), low=50, high=150).any()
    assert not canny(torch.full((1, 1, 1), 200, dtype=torch.int32), low=50, high=150).any()


def length(rows, columns):
    long, short = torch.maximum(rows, columns), torch.minimum(rows, columns)
    flat = (long - 2 * short) + short * 143976 / 2**16
    steep = (long - short) * 143976 / 2**16 + (2 * short - long) * 91750 / 2**16
    return torch.where(2 * short <= long, flat, steep)


@pytest.mark.parametrize("size", [(60, 60), (30, 50), (1, 40), (3, 2), (1, 1)])
@pytest.mark.parametrize("share", [0.001, 0.02, 0.3])
def test_distances_are_the_shortest_of_all(size, share):
    marked = uniform((1, *size), rng=stream(0, "marked")) < share
    marked[0, size[0] // 2, 0] = True
    places, pixels = marked[0].nonzero(), torch.ones(size).nonzero()
    apart = (pixels[:, None] - places[None]).abs().double()
    expected = length(apart[..., 0], apart[..., 1]).amin(1).clamp(max=20).reshape(1, *size)
    assert torch.equal(chamfer_distance(marked, most=20).double(), expected)


def test_without_a_mark_everything_is_as_far_as_can_be():
    assert torch.equal(chamfer_distance(torch.zeros(2, 5, 6, dtype=torch.bool), most=20), torch.full((2, 5, 6), 20.0))
