"""Mistakes in a report: the worst classes, and the most confident mistakes with their pictures."""

import base64
import html
import io
import re

import numpy as np
import pytest
from PIL import Image

from withstand.measuring.results import Results
from withstand.reports.evidence import evidence_of
from withstand.reports.page import mistakes as section
from withstand.reports.page.mistakes import shown_mistakes
from withstand.reports.report_folder import write_report
from withstand.study.digest import Digest
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.study import Study

CLASSES = ("cat", "<b>&dog", "fox")
LABEL = [0] * 10 + [1] * 10 + [2] * 5
CLEAN = LABEL
FOG = [1] + LABEL[1:12] + [2] * 8 + LABEL[20:]  # one cat and eight dogs are wrong
SURE = [0.5 + k / 100 for k in range(25)]
TOP1 = Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True)


def shade(name, number):
    return 10 * number + (3 if name == "clean" else 0)


@pytest.fixture
def study(keep_run, tmp_path):
    """Two models with the same mistakes, one without outcomes of predictions."""
    for name in ("noisy", "plain"):
        answers = {"clean": CLEAN, "fog/3": LABEL, "fog/5": FOG}
        keep_run(tmp_path / "s" / name, answers, label=LABEL, classes=CLASSES, confidence={"fog/5": SURE}, shade=shade)
    return Study.of(tmp_path / "s")


def shown_of(study):
    digest = Digest.of(study)
    return shown_mistakes(evidence_of(digest, ()), digest.combinations)


def page_of(study, tmp_path):
    return write_report(study, tmp_path / "report", pictures=lambda _: []).page.read_text()


def test_the_page_names_the_worst_classes_and_shows_the_pictures_of_the_most_confident_mistakes(study, tmp_path):
    text = page_of(study, tmp_path)
    part = text[text.index('<section id="mistakes"') : text.index('<section id="numbers"')]
    found = [re.sub(r"<[^>]+>", "", each) for each in re.findall(r'<ul class="worst">(.*?)</ul>', part)]
    assert [html.unescape(each) for each in found] == ["<b>&dog: 20 % 2 of 10cat: 90 % 9 of 10"] * 2
    images = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)" width="8" height="8" alt="([^"]+)">', part)
    assert len(images) == 2 * 4
    assert html.unescape(images[0][1]) == "<b>&dog predicted as fox, 69 %"
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(images[0][0]))))
    assert np.abs(pixels.astype(int) - shade("fog/5", 19)).max() <= 2
    assert "<b>&dog" not in part
    assert part.count('<details class="mistakes" open>') == part.count('<details class="mistakes">') == 1
    assert "Of the run with seed 0; 25 samples of Digits, draws of seed 0." in part
    assert "no mistake" in part


def test_classes_that_are_numbers_are_in_quotation_marks(keep_run, tmp_path):
    keep_run(tmp_path / "s" / "plain", {"clean": CLEAN, "fog/5": FOG}, label=LABEL, classes=("7", "8", "fox"))
    study = Study.of(tmp_path / "s")
    text = html.unescape(page_of(study, tmp_path))
    assert '<b>"7"</b> predicted as <b>"8"</b>' in text
    assert '<b>"8"</b> predicted as <b>fox</b>' in text
    samples = (tmp_path / "report" / "tables" / "samples-01-plain.md").read_text()
    assert {'"7"', '5: "8"'} <= {each.strip() for each in samples.split("|")}


def test_of_a_corruption_the_highest_severity_is_shown(study):
    shown, _ = shown_of(study)
    assert [[(each.name, each.more) for each in own.conditions] for own in shown] == [
        [("clean", ""), ("fog", "severity 5")]
    ] * 2


def test_markdown_has_the_worst_classes_without_pictures(study, tmp_path):
    page_of(study, tmp_path)
    text = " ".join((tmp_path / "report" / "report.md").read_text().split())
    assert r"| fog, severity 5 | 36.0 | &lt;b\>&dog 20 %; cat 90 % |" in text
    assert "| clean | 0.0 | none |" in text
    assert "base64" not in text


def test_models_without_pictures_have_numbers_of_samples_instead(keep_run, tmp_path):
    keep_run(tmp_path / "s" / "plain", {"fog/5": FOG}, label=LABEL, classes=CLASSES)
    text = page_of(Study.of(tmp_path / "s"), tmp_path)
    assert "<img" not in text
    assert "<b>cat</b> predicted as <b>&lt;b&gt;&amp;dog</b>, 90 % <span>no. 0</span>" in text
    assert 'id="examples"' not in text


@pytest.mark.parametrize(("most", "number"), [(10**6, 4), (5_000, 3), (2_000, 1), (10, 0)])
def test_thumbnails_become_fewer_where_they_would_fill_the_page(study, monkeypatch, most, number):
    monkeypatch.setattr(section, "MOST_BYTES", most)
    shown, about = shown_of(study)
    addresses = [each.address for own in shown for line in own.conditions for each in line.samples if each.address]
    assert sum(map(len, addresses)) <= most
    assert len(addresses) == 2 * number
    assert ("To keep the page small" in about) == (number < 4)


def test_a_report_from_memory_picks_mistakes_from_the_outcomes(made_up_outcomes, tmp_path):
    columns = {"prediction": [0, 1, 1, 1], "confidence": [0.9, 0.75, 0.9, 0.9], "correct": [True, False, True, True]}
    results = Results({"net": made_up_outcomes({"clean": columns}, [TOP1], label=[0, 0, 1, 1])})
    study = Study.of_results(results)
    ((shown,), about) = shown_of(study)
    (own,) = shown.conditions
    assert own.error == 0.25
    assert own.classes == (("no", "50", "1 of 2"),)
    assert [each.sentence for each in own.samples] == ["no predicted as yes, 75 %"]
    assert about
    assert '<section id="mistakes"' in page_of(study, tmp_path)


def test_models_whose_predictions_were_not_kept_are_named(made_up_outcomes):
    full = {"prediction": [0, 1], "confidence": [0.9, 0.75], "correct": [True, False]}
    tables = {
        "one": made_up_outcomes({"clean": full}, [TOP1], label=[0, 0]),
        "other": made_up_outcomes({"clean": {"correct": [True, True]}}, [TOP1], label=[0, 0]),
    }
    shown, about = shown_of(Study.of_results(Results(tables)))
    assert [each.name for each in shown] == ["one"]
    assert "other" in about
