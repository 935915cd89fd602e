import pytest
import torch

from withstand.data.images.mnist import Mnist
from withstand.data.tables.mnist14 import Mnist14, shrink
from withstand.errors import InputError


def test_a_pixel_is_the_mean_of_four():
    x = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    x[1, 0, 6, 20], x[1, 0, 6, 21], x[1, 0, 7, 20], x[1, 0, 7, 21] = 255, 255, 255, 10
    small = shrink(x)
    assert small.shape == (2, 196)
    assert small[1].nonzero().tolist() == [[3 * 14 + 10]]
    assert small[1, 3 * 14 + 10] == pytest.approx(775 / 1020)
    assert shrink(torch.full_like(x, 255)).unique().tolist() == [1.0]


def test_the_real_digits_are_those_of_mnist(data_root):
    small, large = (dataset(root=str(data_root)).load("test") for dataset in (Mnist14, Mnist))
    assert small.x.dtype == torch.float32
    assert small.shape == (196,)
    assert small.box == (0.0, 1.0)
    assert torch.equal(small.y, large.y)
    assert torch.allclose(small.x.mean(1), large.x.float().mean((1, 2, 3)) / 255, atol=1e-6)


def test_validation_is_cut_as_that_of_mnist(data_root):
    small, large = (dataset(root=str(data_root), validation=0.01).load("validation") for dataset in (Mnist14, Mnist))
    assert torch.equal(small.numbers, large.numbers)
    assert torch.equal(small.y, large.y)
    assert torch.equal(small.x, shrink(large.x))


def test_pixels_have_names_and_are_not_scaled(data_root):
    features = Mnist14(root=str(data_root)).load("validation").features
    assert features.names[14 * 3 + 7] == "pixel_3_7"
    assert set(features.scale) == {1.0}
    assert set(features.offset) == {0.0}
    assert all(features.movable)
    assert features.iqr[0] == 0.0
    assert 0 < max(features.iqr) <= 1


def test_nothing_to_read_is_refused(tmp_path):
    with pytest.raises(InputError, match="Mnist14: expected mnist/train-images"):
        Mnist14(root=str(tmp_path)).load("test")
