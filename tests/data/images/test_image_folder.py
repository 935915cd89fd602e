import logging
import os
import sys

import pytest
import torch
from PIL import Image

from withstand.data.images.image_folder import ImageFolder
from withstand.errors import InputError


def grow(folder, **classes):
    """Write an image folder; a class's images are named after their number."""
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for k in range(count):
            Image.new("RGB", (12, 10), (k, 0, 0)).save(folder / name / f"{k:03d}.png")


def load(root, part="test", **fields):
    return ImageFolder(root=str(root), **({"pixels": 8, "resize": 8} | fields)).load(part)


def test_a_root_of_class_folders_is_a_test_part(tmp_path):
    grow(tmp_path, dog=2, cat=3)
    split = load(tmp_path)
    assert split.classes == ("cat", "dog")
    assert split.files == ["cat/000.png", "cat/001.png", "cat/002.png", "dog/000.png", "dog/001.png"]
    assert split.y.tolist() == [0, 0, 0, 1, 1]
    (batch,) = split.batches([torch.arange(5)])
    assert (batch.x[:, 0, 0, 0] * 255).tolist() == [0, 1, 2, 0, 1]
    for part in ("train", "validation"):
        with pytest.raises(InputError, match="has no folder 'train', so it can only serve as test part"):
            load(tmp_path, part)


def test_validation_is_cut_from_training_or_has_its_own_folder(tmp_path):
    grow(tmp_path / "train", cat=20, dog=30)
    grow(tmp_path / "val", cat=3, dog=4)
    grow(tmp_path / "test", cat=1, dog=1)
    train, validation = load(tmp_path, "train"), load(tmp_path, "validation")
    assert (len(train), len(validation), len(load(tmp_path))) == (45, 5, 7)
    assert validation.y.bincount().tolist() == [2, 3]
    assert sorted([*train.files, *validation.files]) == load(tmp_path, "train", validation="val").files
    assert torch.equal(torch.cat([train.numbers, validation.numbers]).sort().values, torch.arange(50))
    assert len(load(tmp_path, "validation", validation="val", test="test")) == 7
    assert len(load(tmp_path, "test", validation="val", test="test")) == 2


def test_labels_are_ranks_among_the_training_folders(tmp_path):
    grow(tmp_path / "train", ant=5, bee=5, cat=5)
    grow(tmp_path / "val", cat=1, bee=1)
    split = load(tmp_path)
    assert split.classes == ("ant", "bee", "cat")
    assert split.y.tolist() == [1, 2]
    grow(tmp_path / "val", dog=1)
    with pytest.raises(InputError, match=r"class folder .*val/dog does not occur in .*/train"):
        load(tmp_path)


def test_hidden_and_other_files_are_passed_over_and_deeper_folders_are_read(tmp_path):
    grow(tmp_path, cat=1, dog=1)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "cat" / "._000.png").write_bytes(b"")
    (tmp_path / "cat" / "notes.txt").write_text("hello")
    grow(tmp_path / "dog", images=2)
    Image.new("L", (9, 9)).save(tmp_path / "cat" / "B.JPEG")
    assert load(tmp_path).files == [
        "cat/000.png",
        "cat/B.JPEG",
        "dog/000.png",
        "dog/images/000.png",
        "dog/images/001.png",
    ]


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(InputError, match=r"ImageFolder: root must be a folder, found none at .*nowhere"):
        load(tmp_path / "nowhere")
    for part in ("train", "validation", "test"):
        with pytest.raises(InputError, match=r"expected one folder of images per class in .*, found nothing"):
            load(tmp_path, part)
    (tmp_path / "a.png").write_bytes(b"")
    for part in ("train", "validation", "test"):
        with pytest.raises(InputError, match=r"found only files \(1\)"):
            load(tmp_path, part)
    grow(tmp_path, cat=1)
    with pytest.raises(InputError, match=r"expected at least two class folders in .*, got only 'cat'"):
        load(tmp_path)
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"expected at least two class folders in .*, got only 'cat'"):
        load(tmp_path)
    (tmp_path / "cat" / "000.png").unlink()
    with pytest.raises(InputError, match=r"expected images in the class folders of .*, found none \(\.jpg"):
        load(tmp_path)


def test_empty_class_folders_are_like_missing_ones(tmp_path):
    grow(tmp_path / "train", cat=10, dog=10, yak=0)
    grow(tmp_path / "val", cat=0, dog=2, emu=0)
    assert load(tmp_path, "train").classes == ("cat", "dog")
    split = load(tmp_path)
    assert (split.classes, split.files, split.y.tolist()) == (("cat", "dog"), ["dog/000.png", "dog/001.png"], [1, 1])
    grow(tmp_path / "val", yak=1)
    with pytest.raises(InputError, match=r"class folder .*val/yak does not occur in .*train"):
        load(tmp_path)


def test_a_missing_part_names_the_parts_that_are_there(tmp_path):
    grow(tmp_path / "train", cat=1, dog=1)
    grow(tmp_path / "test", cat=1, dog=1)
    with pytest.raises(InputError, match=r"has no folder 'val', found train, test; name another with --data\.test"):
        load(tmp_path)
    with pytest.raises(InputError, match=r"has no folder 'dev', found train, test; .*--data\.validation"):
        load(tmp_path, "validation", validation="dev")


@pytest.mark.parametrize(("train", "test"), [("Train", "valid"), ("training", "Test"), ("TRAIN", "Validation")])
def test_other_usual_names_of_parts_are_suggested(tmp_path, train, test):
    grow(tmp_path / train, cat=1, dog=1)
    grow(tmp_path / test, cat=1, dog=1)
    for part in ("train", "test"):
        with pytest.raises(InputError, match=rf"has no folder .*, found {train}, {test}; .*--data\.{part}"):
            load(tmp_path, part)
    assert len(load(tmp_path, train=train, test=test)) == 2


