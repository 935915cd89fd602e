"""Pairs of the user's own: every sample is checked, names and paths are found through subsets, nothing global moves."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Subset, TensorDataset, random_split

from withstand.data.as_split import as_split
from withstand.data.images.digits import Digits
from withstand.data.wrapped import WrappedSplit
from withstand.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


class Named:
    """Images with class names and a list of files, as torchvision's ImageFolder has them."""

    def __init__(self, num_samples=6, attribute="samples"):
        self.classes = ["cat", "dog", "owl"]
        setattr(self, attribute, [(f"/data/{k}.png", k % 3) for k in range(num_samples)])
        self.num_samples, self.fetched = num_samples, []

    def __len__(self):
        return self.num_samples

    def __getitem__(self, row):
        self.fetched.append(row)
        return torch.full((3, 4, 4), row / 10), row % 3


def test_a_subset_of_a_split_is_that_split_with_fewer_rows():
    whole = Digits().load("test")
    wanted = whole.select(range(20, 5, -2))
    for part in (
        Subset(whole, range(20, 5, -2)),
        Subset(Subset(whole, range(30)), range(20, 5, -2)),
        Subset(whole, np.arange(20, 5, -2).tolist()),
    ):
        found = as_split(part, "test")
        assert type(found) is type(whole)
        assert found.classes == whole.classes
        for values, same in zip(*(next(each.batches([torch.arange(8)])) for each in (found, wanted)), strict=True):
            assert (values is None and same is None) or torch.equal(values, same)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (Subset(Digits(), [0]), r"^data: .*got Digits"),
        (Subset(WrappedSplit([(torch.zeros(2), 0)]), [0]), r"^data: .*got WrappedSplit"),
        (ConcatDataset([Digits().load("test"), Digits().load("test")]), "^data: a ConcatDataset .*got a split"),
        (Subset(Digits().load("test"), [0, 400]), "^data: rows must be 0 to 358, got 0 to 400"),
        (Subset(Digits().load("test"), [-1]), "^data: rows must be 0 to 358, got -1"),
    ],
)
def test_splits_that_cannot_be_combined_are_one_sentence(data, sentence):
    with pytest.raises(InputError, match=sentence):
        as_split(data, "test")


def table(num_samples=6):
    return [(torch.arange(4.0) + row, row % 3) for row in range(num_samples)]


def with_sample(row, x=None, y=None):
    samples = table()
    samples[row] = (samples[row][0] if x is None else x, samples[row][1] if y is None else y)
    return samples


def batches(split, plan=((0, 1, 2), (3, 4, 5)), **options):
    return [tuple(each)[:3] for each in split.batches([torch.tensor(rows) for rows in plan], **options)]


def refusal(pairs, workers=0, **options):
    with pytest.raises(InputError) as caught:
        batches(WrappedSplit(pairs, **options), num_workers=workers)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shape", [(4,), (3, 4, 4), (2, 3)])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_refused_by_sample(shape, value, workers):
    samples = [(torch.full(shape, 0.5), k % 2) for k in range(6)]
    samples[4][0].view(-1)[1] = value
    assert "sample 4" in refusal(samples, workers)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ({"y": 1.0}, "1.0"),
        ({"y": torch.tensor(1.0)}, "1.0"),
        ({"y": np.float32(1)}, "1.0"),
        ({"y": -1}, "-1"),
        ({"y": torch.tensor(-2)}, "-2"),
        ({"y": 3}, "3"),
        ({"y": "dog"}, "dog"),
        ({"y": torch.tensor([0.0, 1.0, 0.0])}, "float32"),
        ({"x": torch.ones(5)}, "(5,)"),
        ({"x": [1.0, 2.0]}, "list"),
    ],
)
def test_a_sample_that_does_not_fit_is_named_with_what_came(bad, word, workers):
    said = refusal(with_sample(4, **bad), workers, num_classes=3)
    assert "sample 4" in said
    assert word in said


def test_every_label_is_checked_when_they_are_counted_too():
    assert "sample 5" in refusal(with_sample(5, y=0.5))
    assert "sample 0" in refusal(with_sample(0, y=0.5))


def test_an_image_outside_the_unit_interval_is_named():
    samples = [(torch.full((1, 2, 2), 0.5), 0) for _ in range(6)]
    samples[3][0][0, 0, 0] = 1.5
    assert "1.5 in sample 3" in refusal(samples)


def test_images_without_pixels_are_refused():
    assert "(3, 0, 4)" in refusal([(torch.zeros(3, 0, 4), 0)])


@pytest.mark.parametrize("make", [int, np.int64, np.uint8, torch.tensor, np.array, lambda k: torch.tensor([k])])
def test_labels_may_be_whole_numbers_of_any_kind(make):
    found = batches(WrappedSplit([(x, make(y)) for x, y in table()]))
    assert torch.equal(torch.cat([y for _, y, _ in found]), torch.tensor([0, 1, 2, 0, 1, 2]))
    assert all(y.dtype == torch.int64 for _, y, _ in found)


