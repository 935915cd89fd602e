"""Corrupted copies and measurements on them, from end to end."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from withstand.cli import main
from withstand.conditions import SUITES
from withstand.data.corrupted.corrupted_arrays import CorruptedArrays
from withstand.data.corrupted.corrupted_folder import CorruptedFolder


def run(words, capsys):
    """Return exit code, stdout and stderr of a command."""
    code = main([str(each) for each in words])
    found = capsys.readouterr()
    return code, found.out, found.err


def counts(out):
    return {
        (row["measure"], row["condition"]): (row["value"], row["count"])
        for row in json.loads(out)["rows"]
        if row["condition"] != "clean"
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    code = main(["train", "--epochs=10", "--model.width=4", "--quiet", f"--output={folder}", "--name=digits"])
    assert code == 0
    return next(each for each in folder.iterdir())


FEW = ["gaussian_noise", "contrast"]


def test_a_folder_of_images_becomes_arrays(tmp_path, capsys):
    for number, label in enumerate("aabb"):
        (tmp_path / "images" / label).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (34, 32), (60 * number, 9, 200)).save(tmp_path / "images" / label / f"{number}.png")
    words = ["--corruptions", "contrast", "--to", "npy", "--size", "32", "-j", "0"]
    code, _, err = run(["corrupt", tmp_path / "images", tmp_path / "copy", *words], capsys)
    assert (code, "4 images x 5 cells" in err) == (0, True)
    images = np.load(tmp_path / "copy" / "contrast.npy")
    assert (images.shape, images.dtype) == ((20, 32, 32, 3), np.uint8)
    assert images[0, 0, 0, 0] < images[3, 0, 0, 0]
    assert np.load(tmp_path / "copy" / "labels.npy").tolist() == [0, 0, 1, 1] * 5


@pytest.mark.parametrize(("size", "first"), [(32, "blue_noise_sample"), (160, "caustic_refraction")])
def test_c_bar_is_written_as_the_suite_of_the_size_and_read_back(tmp_path, capsys, size, first):
    for number, label in enumerate("ab"):
        (tmp_path / "images" / label).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (size, size), (60 * number, 9, 200)).save(tmp_path / "images" / label / f"{number}.png")
    words = ["--corruptions", "c-bar", "--to", "npy", "--size", size, "--resize", size, "-j", "0"]
    code, _, err = run(["corrupt", tmp_path / "images", tmp_path / "copy", *words], capsys)
    assert (code, "2 images x 50 cells" in err) == (0, True)
    cells = CorruptedArrays(root=str(tmp_path / "copy"))
    assert not cells.missing()
    assert len(cells.cells()) == 50
    assert f"{first}/1" in cells.cells()


def test_other_suites_are_written_and_read_back(tmp_path, capsys):
    for number, label in enumerate("ab"):
        (tmp_path / "images" / label).mkdir(parents=True, exist_ok=True)
        Image.new("L", (28, 28), 90 * number + 40).save(tmp_path / "images" / label / f"{number}.png")
    images, size = tmp_path / "images", ["--size", 28, "--resize", 28, "-j", "0"]
    words = ["--corruptions", "mnist-c", "laion-c", "color_quant", "--severities", "1", "4", "--to", "png", *size]
    code, _, err = run(["corrupt", images, tmp_path / "copy", *words], capsys)
    assert (code, "2 images x 23 cells" in err) == (0, True)
    cells = CorruptedFolder(root=str(tmp_path / "copy"), pixels=28).cells()
    assert list(cells) == [
        *(f"{name}/{severity}" for name in (*SUITES["laion-c"], "color_quant") for severity in (1, 4)),
        *(f"{name}/1" for name in SUITES["mnist-c"]),
    ]
    assert len(cells["mnist_fog/1"].load("test")) == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--severities", "3"],
        ["--severities", "3", "--corruptions", "mnist-c", "fog"],
        ["--severities", "2-5", "--corruptions", "mnist_fog", "laion-c"],
        ["--to", "npy"],
        ["--to", "npy", "--corruptions", "all", "mnist_fog"],
    ],
)
def test_corruptions_with_one_severity_are_not_written_as_others(tmp_path, capsys, words):
    (tmp_path / "images").mkdir()
    Image.new("L", (28, 28)).save(tmp_path / "images" / "a.png")
    given = words if "--corruptions" in words else ["--corruptions", "mnist-c", *words]
    code, _, err = run(["corrupt", tmp_path / "images", tmp_path / "copy", *given, "--size", 28], capsys)
    assert (code, "severit" in err, (tmp_path / "copy").exists()) == (2, True, False)


def test_images_that_keep_their_sizes_take_the_nearest_levels_that_there_are(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    for side in (40, 70, 200):
        Image.new("RGB", (side, side), (60, 9, 200)).save(tmp_path / "images" / f"{side}.png")
    words = [
        "--corruptions",
        "ripple",
        "perlin_noise",
        "sparkles",
        "--size",
        "original",
        "--severities",
        "1",
        "-j",
        "0",
    ]
    code, _, err = run(["corrupt", tmp_path / "images", tmp_path / "copy", *words], capsys)
    assert (code, "the nearest that a corruption has" in err) == (0, True)
    assert len(list((tmp_path / "copy").glob("*/1/*.png"))) == 9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "data", "suffix"),
    [
        ("jpeg", "corrupted-folder", "+jpeg"),
        pytest.param("png", "corrupted-folder", "", marks=pytest.mark.slow),
        ("npy", "corrupted-arrays", ""),
    ],
)
def test_a_copy_gives_the_numbers_of_the_streaming_evaluation_cell_by_cell(
    kind, data, suffix, trained, tmp_path, capsys
):
    code, out, err = run(["corrupt", "digits", tmp_path / "copy", "--corruptions", *FEW, "--to", kind], capsys)
    assert (code, out) == (0, "")
    assert "359 images x 10 cells" in err
    pixels = ["--data.pixels=32"] if data == "corrupted-folder" else []
    copied = ["evaluate", trained, "--data", data, "--root", tmp_path / "copy", *pixels, "--format=json"]
    code, from_copy, _ = run(copied, capsys)
    assert code == 0
    words = [name + suffix for name in FEW]
    code, streamed, _ = run(["evaluate", trained, "--on", *words, "--format=json"], capsys)
    assert code == 0
    assert counts(from_copy) == counts(streamed)
    # Of two measures 10 cells and their mean, and of every corruption its error.
    assert len(counts(from_copy)) == 2 * 11 + 2
    assert len({value for value, _ in counts(from_copy).values()}) > 8
    notes = json.loads(from_copy)["notes"]
    assert "Images read from corrupted files" in notes[0]
    assert any(note.startswith("Missing: shot_noise") for note in notes)
    code, fog, err = run([*copied, "--on", f"contrast{suffix}/3"], capsys)
    assert code == 0
    assert "measured already" in err
    assert set(counts(fog)) == {
        (measure, condition)
        for measure in ("top1", "top5")
        for condition in (f"contrast{suffix}/3", f"corruptions{suffix} (1 cell)")
    }


@pytest.mark.slow
def test_conditions_measured_before_are_not_measured_again(trained, capsys):
    assert run(["evaluate", trained, "--on", "pixelate", "--seed=5"], capsys)[0] == 0
    code, out, err = run(["evaluate", trained, "--on", "clean", "pixelate", "--seed=5", "--format=json"], capsys)
    assert code == 0
    assert ": 1 condition," in err
    assert {condition for _, condition in counts(out)} == {
        *(f"pixelate/{severity}" for severity in range(1, 6)),
        "corruptions",
        "pixelate",
    }
    assert "measured already" in run(["evaluate", trained, "--on", "pixelate/2", "--seed=5"], capsys)[2]


def test_corruption_errors_are_rows_and_mce_is_not_there_where_it_means_nothing(trained, capsys):
    code, out, _ = run(["evaluate", trained, "--on", "clean", "contrast", "pixelate+jpeg", "--format=json"], capsys)
    assert code == 0
    found = {key: value for key, (value, _) in counts(out).items()}
    assert {condition for measure, condition in found if measure == "corruption_error"} == {"contrast", "pixelate+jpeg"}
    accuracies = [found["top1", f"contrast/{severity}"] for severity in range(1, 6)]
    assert found["corruption_error", "contrast"] == pytest.approx(1 - sum(accuracies) / 5)
    assert {measure for measure, _ in found} == {"top1", "top5", "corruption_error"}


@pytest.fixture
def photos(tmp_path):
    random = np.random.RandomState(0)
    for name in ("a/1.png", "b/2.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True)
        Image.fromarray(random.randint(0, 256, (90, 70, 3), dtype=np.uint8)).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def test_folders_with_and_without_classes_and_single_images(photos, tmp_path, capsys):
    few = ["--corruptions", "brightness", "--severities", "2", "4-5", "--size=64"]
    code, _, err = run(["corrupt", photos, tmp_path / "classes", *few], capsys)
    assert code == 0
    assert "2 images x 3 cells" in err
    assert (tmp_path / "classes" / "brightness" / "4" / "a" / "1.JPEG").is_file()
    assert run(["corrupt", photos / "a", tmp_path / "loose", *few], capsys)[0] == 0
    assert (tmp_path / "loose" / "brightness" / "2" / "1.JPEG").is_file()
    assert run(["corrupt", photos / "b" / "2.png", tmp_path / "one", *few], capsys)[0] == 0
    with Image.open(tmp_path / "one" / "brightness" / "5" / "2.JPEG") as image:
        assert image.size == (64, 64)
    code, _, err = run(["corrupt", photos, tmp_path / "classes", *few], capsys)
    assert (code, err.count("is complete already")) == (0, 1)


def test_a_preview_shows_one_image_under_everything(photos, tmp_path, capsys):
    words = ["corrupt", photos, "--size=64", "--preview", tmp_path / "preview.png", "--corruptions", *FEW]
    assert run(words, capsys)[0] == 0
    with Image.open(tmp_path / "preview.png") as image:
        assert image.width > 6 * 144
        assert image.height > 2 * 144
    assert sorted(each.name for each in tmp_path.iterdir()) == ["photos", "preview.png"]


BAD = {
    "nothing to write": (["corrupt", "digits"], r"corrupt: expected a folder to write, or --preview FILE\.png"),
    "no such folder": (["corrupt", "./nowhere", "out"], r"corrupt: found no folder of images or data set \./nowhere;"),
    "no such folder by name": (
        ["corrupt", "nowhere", "out"],
        r"corrupt: found no folder of images or data set nowhere;",
    ),
    "an unknown data set": (["corrupt", "digitz", "out"], r"data set digitz; did you mean digits\?"),
    "an unknown corruption": (
        ["corrupt", "digits", "out", "--corruptions", "contrasst"],
        r"corrupt: contrasst is not a known corruption; did you mean contrast\?",
    ),
    "a severity too many": (
        ["corrupt", "digits", "out", "--severities", "6"],
        r"corrupt: severities must be from 1 to 5",
    ),
    "severities backwards": (["corrupt", "digits", "out", "--severities", "5-1"], r"corrupt: severities must name"),
    "a table": (["corrupt", "avila", "out"], r"corrupt: expected images, got inputs of shape|Avila: expected .* found"),
    "negative workers": (
        ["corrupt", "digits", "out", "--workers=-1"],
        r"option --workers must be from 0 to 1,024, got -1",
    ),
    "no such sample": (
        ["corrupt", "digits", "--preview=a.png", "--sample=400"],
        r"corrupt: sample must be from 0 to 358, got 400",
    ),
    "another kind of picture": (["corrupt", "digits", "--preview=a.gif"], r"corrupt: the preview must be a \.png file"),
    "arrays of one severity": (
        ["corrupt", "digits", "out", "--to=npy", "--severities=1"],
        r"corrupt: arrays hold all five severities",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(case, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, sentence = BAD[case]
    if "--corruptions" not in words:
        words = [*words, "--corruptions", "contrast"]
    code, out, err = run([*words, "--quiet"], capsys)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert re.match("withstand: .*" + sentence, err)
    assert list(tmp_path.iterdir()) == []
