import pytest
import torch
from scipy import ndimage

from withstand.functional.kernels.drops import _blur, _emboss, _equalize, shine
from withstand.functional.random import integers, stream


def levels(*shape):
    return integers(shape, 0, 21, rng=stream(0, "levels")).int()


@pytest.mark.parametrize("size", [(20, 30), (5, 2), (2, 5)])
def test_blur_and_emboss_mirror_the_image_at_its_borders(size):
    x = levels(1, *size).float()
    mean, kernel = torch.ones(3, 3) / 9, torch.tensor([[-2.0, -1, 0], [-1, 1, 1], [0, 1, 2]])
    for ours, weights in ((_blur, mean), (_emboss, kernel)):
        expected = ndimage.correlate(x[0].numpy(), weights.numpy(), mode="mirror")
        assert torch.allclose(ours(x)[0], torch.from_numpy(expected), atol=1e-5)


def test_equalizing_ranks_the_levels():
    # The lowest becomes 0 and the others the share of pixels up to them, without the lowest.
    x = torch.tensor([[[3, 3, 3, 5], [5, 9, 9, 9]], [[4, 4, 4, 4], [4, 4, 4, 4]]], dtype=torch.int32)
    assert _equalize(x).tolist() == [[[0, 0, 0, 102], [102, 255, 255, 255]], [[4, 4, 4, 4], [4, 4, 4, 4]]]


def test_the_brightest_place_of_every_image_with_drops_is_one_and_dry_glass_is_dark():
    water = torch.zeros(3, 40, 40, dtype=torch.int32)
    water[0, 5:15, 5:15], water[1, 20:30, 3:30] = 200, 180
    light = shine(water)
    assert light.amax((1, 2)).tolist() == [1, 1, 0]
    assert light.min() >= 0
    assert torch.equal(light > 0, (light > 0) & (water > 0))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2)])
def test_images_may_be_tiny(size):
    assert shine(torch.full((2, *size), 200, dtype=torch.int32)).isfinite().all()
