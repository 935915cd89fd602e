import numpy as np
import pytest
import torch

from withstand.conditions import MNIST_C
from withstand.data.corrupted.cells import Gap
from withstand.data.corrupted.mnist_c import MnistC
from withstand.errors import InputError

COUNT = 5


def grow(root, *names, count=COUNT, shape=(28, 28, 1), labels=(3, 0, 9, 1, 3)):
    for seed, name in enumerate(names):
        (root / name).mkdir(parents=True, exist_ok=True)
        images = np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)
        np.save(root / name / "test_images.npy", images)
        np.save(root / name / "test_labels.npy", np.array(labels[:count]))


def data(root, **fields):
    return MnistC(root=str(root), **fields)


@pytest.mark.parametrize("folder", ["mnist_c", "MNIST-C", "mnist-c", "."])
def test_a_folder_is_a_cell_and_the_one_without_corruption_is_clean(tmp_path, folder):
    grow(tmp_path / folder, "fog", "identity", "shot_noise")
    cells = data(tmp_path).cells()
    assert list(cells) == ["clean", "mnist_shot_noise/1", "mnist_fog/1"]
    for seed, name in enumerate(("mnist_fog/1", "clean")):
        split = cells[name].load("test")
        (batch,) = split.batches([torch.arange(COUNT)])
        expected = np.random.default_rng(seed).integers(0, 256, (COUNT, 28, 28, 1), dtype=np.uint8)
        assert torch.equal(batch.x, torch.tensor(expected.transpose(0, 3, 1, 2)).float() / 255)
        assert batch.y.tolist() == [3, 0, 9, 1, 3]
        assert split.classes == tuple("0123456789")


def test_a_cell_is_chosen_by_its_corruption_with_or_without_the_severity(tmp_path):
    grow(tmp_path, "fog", "identity")
    assert list(data(tmp_path, corruption="mnist_fog").cells()) == ["mnist_fog/1"]
    assert list(data(tmp_path, corruption="clean").cells()) == ["clean"]
    one, other = (data(tmp_path, corruption="mnist_fog", severity=each).load("test") for each in (None, 1))
    assert np.array_equal(one.images, other.images)
    assert list(data(tmp_path, severity=1).cells()) == ["clean", "mnist_fog/1"]
    with pytest.raises(InputError, match="none of mnist_zigzag"):
        data(tmp_path, corruption="mnist_zigzag").cells()
    with pytest.raises(InputError, match="one cell at a time"):
        data(tmp_path).load("test")
    with pytest.raises(InputError, match="test part only"):
        data(tmp_path, corruption="mnist_fog").load("train")


def test_absent_and_partial_cells_are_reported(tmp_path):
    grow(tmp_path, *(name.removeprefix("mnist_") for name in MNIST_C if name != "mnist_scale"))
    assert data(tmp_path).missing() == [Gap("mnist_scale/1", 0, COUNT)]
    grow(tmp_path, "scale", count=3)
    assert data(tmp_path).missing() == [Gap("mnist_scale/1", 3, COUNT)]
    assert data(tmp_path, corruption="mnist_fog").missing() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (32, 32, 1)}, "28 x 28"),
        ({"shape": (28, 28, 3)}, "28 x 28"),
        ({"labels": (1, 2)}, "2 labels"),
        ({"labels": (1, 2, 3, 4, 10)}, "0 to 9"),
    ],
)
def test_arrays_of_another_form_are_refused(tmp_path, change, message):
    grow(tmp_path, "fog", **change)
    with pytest.raises(InputError, match=message):
        data(tmp_path, corruption="mnist_fog").load("test")


@pytest.mark.parametrize("fields", [{"corruption": "fog"}, {"severity": 2}, {"corruption": "mnist_rain"}])
def test_names_without_a_cell_are_refused_at_once(fields):
    with pytest.raises(InputError, match=next(iter(fields))):
        data("r", **fields)


def test_where_there_is_nothing_the_places_are_named(tmp_path):
    with pytest.raises(InputError, match=r"fog/test_images\.npy"):
        data(tmp_path).cells()
