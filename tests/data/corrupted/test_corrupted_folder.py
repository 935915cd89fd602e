import logging
import re

import pytest
import torch
from PIL import Image

from withstand.conditions import CORRUPTIONS, IMAGENET_C
from withstand.data.corrupted.cells import Gap
from withstand.data.corrupted.corrupted_folder import CorruptedFolder
from withstand.errors import InputError


def grow(folder, *, suffix=".png", **classes):
    """Write a cell; a class's images are named after their number, which is the value of their pixels, too."""
    for name, count in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for k in range(count):
            Image.new("RGB", (12, 10), (k, 0, 0)).save(folder / name / f"{k:03d}{suffix}")


def data(root, **fields):
    return CorruptedFolder(root=str(root), **({"pixels": 8} | fields))


def test_every_cell_is_a_data_set_of_its_own_in_the_published_order(tmp_path):
    for cell in ("snow/1", "fog/5", "fog/2", "saturate/3", "gaussian_noise/4"):
        grow(tmp_path / cell, cat=1, dog=2)
    cells = data(tmp_path).cells()
    assert list(cells) == ["gaussian_noise/4", "snow/1", "fog/2", "fog/5", "saturate/3"]
    assert cells["fog/5"] == data(tmp_path, corruption="fog", severity=5)
    assert cells["fog/5"].cells() == {"fog/5": cells["fog/5"]}
    assert len(cells["fog/5"].load("test")) == 3


def test_the_centre_is_cut_out_and_nothing_is_resized(tmp_path):
    image = Image.new("RGB", (12, 10))
    image.putdata([(x, y, 0) for y in range(10) for x in range(12)])
    for name in ("cat", "dog"):
        (tmp_path / "fog" / "3" / name).mkdir(parents=True)
        image.save(tmp_path / "fog" / "3" / name / "a.png")
    split = data(tmp_path, corruption="fog", severity=3).load("test")
    assert split.shape == (3, 8, 8)
    (batch,) = split.batches([torch.tensor([0])])
    assert (batch.x[0, 0, 0] * 255).tolist() == list(range(2, 10))
    assert (batch.x[0, 1, :, 0] * 255).tolist() == list(range(1, 9))


def test_the_name_says_whether_images_were_saved_as_jpeg(tmp_path):
    grow(tmp_path / "fog" / "1", suffix=".JPEG", cat=1, dog=1)
    grow(tmp_path / "fog" / "2", suffix=".jpg", cat=1, dog=1)
    grow(tmp_path / "snow" / "1", suffix=".PNG", cat=1, dog=1)
    assert list(data(tmp_path).cells()) == ["snow/1", "fog+jpeg/1", "fog+jpeg/2"]


def test_files_of_two_kinds_in_a_cell_or_of_an_unknown_kind_are_refused(tmp_path):
    grow(tmp_path / "fog" / "1", cat=2, dog=1)
    Image.new("RGB", (9, 9)).save(tmp_path / "fog" / "1" / "dog" / "z.jpg")
    with pytest.raises(InputError, match=r"fog/1 must hold files of one kind, got dog/z\.jpg and cat/000\.png\.$"):
        data(tmp_path, corruption="fog", severity=1).load("test")
    grow(tmp_path / "fog" / "2", suffix=".webp", cat=1)
    with pytest.raises(InputError, match=r"fog/2/cat/000\.webp must be a JPEG or a PNG file"):
        data(tmp_path).cells()


def test_folders_of_the_published_archives_may_lie_in_between(tmp_path):
    grow(tmp_path / "weather" / "fog" / "1", cat=1, dog=1)
    grow(tmp_path / "extra" / "saturate" / "1", cat=1, dog=1)
    grow(tmp_path / "contrast" / "1", cat=1, dog=1)
    cells = data(tmp_path).cells()
    assert list(cells) == ["fog/1", "contrast/1", "saturate/1"]
    assert all(len(cell.load("test")) == 2 for cell in cells.values())
    grow(tmp_path / "fog" / "1", cat=1, dog=1)
    with pytest.raises(InputError, match=r"a cell must have one folder, got .*/fog/1 and .*/weather/fog/1\."):
        data(tmp_path).cells()


def test_classes_are_numbered_alike_in_every_cell_also_in_partial_ones(tmp_path):
    grow(tmp_path / "fog" / "1", ant=1, cat=1)
    grow(tmp_path / "snow" / "5", bee=1, cat=1)
    (tmp_path / "snow" / "5" / "ant").mkdir()
    first, second = (cell.load("test") for cell in data(tmp_path).cells().values())
    assert first.classes == second.classes == ("ant", "bee", "cat")
    assert (first.files, first.y.tolist()) == (["bee/000.png", "cat/000.png"], [1, 2])
    assert second.y.tolist() == [0, 2]


