import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from withstand.copies.image_tree import ImageTree
from withstand.copies.layout import CorruptedCopy
from withstand.copies.writing import write_copy
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import row_streams
from withstand.perturbations.corruptions.imagenet_c.gaussian_noise import GaussianNoise

SIZES = [(40, 36), (250, 230), (36, 300)]


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "source"
    root.mkdir()
    for number, (width, height) in enumerate(SIZES):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{number}.png")
    (root / "boxes.json").write_text("{}")
    return root


def copy(source, severities=(2,), **fields):
    corruptions = tuple(GaussianNoise(severity=each) for each in severities)
    return CorruptedCopy(data=ImageTree(path=str(source)), corruptions=corruptions, format="same", **fields)


def test_noise_depends_on_the_seed_and_the_place_and_its_strength_on_the_nearest_size(source, tmp_path):
    write_copy(copy(source, seed=7), tmp_path / "out")
    for number, pixels in enumerate((32, 224, 32)):
        corruption = GaussianNoise(severity=2, pixels=pixels)
        with Image.open(source / f"{number}.png") as image:
            x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        rng = row_streams(7, corruption.noise, index=torch.tensor([number]))
        space = Space(shape=tuple(x.shape[1:]), box=(0.0, 1.0))
        y = torch.zeros(1, dtype=torch.int64)
        expected = corruption.draw(x, y, nn.Identity(), space=space, num_draws=1, rng=rng).inputs[0, 0]
        with Image.open(tmp_path / "out" / "gaussian_noise" / "2" / f"{number}.png") as image:
            found = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        assert torch.equal(found, (expected * 255).round().byte())


def test_other_files_are_in_every_cell_without_links_too(source, tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError("no links here")

    for name in ("linked", "copied"):
        write_copy(copy(source, severities=(1, 2, 3)), tmp_path / name)
        for severity in "123":
            assert (tmp_path / name / "gaussian_noise" / severity / "boxes.json").read_text() == "{}"
        monkeypatch.setattr("os.link", no_links)
    assert (source / "boxes.json").stat().st_nlink == 1
    assert (tmp_path / "copied" / "gaussian_noise" / "1" / "boxes.json").stat().st_nlink == 1


def test_arrays_of_images_of_several_sizes_are_refused(source):
    with pytest.raises(InputError, match="arrays hold images of one size"):
        CorruptedCopy(
            data=ImageTree(path=str(source)),
            corruptions=tuple(GaussianNoise(severity=each) for each in range(1, 6)),
            format="npy",
        )
