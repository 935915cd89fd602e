"""What every data set promises. Sets in files are only checked where WITHSTAND_DATA says where they lie."""

from functools import cache
from pathlib import Path

import pytest
import torch

from withstand.configuration import discover
from withstand.data.base import Dataset, Part
from withstand.data.images.cifar10 import Cifar10
from withstand.data.images.cifar100 import Cifar100
from withstand.data.images.fashion_mnist import FashionMnist
from withstand.data.images.mnist import Mnist
from withstand.data.tables.avila import Avila
from withstand.data.tables.grid_stability import GridStability
from withstand.data.tables.mnist14 import Mnist14
from withstand.errors import InputError

PARTS: tuple[Part, ...] = ("train", "validation", "test")
FILES = {
    Avila(): "avila",
    Cifar10(): "cifar10",
    Cifar100(): "cifar100",
    FashionMnist(): "fashion-mnist",
    GridStability(): "grid",
    Mnist(): "mnist",
    Mnist14(): "mnist",
}
EXAMPLES = [example for cls in discover(Dataset) for example in cls.examples()]


@cache
def load(dataset: Dataset, part: Part):
    return dataset.load(part)


@pytest.fixture(
    scope="module",
    params=[*EXAMPLES, *FILES],
    ids=lambda each: type(each).__name__,
)
def dataset(request) -> Dataset:
    if request.param in FILES:
        root: Path = request.getfixturevalue("data_root")
        if not (root / FILES[request.param]).exists():
            pytest.skip(f"{root} holds no {FILES[request.param]}")
    return request.param


def numbers(split):
    return torch.cat([index for _, _, index, _ in split.batches(torch.arange(len(split)).split(5000))])


def test_parts_agree_on_classes_shape_and_box(dataset):
    splits = [load(dataset, part) for part in PARTS]
    assert len({split.classes for split in splits}) == 1
    assert len({split.shape for split in splits}) == 1
    assert len({split.box for split in splits}) == 1
    assert len(set(splits[0].classes)) == len(splits[0].classes) >= 2
    assert all(len(split) for split in splits)


def test_no_sample_is_in_two_parts(dataset):
    splits = {part: load(dataset, part) for part in PARTS}
    held = {part: set(numbers(split).tolist()) for part, split in splits.items()}
    assert all(len(held[part]) == len(splits[part]) for part in PARTS)
    assert not held["train"] & held["validation"]
    # Of two files each numbers its own samples; then the contents must differ.
    if held["train"] & held["test"]:
        plan = [torch.arange(min(50, len(splits["test"])))]
        train, test = (next(splits[part].batches(plan)).x for part in ("train", "test"))
        assert not torch.equal(train, test)


def test_labels_are_those_of_the_classes_and_every_class_can_be_learned_and_tested(dataset):
    for part in PARTS:
        split = load(dataset, part)
        y = torch.cat([y for _, y, _, _ in split.batches(torch.arange(len(split)).split(5000))])
        assert y.dtype == torch.int64
        assert set(y.tolist()) <= set(range(len(split.classes)))
        # A class may be too small for its share of the validation part.
        assert part == "validation" or len(y.unique()) == len(split.classes)


def test_inputs_are_float32_images_on_the_8_bit_grid_or_finite_features(dataset):
    split = load(dataset, "test")
    x = next(split.batches([torch.arange(min(len(split), 500))])).x
    assert x.dtype == torch.float32
    assert x.shape[1:] == split.shape
    assert x.isfinite().all()
    if len(split.shape) == 3:
        assert split.box == (0.0, 1.0)
        assert x.min() >= 0
        assert x.max() <= 1
        assert torch.equal((x * 255).round() / 255, x)
        assert x.max() > 0.9


def test_loading_twice_gives_the_same_samples(dataset):
    first, second = load(dataset, "validation"), dataset.load("validation")
    plan = torch.arange(len(first)).split(5000)
    for one, other in zip(first.batches(plan), second.batches(plan), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))
        assert one.weight is other.weight is None


def test_batches_follow_their_plan(dataset):
    split = load(dataset, "validation")
    plan = [torch.tensor([5, 0, 3]), torch.tensor([2]), torch.tensor([5, 5])]
    batches = list(split.batches(plan))
    assert [len(batch.y) for batch in batches] == [3, 1, 2]
    whole = next(split.batches([torch.arange(6)]))
    for rows, batch in zip(plan, batches, strict=True):
        for got, wanted in zip(batch[:3], whole[:3], strict=True):
            assert torch.equal(got, wanted[rows])
    assert not list(split.batches([]))


def test_augmentation_depends_on_seed_and_sample_only(dataset):
    split = load(dataset, "validation")

    def augmented(rows, seed):
        return next(split.batches([torch.tensor(rows)], augmentation_seed=seed)).x

    assert torch.equal(augmented([0, 1, 2], 4)[[2, 0]], augmented([2, 0], 4))
    assert augmented([0, 1], 4).shape == next(split.batches([torch.tensor([0, 1])])).x.shape


def test_an_unknown_part_is_refused(dataset):
    with pytest.raises(InputError, match="part must be train, validation, test, got 'dev'"):
        dataset.load("dev")


def test_identifiers_hold_every_number_or_are_none(dataset):
    for part in PARTS:
        split = load(dataset, part)
        identifiers = split.identifiers()
        assert identifiers is None or set(numbers(split).tolist()) <= set(identifiers)


def test_fetching_leaves_the_global_generator(dataset):
    split, state = load(dataset, "validation"), torch.random.get_rng_state()
    list(split.batches([torch.arange(2)], augmentation_seed=3))
    assert torch.equal(torch.random.get_rng_state(), state)
