import pytest

from withstand.data.images.fashion_mnist import FashionMnist
from withstand.errors import InputError


def test_the_real_files_have_6000_and_1000_images_per_class(data_root):
    dataset = FashionMnist(root=str(data_root))
    assert dataset.load("train").y.bincount().tolist() == [5400] * 10
    assert dataset.load("validation").y.bincount().tolist() == [600] * 10
    test = dataset.load("test")
    assert test.y.bincount().tolist() == [1000] * 10
    assert test.classes[int(test.y[0])] == "Ankle boot"


def test_nothing_to_read_is_reported(tmp_path):
    with pytest.raises(InputError, match="FashionMnist: expected fashion-mnist/train-images"):
        FashionMnist(root=str(tmp_path)).load("train")
