import pytest
import torch
from PIL import Image

from withstand.data.corrupted.imagenet_c_files import ImagenetCFiles
from withstand.errors import InputError

SHIFTS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]


def grow(folder, *classes):
    for name in classes:
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (224, 224)).save(folder / name / "ILSVRC2012_val_00000001.JPEG", quality=85)


@pytest.fixture
def numbers():
    pytest.importorskip("timm", exc_type=(ImportError, RuntimeError))


@pytest.mark.parametrize("place", [".", "imagenet-c", "ImageNet-C/weather"])
def test_the_published_layouts_are_read_and_classes_keep_their_numbers(tmp_path, place, numbers):
    grow(tmp_path / place / "fog" / "3", "n01443537", "n15075141")
    cells = ImagenetCFiles(root=str(tmp_path)).cells()
    assert cells == {"fog+jpeg/3": ImagenetCFiles(root=str(tmp_path), corruption="fog", severity=3)}
    split = cells["fog+jpeg/3"].load("test")
    assert split.y.tolist() == [1, 999]
    assert (len(split.classes), split.shape) == (1000, (3, 224, 224))


def test_the_data_root_is_looked_at_by_default(tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path))
    grow(tmp_path / "imagenet-c" / "fog" / "3", "n01443537")
    assert list(ImagenetCFiles().cells()) == ["fog+jpeg/3"]
    assert len(ImagenetCFiles().missing()) == 74


def test_clean_images_are_resized_to_256(tmp_path, numbers):
    grow(tmp_path / "fog" / "3", "n01443537")
    grow(tmp_path / "val", "n01440764", "n01443537")
    cells = ImagenetCFiles(root=str(tmp_path), clean=str(tmp_path / "val")).cells()
    assert list(cells) == ["clean", "fog+jpeg/3"]
    split = cells["clean"].load("test")
    assert (split.y.tolist(), split.resize) == ([0, 1], 256)


def test_messages_name_the_data_set(tmp_path):
    with pytest.raises(InputError, match=r"^ImagenetCFiles: expected images in .*, found none; say where with --data"):
        ImagenetCFiles(root=str(tmp_path)).cells()
    with pytest.raises(InputError, match=r"^ImagenetCFiles: severity must be from 1 to 5, got 0\.$"):
        ImagenetCFiles(severity=0)
    with pytest.raises(InputError, match=r"^ImagenetCFiles: on_bad_image must be error or skip"):
        ImagenetCFiles(on_bad_image="no")  # type: ignore[arg-type]


def test_the_real_sample_is_one_published_image(data_root, numbers):
    if not (data_root / "imagenet-c" / "defocus_blur").is_dir():
        pytest.skip(f"{data_root} holds no imagenet-c")
    sample = ImagenetCFiles(root=str(data_root), clean=str(data_root / "imagenet-c" / "clean"))
    cells = sample.cells()
    assert list(cells) == ["clean", "defocus_blur+jpeg/1"]
    assert len(sample.missing()) == 74
    images = []
    for cell in cells.values():
        (batch,) = cell.load("test").batches([torch.tensor([0])])
        assert batch.y.tolist() == [0]
        images.append(batch.x)
    # Blurred, and else the same picture at the same place: the crop is the one that it was made from.
    clean, blurred = images
    assert blurred.diff(dim=3).abs().mean() < 0.5 * clean.diff(dim=3).abs().mean()
    distance = {shift: float((clean.roll(shift, dims=(2, 3)) - blurred).abs().mean()) for shift in SHIFTS}
    assert min(distance, key=lambda shift: distance[shift]) == (0, 0)
