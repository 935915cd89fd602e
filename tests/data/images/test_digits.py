import pytest
import torch

from withstand.data.images.digits import Digits
from withstand.errors import InputError

PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def splits():
    return {part: Digits().load(part) for part in PARTS}


def test_parts_are_disjoint_and_cover_the_images(splits):
    numbers = torch.cat([split.numbers for split in splits.values()])
    assert torch.equal(numbers.sort().values, torch.arange(1797))
    assert [len(splits[part]) for part in PARTS] == [1259, 179, 359]


def test_images_are_bytes_with_three_equal_channels(splits):
    x = splits["test"].x
    assert x.dtype == torch.uint8
    assert splits["test"].shape == (3, 32, 32)
    assert torch.equal(x[:, 0], x[:, 1])
    assert torch.equal(x[:, 0], x[:, 2])
    assert int(x.max()) == 255


def test_enlarging_keeps_the_mean(splits):
    from sklearn.datasets import load_digits

    small = torch.from_numpy(load_digits().images)[splits["train"].numbers] / 16
    large = splits["train"].x[:, 0] / 255
    assert (small.mean((1, 2)) - large.mean((1, 2))).abs().max() < 0.01


def test_every_class_is_in_every_part_in_proportion(splits):
    for split in splits.values():
        share = split.y.bincount(minlength=10) / len(split)
        assert (share - 0.1).abs().max() < 0.01


def test_loading_again_gives_the_same(splits):
    assert torch.equal(Digits().load("validation").x, splits["validation"].x)


def test_bad_shares_and_parts_are_refused():
    with pytest.raises(InputError, match="Digits: validation and test"):
        Digits(validation=0.9, test=0.2)
    with pytest.raises(InputError, match="Digits: the part must be"):
        Digits().load("val")  # type: ignore[arg-type]
