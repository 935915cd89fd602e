"""The browser of examples: pictures and answers are those of the outcomes, and the page stays small."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from withstand.conditions import EXTRAS, IMAGENET_C
from withstand.reports.evidence import evidence_of
from withstand.reports.page import examples as module
from withstand.reports.page.examples import shown_examples
from withstand.reports.report_folder import write_report
from withstand.study.digest import Digest
from withstand.study.pictures import PICTURES, read_pictures, write_pictures
from withstand.study.study import Study

LABEL = [0, 1, 2] * 10
CLASSES = ("a", "b", "c")
RIGHT, WRONG = LABEL, [(each + 1) % 3 for each in LABEL]


def shade(name, number):
    return 5 * number + {"clean": 0, "fog/1": 40, "fog/5": 80}.get(name, 60)


@pytest.fixture
def folder(keep_run, tmp_path):
    """Two models: one is wrong under the strongest fog."""
    for name, last in (("good", RIGHT), ("poor", WRONG)):
        answers = {"clean": RIGHT, "fog/1": RIGHT, "fog/5": last, "Gaussian std=0.1": RIGHT}
        sure = {"fog/5": [0.51 + k / 100 for k in range(30)]}
        keep_run(tmp_path / "s" / name, answers, label=LABEL, classes=CLASSES, confidence=sure, shade=shade)
    return tmp_path / "s"


def shown_of(folder):
    return shown_examples(evidence_of(Digest.of(Study.of(folder)), ()))


def test_a_card_has_the_picture_and_every_answer_at_each_severity(folder):
    shown = shown_of(folder)
    content = shown.content
    assert shown.severities == (1, 5)
    assert shown.images == tuple((k, CLASSES[LABEL[k]]) for k in range(12))
    assert content["models"] == ["good", "poor"]
    assert [each["name"] for each in content["cards"]] == ["clean", "Gaussian std=0.1", "fog"]
    fog = content["cards"][2]["at"]
    assert set(fog) == {"1", "5"}
    assert fog["1"]["answers"] == [[[CLASSES[LABEL[k]], 90, 1] for k in range(12)]] * 2
    assert fog["5"]["answers"][1] == [[CLASSES[WRONG[k]], 51 + k, 0] for k in range(12)]
    pixels = [np.asarray(Image.open(io.BytesIO(base64.b64decode(each)))) for each in fog["5"]["images"]]
    assert all(np.abs(each.astype(int) - shade("fog/5", k)).max() <= 2 for k, each in enumerate(pixels))


def test_pictures_that_differ_between_models_are_left_out(folder):
    path = folder / "poor" / PICTURES
    kept = read_pictures(path)
    (some,) = {image for key, image in kept.items() if (key.condition, key.number) == ("clean", 0)}
    write_pictures(path, {key: some if key.condition == "fog/1" else image for key, image in kept.items()})
    cards = {each["name"]: set(each["at"]) for each in shown_of(folder).content["cards"]}
    assert cards == {"clean": {"0"}, "Gaussian std=0.1": {"0"}, "fog": {"5"}}


def test_pictures_of_an_earlier_measurement_are_left_out(folder):
    for name in ("good", "poor"):
        path = folder / name / PICTURES
        kept = read_pictures(path)
        write_pictures(
            path,
            {key._replace(outcomes="old") if key.condition == "clean" else key: each for key, each in kept.items()},
        )
    assert "clean" not in [each["name"] for each in shown_of(folder).content["cards"]]


def test_a_model_of_other_data_is_named_and_left_out(folder, keep_run):
    keep_run(folder / "z", {"clean": RIGHT}, label=LABEL, classes=CLASSES, shade=shade, data="Other")
    shown = shown_of(folder)
    assert shown.content["models"] == ["good", "poor"]
    assert "Not shown: z." in shown.about


def test_there_is_no_browser_without_pictures(keep_run, tmp_path):
    keep_run(tmp_path / "s" / "table", {"clean": RIGHT}, label=LABEL, classes=CLASSES)
    assert shown_of(tmp_path / "s") is None
    text = write_report(Study.of(tmp_path / "s"), tmp_path / "r", pictures=lambda _: []).page.read_text()
    assert "example-browser" not in text


def test_images_become_fewer_where_they_would_fill_the_page(folder, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 15_000)
    shown = shown_of(folder)
    content = [image for card in shown.content["cards"] for at in card["at"].values() for image in at["images"]]
    assert 0 < len(shown.images) < 12
    assert sum(map(len, content)) <= 15_000
    assert f"{len(shown.images)} images are shown" in shown.about


@pytest.mark.slow
def test_a_page_of_four_models_and_nineteen_corruptions_stays_below_five_megabytes(keep_run, tmp_path):
    rng = np.random.default_rng(0)

    def noise(name, number):
        return rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)

    kinds = (*IMAGENET_C, *EXTRAS)
    answers = {"clean": RIGHT} | {f"{kind}/{severity}": WRONG for kind in kinds for severity in range(1, 6)}
    known = {}
    for name in ("a", "b", "c", "d"):
        keep_run(
            tmp_path / "s" / name,
            answers,
            label=LABEL,
            classes=CLASSES,
            shade=lambda *key: known.setdefault(key, noise(*key)),
            side=96,
        )
    shown = shown_of(tmp_path / "s")
    assert len(shown.images) == 12
    page = write_report(Study.of(tmp_path / "s"), tmp_path / "r", pictures=lambda _: []).page
    assert page.stat().st_size < 5_000_000