def test_a_class_map_gives_the_numbers(tmp_path):
    grow(tmp_path / "fog" / "1", cat=2)
    (tmp_path / "map.json").write_text('{"cat": 3}')
    cells = data(tmp_path, class_map=str(tmp_path / "map.json")).cells()
    assert cells["fog/1"].load("test").y.tolist() == [3, 3]
    with pytest.raises(InputError, match=r"expected at least two class folders in .*, got only 'cat'"):
        data(tmp_path, corruption="fog", severity=1).load("test")
    grow(tmp_path / "fog" / "1", dog=1)
    with pytest.raises(InputError, match=r"class folder .*/dog does not occur in the class map"):
        cells["fog/1"].load("test")


def test_other_folders_are_ignored_with_one_warning(tmp_path, caplog):
    for place in ("fog/1", "fog/6", "clean", "weather/rain/1", "weather/snow/2", ".hidden/1"):
        grow(tmp_path / place, cat=1, dog=1)
    (tmp_path / "manifest.json").write_text("{}")
    with caplog.at_level(logging.WARNING, logger="withstand"):
        assert list(data(tmp_path).cells()) == ["snow/2", "fog/1"]
    (record,) = caplog.records
    sentence = "CorruptedFolder: no corruption and no severity, not read: clean, fog/6, weather/rain."
    assert record.getMessage() == sentence


def test_clean_images_become_the_cell_clean_and_are_resized(tmp_path, caplog):
    grow(tmp_path / "fog" / "1", ant=1, cat=1)
    grow(tmp_path / "clean", cat=2)
    whole = data(tmp_path, clean=str(tmp_path / "clean"), clean_resize=8)
    with caplog.at_level(logging.WARNING, logger="withstand"):
        cells = whole.cells()
    assert not caplog.records
    assert list(cells) == ["clean", "fog/1"]
    split = cells["clean"].load("test")
    assert (split.y.tolist(), split.resize, split.shape) == ([1, 1], 8, (3, 8, 8))
    assert next(split.batches([torch.arange(2)])).x.shape == (2, 3, 8, 8)
    assert list(cells["clean"].cells()) == ["clean"]
    assert not cells["clean"].missing()
    grow(tmp_path / "clean", dog=1)
    with pytest.raises(
        InputError, match=rf"class folder .*clean/dog does not occur in any cell of {re.escape(str(tmp_path))}\."
    ):
        cells["clean"].load("test")
    with pytest.raises(InputError, match=r"expected a folder with one folder of images per class at .*nowhere"):
        data(tmp_path, clean=str(tmp_path / "nowhere")).cells()


def test_a_complete_tree_misses_nothing(tmp_path):
    for name in IMAGENET_C:
        for severity in range(1, 6):
            grow(tmp_path / name / str(severity), cat=1)
    assert len(data(tmp_path).cells()) == 75
    assert data(tmp_path).missing() == []


def test_absent_and_partial_cells_are_reported_with_their_counts(tmp_path):
    for severity in range(1, 6):
        grow(tmp_path / "fog" / str(severity), suffix=".jpg", cat=3, dog=2)
    (tmp_path / "fog" / "4" / "dog" / "001.jpg").unlink()
    (tmp_path / "snow" / "1" / "cat").mkdir(parents=True)
    gaps = data(tmp_path).missing()
    assert len(gaps) == 71
    assert [gap for gap in gaps if gap.condition.startswith("fog")] == [Gap("fog+jpeg/4", 4, 5)]
    assert gaps[0] == Gap("gaussian_noise+jpeg/1", 0, 5)
    assert Gap("snow+jpeg/1", 0, 5) in gaps
    assert data(tmp_path, corruption="fog").missing() == [Gap("fog+jpeg/4", 4, 5)]
    assert len(data(tmp_path, severity=4).missing()) == 15
    # A partial cell is a cell; an empty one is none.
    assert len(data(tmp_path).cells()) == 5


def test_extra_corruptions_are_missed_only_where_some_of_them_is_there(tmp_path):
    grow(tmp_path / "spatter" / "2", cat=1, dog=1)
    conditions = [gap.condition for gap in data(tmp_path).missing()]
    assert conditions[-4:] == ["spatter/1", "spatter/3", "spatter/4", "spatter/5"]
    assert len(conditions) == 75 + 4


def test_a_tree_with_our_own_textures_of_frost_is_read(tmp_path):
    grow(tmp_path / "frost-procedural" / "2", cat=1, dog=1)
    assert list(data(tmp_path).cells()) == ["frost-procedural/2"]