def test_loops_of_links_neither_end_nor_double_anything(tmp_path):
    root = tmp_path / "photos"
    grow(root, cat=2, dog=3)
    expected = load(root).files
    (root / "cat" / "up").symlink_to("..")
    (root / "cat" / "itself").symlink_to(".")
    (root / "dog" / "cats").symlink_to("../cat")
    (root / "all").symlink_to(".")
    (root / "latest").symlink_to("dog")
    (root / "dog" / "one").symlink_to("two")
    (root / "dog" / "two").symlink_to("one")
    (root / "dog" / "x.png").symlink_to("y.png")
    (root / "dog" / "y.png").symlink_to("x.png")
    split = load(root)
    assert (split.files, split.classes) == (expected, ("cat", "dog"))


def test_links_to_other_places_are_followed(tmp_path):
    grow(tmp_path / "elsewhere", cats=2, dogs=1)
    (tmp_path / "photos").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).symlink_to(tmp_path / "elsewhere" / f"{name}s")
    assert load(tmp_path / "photos").files == ["cat/000.png", "cat/001.png", "dog/000.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system with any bytes in names")
def test_names_need_not_be_utf8(tmp_path):
    grow(tmp_path, cat=1)
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    Image.new("RGB", (12, 10), (7, 0, 0)).save(folder / os.fsdecode(b"\xff.png"))
    split = load(tmp_path)
    assert split.classes == ("caf\\xe9", "cat")
    assert split.identifiers()[0] == "caf\\xe9/\\xff.png"
    (batch,) = split.batches([torch.arange(2)])
    assert (batch.x[:, 0, 0, 0] * 255).tolist() == [7, 0]


def turned_images(root):
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("cat/1.jpg", "dog/2.jpg", "dog/3.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 10), "red").save(root / name, **({"exif": exif} if name != "dog/2.jpg" else {}))


def test_ignored_orientation_tags_are_counted_in_one_warning(tmp_path, caplog):
    turned_images(tmp_path)
    for orientation, expected in (("apply", []), ("ignore", ["2 of 3 images"])):
        caplog.clear()
        split = load(tmp_path, orientation=orientation)
        with caplog.at_level(logging.WARNING, logger="withstand"):
            for _ in range(2):
                list(split.batches([torch.tensor([0]), torch.tensor([1, 2])]))
        assert len(caplog.messages) == len(expected)
        assert all(words in message for words, message in zip(expected, caplog.messages, strict=True))


def test_a_class_map_gives_numbers_and_names(tmp_path):
    grow(tmp_path / "val", tabby=1, lynx=2)
    (tmp_path / "map.txt").write_text("tabby 3\nlynx 1\nwolf 0\n")
    split = load(tmp_path, class_map=str(tmp_path / "map.txt"))
    assert split.classes == ("wolf", "lynx", "2", "tabby")
    assert split.y.tolist() == [1, 1, 3]
    grow(tmp_path / "val", fox=1)
    with pytest.raises(InputError, match=r"class folder .*val/fox does not occur in the class map .*map\.txt"):
        load(tmp_path, class_map=str(tmp_path / "map.txt"))


def test_a_class_map_of_the_folders_that_are_there_does_not_decide_the_number_of_classes(tmp_path):
    grow(tmp_path, tabby=1, lynx=2)
    (tmp_path / "map.json").write_text('{"tabby": 281, "lynx": 287}')
    assert len(load(tmp_path, class_map=str(tmp_path / "map.json")).classes) == 288
    split = load(tmp_path, class_map=str(tmp_path / "map.json"), num_classes=1000)
    assert len(split.classes) == 1000
    assert (split.classes[281], split.classes[287]) == ("tabby", "lynx")
    assert split.y.tolist() == [287, 287, 281]


def test_without_a_class_map_another_number_of_classes_is_refused(tmp_path):
    grow(tmp_path, tabby=1, lynx=2)
    assert len(load(tmp_path, num_classes=2).classes) == 2
    with pytest.raises(InputError, match=r"expected 1,000 class folders in .*, got 2; a class_map"):
        load(tmp_path, num_classes=1000)


def test_with_a_class_map_one_folder_is_enough(tmp_path):
    grow(tmp_path, lynx=2)
    (tmp_path / "map.json").write_text('{"lynx": 1}')
    assert load(tmp_path, class_map=str(tmp_path / "map.json")).y.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"validation_share": 1.0}, "ImageFolder: validation_share must be"),
        ({"pixels": 300}, r"ImageFolder: resize must be at least pixels \(300\), got 256"),
        ({"on_bad_image": "no"}, "ImageFolder: on_bad_image must be error or skip"),
    ],
)
def test_bad_fields_are_refused_at_once(fields, message):
    with pytest.raises(InputError, match=message):
        ImageFolder(root="r", **fields)


def test_an_unknown_part_is_refused(tmp_path):
    with pytest.raises(InputError, match="ImageFolder: the part must be"):
        load(tmp_path, "val")


def test_the_real_sample_has_200_images_and_every_fifth_imagenet_class(data_root):
    split = load(data_root / "imagenet-sample")
    assert len(split) == 200
    assert split.y.tolist() == list(range(200))
    pytest.importorskip("timm", exc_type=(ImportError, RuntimeError))
    mapped = load(data_root / "imagenet-sample", class_map="imagenet")
    assert mapped.y.tolist() == list(range(0, 1000, 5))
    assert len(mapped.classes) == 1000
    assert mapped.classes[5] == split.classes[1]
    clean = load(data_root / "imagenet-c" / "clean", class_map="imagenet")
    assert clean.y.tolist() == [0]
