import pytest
from PIL import Image

from withstand.data.images.imagenet import Imagenet
from withstand.errors import InputError


def grow(folder, names, count=1):
    for name in names:
        (folder / name).mkdir(parents=True)
        for k in range(count):
            (folder / name / f"{k}.JPEG").write_bytes(b"")


def load(root, part="test", **fields):
    return Imagenet(root=str(root), **fields).load(part)


@pytest.mark.parametrize("place", [".", "imagenet", "ILSVRC/Data/CLS-LOC"])
def test_1000_folders_are_numbered_by_rank(tmp_path, place):
    grow(tmp_path / place / "val", [f"n{k:08d}" for k in range(1000)])
    split = load(tmp_path)
    assert split.y.tolist() == list(range(1000))
    assert split.classes[7] == "n00000007"
    assert split.shape == (3, 224, 224)


def test_validation_is_cut_from_training(tmp_path):
    grow(tmp_path / "train", ["a", "b"], count=50)
    (tmp_path / "map.txt").write_text("a 0\nb 1\n")
    options = {"class_map": str(tmp_path / "map.txt")}
    train, validation = (load(tmp_path, part, **options) for part in ("train", "validation"))
    assert (len(train), len(validation)) == (98, 2)
    assert not set(train.files) & set(validation.files)
    assert len(train.classes) == len(validation.classes) == 1000


def test_fewer_folders_need_a_class_map(tmp_path):
    grow(tmp_path / "val", ["n01440764", "n01443537"])
    with pytest.raises(
        InputError, match=r"expected 1,000 class folders in .*val, got 2; with --data\.class_map imagen"
    ):
        load(tmp_path)


def test_folders_with_other_names_need_a_class_map(tmp_path):
    grow(tmp_path / "val", [f"class{k:03d}" for k in range(1000)])
    with pytest.raises(InputError, match=r"must have names such as n01440764, got 'class000'"):
        load(tmp_path)


def test_validation_images_that_are_not_sorted_into_folders_are_reported(tmp_path):
    (tmp_path / "val").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(InputError, match=r"expected one folder of images per class in .*val, found only files \(1\)"):
        load(tmp_path)


def test_nothing_to_read_and_bad_fields_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"Imagenet: expected imagenet/train or .* or train under"):
        load(tmp_path, "train")
    with pytest.raises(InputError, match="Imagenet: validation must be"):
        Imagenet(validation=1.0)
    with pytest.raises(InputError, match="Imagenet: resize must be at least pixels"):
        Imagenet(resize=100)


def test_the_real_sample_keeps_its_numbers(data_root):
    pytest.importorskip("timm", exc_type=(ImportError, RuntimeError))
    split = load(data_root / "imagenet-sample", class_map="imagenet")
    assert split.y.tolist() == list(range(0, 1000, 5))


def test_other_usual_names_of_parts_are_suggested(tmp_path):
    grow(tmp_path / "imagenet" / "Train", ["n00000001"])
    grow(tmp_path / "imagenet" / "valid", ["n00000001"])
    for part, name in (("train", "train"), ("test", "val")):
        with pytest.raises(
            InputError, match=rf"folder '{name}' under .*, found imagenet/Train, imagenet/valid; rename"
        ):
            load(tmp_path, part)
