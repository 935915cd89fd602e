import pytest
import torch

from withstand.functional.kernels.ice import ice
from withstand.functional.random import stream


def test_pictures_are_bluish_bright_in_the_unit_interval_and_not_flat():
    picture = ice(100, 150, rng=stream(0, "ice"))
    red, green, blue = picture.mean((1, 2)).tolist()
    assert picture.shape == (3, 100, 150)
    assert 0 <= picture.min() < picture.max() <= 1
    assert 0.3 < red < green < blue < 0.95
    assert picture.std((1, 2)).min() > 0.05


def test_the_same_source_gives_the_same_picture():
    assert torch.equal(ice(40, 30, rng=stream(0, "ice")), ice(40, 30, rng=stream(0, "ice")))
    assert not torch.equal(ice(40, 30, rng=stream(0, "ice")), ice(40, 30, rng=stream(1, "ice")))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 2)])
def test_pictures_may_be_tiny(size):
    assert ice(*size, rng=stream(0, "ice")).shape == (3, *size)