def test_an_empty_batch_of_a_plan_stays_empty_and_asks_for_no_sample():
    pairs = Named()
    split, pairs.fetched = WrappedSplit(pairs), []
    (x, y, numbers), _ = batches(split, plan=[[], [2]])
    assert x.shape == (0, 3, 4, 4)
    assert len(y) == len(numbers) == 0
    assert pairs.fetched == [2]


def test_bytes_become_255ths():
    x = torch.tensor([[[0, 51, 255]]], dtype=torch.uint8)
    (found, _, _) = batches(WrappedSplit([(x, 0)], num_classes=2), plan=[[0]])[0]
    assert torch.equal(found, torch.tensor([[[[0.0, 51 / 255, 1.0]]]]))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_global_generator_stays_where_it_is(workers):
    state = torch.random.get_rng_state()
    split = WrappedSplit(TensorDataset(torch.rand(6, 4, generator=torch.Generator()), torch.arange(6) % 3))
    batches(split, num_workers=workers)
    assert torch.equal(torch.random.get_rng_state(), state)


class Noisy:
    """Draws from the global generator, as random transforms do."""

    def __len__(self):
        return 6

    def __getitem__(self, row):
        return torch.rand(3), row % 2


def test_looking_at_a_random_data_set_moves_no_generator():
    state = torch.random.get_rng_state()
    WrappedSplit(Noisy())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_draws_of_workers_depend_on_the_seed_of_the_augmentation():
    split = WrappedSplit(Noisy(), num_classes=2)
    one, same, other = (batches(split, num_workers=2, augmentation_seed=seed)[0][0] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    "pairs",
    [
        Named(),
        Subset(Named(), [0, 2]),
        Subset(Subset(Named(), [0, 2, 3]), [1]),
        random_split(Named(), [2, 4], generator=torch.Generator())[1],
        ConcatDataset([Named(), Subset(Named(), [1])]),
    ],
)
def test_names_of_classes_come_from_the_data_set_underneath(pairs):
    assert WrappedSplit(pairs).classes == ("cat", "dog", "owl")


def test_without_names_the_number_of_classes_is_given_or_counted():
    assert WrappedSplit(table()).classes == ("0", "1", "2")
    assert len(WrappedSplit(table(), num_classes=10).classes) == 10
    assert WrappedSplit(Named(), num_classes=5).classes == ("0", "1", "2", "3", "4")
    assert WrappedSplit(Named(), num_classes=3).classes == ("cat", "dog", "owl")
    with pytest.raises(InputError):
        WrappedSplit(table(), num_classes=0)


def test_a_given_number_of_classes_spares_reading_every_label():
    pairs = Named()
    pairs.classes = None
    split = as_split(pairs, "test", num_classes=7)
    assert len(split.classes) == 7
    assert pairs.fetched == [0]


def test_names_of_the_data_set_come_before_the_outputs_of_the_model():
    assert as_split(Named(), "test", num_classes=7).classes == ("cat", "dog", "owl")
    assert as_split(Digits(), "test", num_classes=7).classes == Digits().load("test").classes
    split = WrappedSplit(table())
    assert as_split(split, "train") is split
    with pytest.raises(InputError, match="got int"):
        as_split(7, "train")


@pytest.mark.parametrize("attribute", ["samples", "imgs"])
def test_paths_are_found_by_number_through_subsets(attribute):
    whole = Named(attribute=attribute)
    subset = Subset(Subset(whole, [5, 3, 1]), [2, 0])
    for pairs, paths in [(whole, range(6)), (subset, [1, 5]), (ConcatDataset([subset, whole]), [1, 5, *range(6)])]:
        split = WrappedSplit(pairs)
        identifiers = split.identifiers()
        assert identifiers is not None
        for x, _, numbers in batches(split, plan=[[1], [0]]):
            assert identifiers[int(numbers)] == f"/data/{round(float(x[0, 0, 0, 0]) * 10)}.png"
        assert [identifiers[k] for k in range(len(split))] == [f"/data/{k}.png" for k in paths]


@pytest.mark.parametrize("pairs", [table(), TensorDataset(torch.zeros(3, 2), torch.arange(3))])
def test_pairs_without_files_have_no_identifiers(pairs):
    assert WrappedSplit(pairs).identifiers() is None


def test_torchvisions_image_folder_is_understood(tmp_path):
    datasets = pytest.importorskip("torchvision.datasets")
    transforms = pytest.importorskip("torchvision.transforms")
    for name in ("cat/1.png", "cat/2.png", "dog/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    pairs = datasets.ImageFolder(str(tmp_path), transform=transforms.ToTensor())
    split = WrappedSplit(Subset(pairs, [2]))
    assert split.classes == ("cat", "dog")
    assert split.identifiers() == {0: str(tmp_path / "dog/3.png")}
    assert batches(split, plan=[[0]])[0][1].tolist() == [1]
