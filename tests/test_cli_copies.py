"""Copies that keep sizes and names, as for detection and segmentation, from end to end."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from withstand.cli import main
from withstand.copies.layout import RECORDS
from withstand.files import hold


def run(words, capsys):
    """Return exit code, stdout and stderr of a command."""
    code = main([str(each) for each in words])
    found = capsys.readouterr()
    return code, found.out, found.err


def photo(path, size=(60, 44), seed=0, mode="RGB", **options):
    """Write a smooth picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).convert(mode).save(path, **options)


def content(folder):
    """Return the bytes of the files below a folder, by path, except for the manifest, which holds the time."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


def sizes(folder):
    found = {}
    for path in folder.rglob("*"):
        if path.suffix.lower() in (".jpg", ".jpeg", ".png"):
            with Image.open(path) as image:
                found[str(path.relative_to(folder))] = (image.size, image.format)
    return found


def copy(source, target, capsys, *options, corruptions=("contrast",), severities=("3",)):
    words = ["corrupt", source, target, "--size=original", "--corruptions", *corruptions, "--severities", *severities]
    return run([*words, *options], capsys)


@pytest.fixture
def voc(tmp_path):
    """A tree like VOC2012: JPEG images, boxes, lists and masks."""
    root = tmp_path / "VOC2012"
    for number, size in enumerate(((500, 375), (60, 50), (33, 40))):
        photo(root / "JPEGImages" / f"{number}.jpg", size, number)
        for kind in ("SegmentationClass", "SegmentationObject"):
            labels = np.full(size[::-1], number, dtype=np.uint8)
            image = Image.fromarray(labels).convert("P")
            (root / kind).mkdir(exist_ok=True)
            image.save(root / kind / f"{number}.png")
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{number}.xml").write_text(f"<annotation><width>{size[0]}</width></annotation>")
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "val.txt").write_bytes(b"0\r\n1\r\n2")
    return root


def test_a_voc_tree_keeps_everything_but_the_pixels_of_its_images(voc, tmp_path, capsys):
    code, out, err = copy(voc, tmp_path / "out", capsys, severities=("1", "5"))
    assert (code, out) == (0, "")
    before = content(voc)
    for severity in "15":
        cell = tmp_path / "out" / "contrast" / severity
        after = content(cell)
        assert set(after) == set(before)
        assert {name for name in before if before[name] != after[name]} == {f"JPEGImages/{k}.jpg" for k in range(3)}
        assert sizes(cell) == sizes(voc)
    assert "3 in SegmentationClass" in err
    assert "3 in SegmentationObject" in err
    assert "4 other files" in err
    assert "32 pixels (1 of 3 images), 64 pixels (1 of 3 images), 299 pixels (1 of 3 images)" in err
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["nearest_sizes"] == {"32": 1, "64": 1, "299": 1}
    assert manifest["masks"] == {"SegmentationClass": 3, "SegmentationObject": 3}
    assert set(manifest["corruptions"]["contrast/1"]["parameters_for_pixels"]) == {"32", "64", "299"}
    sums = dict(reversed(line.split("  ")) for line in (tmp_path / "out" / "SHA256SUMS").read_text().splitlines())
    found = {name: hashlib.sha256(data).hexdigest() for name, data in content(tmp_path / "out").items()}
    assert sums == {name: digest for name, digest in found.items() if name != "SHA256SUMS"}


def coco(root, photographs):
    """Lay out photographs like COCO, with own boxes."""
    (root / "images" / "val2017").mkdir(parents=True)
    (root / "annotations").mkdir()
    images, boxes = [], []
    for number, path in enumerate(photographs):
        name = f"{number:012d}.jpg"
        shutil.copyfile(path, root / "images" / "val2017" / name)
        with Image.open(path) as image:
            width, height = image.size
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        box = [width // 4, height // 4, width // 2, height // 2]
        boxes.append({"id": number, "image_id": number, "category_id": 1, "bbox": box, "area": box[2] * box[3]})
    categories = [{"id": 1, "name": "thing"}]
    text = json.dumps({"images": images, "annotations": boxes, "categories": categories})
    (root / "annotations" / "instances_val2017.json").write_text(text)
    return images


@pytest.mark.parametrize("count", [6, pytest.param(200, marks=pytest.mark.slow)])
def test_photographs_laid_out_like_coco_keep_names_sizes_and_annotations(data_root, tmp_path, capsys, count):
    photographs = sorted((data_root / "imagenet-sample").rglob("*.JPEG"))[:count]
    if len(photographs) < count:
        pytest.skip(f"imagenet-sample holds fewer than {count} photographs")
    images = coco(tmp_path / "coco", photographs)
    code, _, _ = copy(tmp_path / "coco", tmp_path / "out", capsys, corruptions=("fog",), severities=("2",))
    assert code == 0
    cell = tmp_path / "out" / "fog" / "2"
    name = "annotations/instances_val2017.json"
    assert (cell / name).read_bytes() == (tmp_path / "coco" / name).read_bytes()
    found = sizes(cell)
    assert found == {
        f"images/val2017/{each['file_name']}": ((each["width"], each["height"]), "JPEG") for each in images
    }
    for each in images[:6]:
        with (
            Image.open(tmp_path / "coco" / "images" / "val2017" / each["file_name"]) as one,
            Image.open(cell / "images" / "val2017" / each["file_name"]) as other,
        ):
            changes = np.abs(np.asarray(one.convert("RGB")).astype(int) - np.asarray(other))
        assert changes.mean() > 3


@pytest.mark.parametrize(
    "files",
    [
        ["a/1.jpg"],
        ["1.jpg", "2.PNG"],
        ["1.jpg", "a/1.jpg", "a/b/c/d/1.jpeg"],
        ["a/1.JPG", "b/1.png", "a-b/1.jfif"],
        ["1.bmp", "2.tif", "3.webp", "4.ppm"],
    ],
    ids=["one class", "no class", "beside folders", "classes", "formats"],
)
def test_folders_of_any_shape_come_out_as_they_were(tmp_path, capsys, files):
    for seed, file in enumerate(files):
        photo(tmp_path / "photos" / file, (50 + seed, 40), seed)
    assert copy(tmp_path / "photos", tmp_path / "out", capsys)[0] == 0
    cell = tmp_path / "out" / "contrast" / "3"
    assert sorted(content(cell)) == sorted(files)
    for file in files:
        with Image.open(tmp_path / "photos" / file) as one, Image.open(cell / file) as other:
            assert (one.size, one.format) == (other.size, other.format)


def test_a_single_image_keeps_its_name_and_size(tmp_path, capsys):
    photo(tmp_path / "photos" / "1.png")
    photo(tmp_path / "photos" / "2.png")
    assert copy(tmp_path / "photos" / "1.png", tmp_path / "out", capsys)[0] == 0
    assert sizes(tmp_path / "out" / "contrast" / "3") == {"1.png": ((60, 44), "PNG")}


def test_lossless_files_hold_the_corruption_with_the_parameters_of_the_nearest_or_the_given_size(tmp_path, capsys):
    import torch

    from withstand.perturbations.corruptions.imagenet_c.contrast import Contrast

    photo(tmp_path / "photos" / "1.png", (70, 90))
    with Image.open(tmp_path / "photos" / "1.png") as image:
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    for options, pixels in (((), 64), (("--pixels=224",), 224)):
        target = tmp_path / str(pixels)
        code, _, err = copy(tmp_path / "photos", target, capsys, *options)
        assert code == 0
        assert f"{pixels} pixels" in err
        with Image.open(target / "contrast" / "3" / "1.png") as image:
            found = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        assert torch.equal(found, Contrast(severity=3, pixels=pixels)(x))


def test_a_turned_photograph_fits_its_boxes_in_every_loader(tmp_path, capsys):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(tmp_path / "photos" / "1.jpg", (80, 60), exif=exif)
    for orientation in ("apply", "ignore"):
        target = tmp_path / orientation
        words = ("--data.orientation", orientation)
        assert copy(tmp_path / "photos", target, capsys, *words, corruptions=("brightness",))[0] == 0
        with (
            Image.open(tmp_path / "photos" / "1.jpg") as one,
            Image.open(target / "brightness" / "3" / "1.jpg") as other,
        ):
            assert other.size == one.size
            assert other.getexif().get(0x0112) == 6
            correlation = np.corrcoef(np.asarray(one).ravel(), np.asarray(other).ravel())[0, 1]
        assert correlation > 0.9  # not turned


def test_names_need_not_be_utf8_and_may_hold_anything(tmp_path, capsys):
    names = [b"caf\xe9/\xff.png", b"new\nline.png", b"back\\slash.png", b"caf\xe9/\xfe.json"]
    for seed, name in enumerate(names):
        path = tmp_path / "photos" / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(b"png"):
            photo(path, seed=seed)
        else:
            path.write_text("{}")
    for options, end in (((), ".png"), (("--to=jpeg",), ".JPEG")):
        target = tmp_path / f"out{end}"
        assert copy(tmp_path / "photos", target, capsys, *options, "-j", "2")[0] == 0
        found = {os.fsencode(name) for name in content(target / "contrast" / "3")}
        assert found == {name.replace(b".png", end.encode()) for name in names}
        manifest = json.loads((target / "manifest.json").read_text())
        assert [os.fsencode(name) for name in manifest["class_folders"]] == [b"caf\xe9"]
        if shutil.which("sha256sum"):
            assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=target).returncode == 0


def test_processes_write_what_one_writes(voc, tmp_path, capsys):
    for number in range(3, 40):
        photo(voc / "JPEGImages" / f"{number}.jpg", (64, 50), number)
    for workers in (0, 2):
        code = copy(voc, tmp_path / str(workers), capsys, "-j", workers, corruptions=("gaussian_noise",))[0]
        assert code == 0
    assert content(tmp_path / "0") == content(tmp_path / "2")


def test_of_two_runs_into_one_folder_the_second_says_who_works_there(voc, tmp_path, capsys):
    (tmp_path / "out" / RECORDS).mkdir(parents=True)
    (tmp_path / "out" / RECORDS / "worker").write_text("process 77 on somewhere")
    with hold(tmp_path / "out" / RECORDS):
        code, _, err = copy(voc, tmp_path / "out", capsys, "--quiet")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert "process 77 on somewhere" in err
    assert copy(voc, tmp_path / "out", capsys)[0] == 0
    assert not (tmp_path / "out" / RECORDS).exists()


def test_bad_images_can_be_left_out(voc, tmp_path, capsys):
    (voc / "JPEGImages" / "3.jpg").write_bytes(b"no image")
    photo(voc / "JPEGImages" / "4.jpg", (31, 90))
    code, _, err = copy(voc, tmp_path / "out", capsys, "--on-bad-image=skip")
    assert code == 0
    assert "2 left out" in err
    assert sorted(content(tmp_path / "out" / "contrast" / "3" / "JPEGImages")) == ["0.jpg", "1.jpg", "2.jpg"]
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["left_out"] == [
        "JPEGImages/3.jpg",
        "JPEGImages/4.jpg",
    ]


BAD = {
    "small": (lambda root: photo(root / "x.jpg", (31, 40)), [], r"x\.jpg cannot .*31 x 40 pixels, expected .*32 x 32"),
    "no image": (lambda root: (root / "x.jpg").write_bytes(b"?"), [], r"x\.jpg cannot be read .*not an image"),
    "cut off": (lambda root: (root / "x.jpg").write_bytes(b""), [], r"x\.jpg cannot be read .*it is empty"),
    "gif": (lambda root: photo(root / "x.gif"), [], r"x\.gif cannot be written as \.gif"),
    "one file": (lambda root: photo(root / "JPEGImages" / "0.png"), ["--to=jpeg"], r"0\.jpg and .*0\.png would become"),
    "a mask's name": (
        lambda root: photo(root / "SegmentationClass" / "0.jpg"),
        ["--to=png"],
        r"SegmentationClass/0\.png and SegmentationClass/0\.jpg would become one file",
    ),
    "arrays": (lambda root: None, ["--to=npy", "--severities=1-5"], r"arrays hold images of one size"),
    "resize": (lambda root: None, ["--resize=256"], r"resize needs a size in pixels"),
    "only masks": (lambda root: shutil.rmtree(root / "JPEGImages"), [], r"expected images, got only masks \(6\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(case, voc, tmp_path, capsys):
    spoil, options, sentence = BAD[case]
    spoil(voc)
    code, out, err = copy(voc, tmp_path / "out", capsys, *options, "--quiet")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert re.match("withstand: .*" + sentence, err)
    assert [path.name for path in tmp_path.iterdir()] == ["VOC2012"]


@pytest.mark.parametrize("target", [".", "out", "JPEGImages/../out", "link/out"])
def test_a_target_in_the_source_is_refused(voc, tmp_path, capsys, target):
    (tmp_path / "link").symlink_to(voc)
    place = tmp_path / target if target.startswith("link") else voc / target
    before = content(voc)
    code, _, err = copy(voc, place, capsys, "--quiet")
    assert code == 2
    assert "expected a folder outside" in err
    assert content(voc) == before


def test_original_sizes_need_a_folder(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.jpg")
    for source in ("digits", tmp_path / "pipe.jpg"):
        code, _, err = copy(source, tmp_path / "out", capsys, "--quiet")
        assert code == 2
        assert "--size original needs a folder" in err


def test_a_preview_shows_an_image_of_any_size(voc, tmp_path, capsys):
    code, _, _ = run(
        ["corrupt", voc, "--size=original", "--preview", tmp_path / "a.png", "--corruptions", "fog"], capsys
    )
    assert code == 0
    assert Path(tmp_path / "a.png").is_file()


def test_crops_of_folders_of_any_shape(tmp_path, capsys):
    for file in ("1.jpg", "a/1.jpg", "a/b/2.png"):
        photo(tmp_path / "photos" / file)
    words = ["corrupt", tmp_path / "photos", tmp_path / "out", "--size=32", "--corruptions", "contrast"]
    assert run([*words, "--severities=1"], capsys)[0] == 0
    assert sizes(tmp_path / "out" / "contrast" / "1") == {
        "1.JPEG": ((32, 32), "JPEG"),
        "a/1.JPEG": ((32, 32), "JPEG"),
        "a/b/2.JPEG": ((32, 32), "JPEG"),
    }
