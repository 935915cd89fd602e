import pytest
import torch

from withstand.functional.kernels.glass import copy_in_order, exchange_in_order
from withstand.functional.random import integers, stream, uniform


def images(*shape):
    return uniform(shape, rng=stream(0, "images"))


def choose(batch, iterations, height, width, reach):
    inner = (max(height - 2 * reach, 0), max(width - 2 * reach, 0))
    return integers((batch, iterations, *inner), 0, (2 * reach) ** 2, rng=stream(0, "choices"))


def copied_one_by_one(x, choices, reach):
    x = x.clone()
    height, width = x.shape[-2:]
    for image, choice in zip(x, choices.tolist(), strict=True):
        for iteration in choice:
            for h in range(height - reach, reach, -1):
                for w in range(width - reach, reach, -1):
                    down, right = divmod(iteration[h - reach - 1][w - reach - 1], 2 * reach)
                    image[:, h, w] = image[:, h + down - reach, w + right - reach]
    return x


@pytest.mark.parametrize(("reach", "iterations"), [(1, 3), (2, 1), (4, 2)])
@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (3, 1, 13, 21)])
def test_all_at_once_is_one_after_the_other(shape, reach, iterations):
    x, choices = images(*shape), choose(shape[0], iterations, *shape[2:], reach)
    assert torch.equal(copy_in_order(x, choices, reach=reach), copied_one_by_one(x, choices, reach))


@pytest.mark.parametrize("reach", [1, 2])
def test_a_chain_through_the_whole_image_is_followed_to_its_end(reach):
    # Every pixel is overwritten by its neighbour to the right, which was overwritten itself if the reach allows it.
    x = images(1, 1, 40, 40)
    to_the_right = reach * 2 * reach + 2 * reach - 1
    choices = torch.full((1, 1, 40 - 2 * reach, 40 - 2 * reach), to_the_right)
    copies = copy_in_order(x, choices, reach=reach)
    assert torch.equal(copies, copied_one_by_one(x, choices, reach))
    assert reach == 1 or torch.equal(copies[..., 20, 3:39], x[..., 20, 39:].expand(1, 1, 36))


@pytest.mark.parametrize("shape", [(1, 3, 8, 5), (2, 1, 1, 1), (0, 3, 32, 32)])
def test_images_without_a_pixel_between_the_borders_stay(shape):
    x = images(*shape)
    assert torch.equal(copy_in_order(x, choose(shape[0], 2, *shape[2:], 4), reach=4), x)


def exchanged_one_by_one(x, choices):
    x = x.clone()
    for image, choice in zip(x, choices.tolist(), strict=True):
        for iteration in choice:
            for h in range(x.shape[2] - 1, 1, -1):
                for w in range(x.shape[3] - 1, 1, -1):
                    up, left = [(1, 1), (1, 0), (0, 1), (0, 0)][iteration[h - 2][w - 2]]
                    here, there = image[:, h, w].clone(), image[:, h - up, w - left].clone()
                    image[:, h, w], image[:, h - up, w - left] = there, here
    return x


@pytest.mark.parametrize("shape", [(2, 3, 12, 9), (3, 1, 5, 14), (1, 1, 3, 3), (1, 1, 2, 5)])
def test_pixels_are_exchanged_as_one_after_the_other(shape):
    inner = (max(shape[2] - 2, 0), max(shape[3] - 2, 0))
    x, choices = images(*shape), integers((shape[0], 2, *inner), 0, 4, rng=stream(0, "choices"))
    assert torch.equal(exchange_in_order(x, choices), exchanged_one_by_one(x, choices))
