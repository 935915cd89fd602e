import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from withstand.functional.sphere import move_to_distance

BOX = (0.0, 1.0)


def by_sorting(x, noise, radius, box):
    """Return the same in float64: sort the scales at which values meet their walls, and look up the piece."""
    rows = []
    for own, direction in zip(x.double().flatten(1), noise.double().flatten(1), strict=True):
        room = torch.where(direction > 0, box[1] - own, own - box[0]).clamp_min(0)
        walls, order = (room / direction.abs()).nan_to_num(nan=torch.inf).sort()
        speed, most = direction[order] ** 2, room[order] ** 2
        met = torch.cat([torch.zeros(1, dtype=torch.float64), most.cumsum(0)])
        free = torch.cat([speed.flip(0).cumsum(0).flip(0), torch.zeros(1, dtype=torch.float64)])
        reached = walls**2 * free[:-1] + met[:-1]
        piece = int(torch.searchsorted(reached[walls.isfinite()], radius**2))
        if free[piece] <= 0:
            rows.append(own + direction.sign() * room)
            continue
        scale = ((radius**2 - met[piece]) / free[piece]).sqrt()
        rows.append((own + scale * direction).clamp(*box))
    return torch.stack(rows).view_as(x)


def inputs(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator), torch.randn(shape, generator=generator)


@pytest.mark.parametrize("radius", [0.01, 1.0, 5.0, 20.0, 27.0])
def test_it_agrees_with_sorting_and_has_the_distance_after_clipping(radius):
    x, noise = inputs((6, 3, 20, 20))
    x[0] = (x[0] > 0.5).float()  # black and white: half of the values can go nowhere
    x[1, :, :10] = 0.0
    moved = move_to_distance(x, noise, radius, box=BOX)
    torch.testing.assert_close(moved, by_sorting(x, noise, radius, BOX).float(), rtol=0, atol=1e-5)
    reachable = torch.where(noise > 0, 1 - x, x).flatten(1).norm(dim=1)
    expected = reachable.clamp_max(radius)
    torch.testing.assert_close((moved - x).flatten(1).norm(dim=1), expected, rtol=1e-5, atol=1e-5)
    assert moved.min() >= 0
    assert moved.max() <= 1


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.integers(0, 10**6), st.floats(1e-3, 50.0), st.floats(1e-3, 1e3))
def test_it_does_not_depend_on_the_length_of_the_noise_nor_on_neighbours(seed, radius, factor):
    x, noise = inputs((3, 40), seed)
    moved = move_to_distance(x, noise, radius, box=BOX)
    torch.testing.assert_close(move_to_distance(x, noise * factor, radius, box=BOX), moved, rtol=0, atol=1e-5)
    assert torch.equal(move_to_distance(x[1:2], noise[1:2], radius, box=BOX), moved[1:2])


def test_a_row_that_cannot_go_so_far_is_returned_at_the_walls():
    x = torch.tensor([[0.5, 0.25], [0.5, 0.25]])
    noise = torch.tensor([[1.0, -1.0], [1.0, 0.0]], requires_grad=True)
    moved = move_to_distance(x, noise, 10.0, box=BOX)
    assert moved.tolist() == [[1.0, 0.0], [1.0, 0.25]]
    moved.sum().backward()
    assert noise.grad is not None
    assert torch.equal(noise.grad, torch.zeros(2, 2))
    still = move_to_distance(x, torch.zeros(2, 2), 1.0, box=BOX)
    assert torch.equal(still, x)


@pytest.mark.parametrize("box", [BOX, None])
def test_the_gradient_is_that_of_finite_differences(box):
    x, noise = inputs((2, 12), seed=3)
    weights = torch.arange(24.0).reshape(2, 12).sin()
    noise.requires_grad_(True)
    (move_to_distance(x, noise, 1.3, box=box) * weights).sum().backward()
    step = 1e-3
    for place in range(12):
        changed = torch.zeros(2, 12)
        changed[:, place] = step
        with torch.no_grad():
            upper, lower = (
                (move_to_distance(x, noise + sign * changed, 1.3, box=box) * weights).sum(1) for sign in (1, -1)
            )
        torch.testing.assert_close(noise.grad[:, place], (upper - lower) / (2 * step), rtol=2e-2, atol=2e-3)


def test_under_autocast_it_is_in_float32():
    x, noise = inputs((2, 3, 8, 8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        moved = move_to_distance(x, noise.bfloat16(), 2.0, box=BOX)
    assert moved.dtype == torch.float32
    torch.testing.assert_close((moved - x).flatten(1).norm(dim=1), torch.full((2,), 2.0), rtol=1e-5, atol=0)