@pytest.mark.parametrize("part", ["train", "validation"])
def test_there_is_a_test_part_only(tmp_path, part):
    with pytest.raises(InputError, match=f"CorruptedFolder: corrupted images are a test part only, got .*'{part}'"):
        data(tmp_path, corruption="fog", severity=1).load(part)


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"expected images in .*/<corruption>/<severity>/<class>/, .*, found none"):
        data(tmp_path / "nowhere").cells()
    with pytest.raises(InputError, match=r"expected images in .*, found none"):
        data(tmp_path).missing()
    with pytest.raises(InputError, match=r"expected folders of images, one per class, in .*/fog/3, found none"):
        data(tmp_path, corruption="fog", severity=3).load("test")
    grow(tmp_path / "snow" / "3", cat=1, dog=1)
    with pytest.raises(InputError, match=r"CorruptedFolder: .* holds corrupted images, but none of fog\.$"):
        data(tmp_path, corruption="fog").cells()
    with pytest.raises(InputError, match=r"holds corrupted images, but none of severity 2\.$"):
        data(tmp_path, severity=2).cells()
    with pytest.raises(InputError, match=r"one cell at a time is read; name its corruption"):
        data(tmp_path, corruption="fog").load("test")
    (tmp_path / "fog" / "3" / "cat").mkdir(parents=True)
    (tmp_path / "fog" / "3" / "dog").mkdir(parents=True)
    with pytest.raises(InputError, match=r"expected images in the class folders of .*fog/3, found none"):
        data(tmp_path, corruption="fog", severity=3).load("test")


def test_a_damaged_file_stops_or_is_left_out(tmp_path):
    grow(tmp_path / "fog" / "1", cat=2, dog=1)
    (tmp_path / "fog" / "1" / "cat" / "001.png").write_bytes(b"")
    plan = [torch.arange(3)]
    with pytest.raises(InputError, match=r"cat/001\.png cannot be read as an image \(it is empty\)"):
        list(data(tmp_path, corruption="fog", severity=1).load("test").batches(plan))
    split = data(tmp_path, corruption="fog", severity=1, on_bad_image="skip").load("test")
    assert [len(batch.y) for batch in split.batches(plan)] == [2]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"corruption": "frog"}, r"CorruptedFolder: corruption frog is not known; did you mean fog or frost\?"),
        ({"severity": 6}, "CorruptedFolder: severity must be from 1 to 5, got 6"),
        ({"corruption": "clean"}, "CorruptedFolder: corruption clean needs the field clean, and no severity"),
        ({"pixels": 0}, "CorruptedFolder: pixels must be at least 1"),
        ({"clean": "c", "clean_resize": 4}, r"CorruptedFolder: resize must be at least pixels \(8\), got 4"),
        ({"on_bad_image": "no"}, "CorruptedFolder: on_bad_image must be error or skip"),
    ],
)
def test_bad_fields_are_refused_at_once(fields, message):
    with pytest.raises(InputError, match=message):
        data("r", **fields)


def test_without_clean_images_their_size_does_not_matter():
    assert data("r", pixels=299).clean_resize == 256


def test_the_names_are_those_of_the_corruptions_in_memory():
    from withstand.perturbations.corruptions.suites import extras, imagenet_c

    names = [each.condition.removesuffix("/1") for each in (*imagenet_c(severities=(1,)), *extras(severities=(1,)))]
    assert names == [name for name in CORRUPTIONS if name in names]


def test_the_number_of_classes_may_be_given(tmp_path):
    grow(tmp_path / "fog" / "1", tabby=1, lynx=1)
    (tmp_path / "map.txt").write_text("tabby 3\nlynx 1\n")
    cell = data(tmp_path, class_map=str(tmp_path / "map.txt"), num_classes=10).cells()["fog/1"]
    assert len(cell.load("test").classes) == 10
    with pytest.raises(InputError, match=r"expected 10 class folders in any cell of .*, got 2"):
        data(tmp_path, corruption="fog", severity=1, num_classes=10).load("test")
    (tmp_path / "manifest.json").write_text('{"class_folders": {"tabby": 1, "lynx": 0}, "classes": ["a", "b", "c"]}')
    assert len(data(tmp_path, corruption="fog", severity=1, num_classes=3).load("test").classes) == 3
    with pytest.raises(InputError, match=r"num_classes must be 3 .*manifest\.json, got 10"):
        data(tmp_path, corruption="fog", severity=1, num_classes=10).load("test")


@pytest.mark.parametrize("names", [("2.35", "3.20", "4.90", "6.60", "10.00"), ("1", "2", "3", "4", "5")])
def test_folders_of_c_bar_are_called_by_severities_or_all_by_levels(tmp_path, names, caplog):
    for severity, name in enumerate(names, 1):
        grow(tmp_path / "caustic_refraction" / name, cat=severity, dog=1)
    cells = data(tmp_path).cells()
    assert list(cells) == [f"caustic_refraction/{severity}" for severity in range(1, 6)]
    assert [len(cell.load("test")) - 1 for cell in cells.values()] == [1, 2, 3, 4, 5]
    assert not caplog.records


def test_folders_called_by_some_of_the_levels_are_ignored_with_a_warning(tmp_path, caplog):
    for place in ("sparkles/1.00", "sparkles/2.00", "fog/1"):
        grow(tmp_path / place, cat=1, dog=1)
    assert list(data(tmp_path).cells()) == ["fog/1"]
    assert "sparkles/1.00" in caplog.text


def test_where_only_c_bar_is_there_imagenet_c_is_not_missed(tmp_path):
    grow(tmp_path / "sparkles" / "2", cat=1, dog=1)
    assert [gap.condition for gap in data(tmp_path).missing()] == [f"sparkles/{each}" for each in (1, 3, 4, 5)]
