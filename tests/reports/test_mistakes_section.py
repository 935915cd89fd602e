"""Mistakes in a report: the worst classes, the surest mistakes with their images, and one image under every condition."""

import base64
import html
import io
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from withstand.errors import InputError
from withstand.measuring.results import Results
from withstand.reports.figures.examples import examples_pictures
from withstand.reports.figures.style import house_style
from withstand.reports.page import mistakes as section
from withstand.reports.page.mistakes import mistakes_of, shown_mistakes
from withstand.reports.report_folder import write_report
from withstand.study.combination import combinations_of
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, write_rows
from withstand.study.mistakes import ConditionMistakes, Mistake, Mistakes, write_mistakes
from withstand.study.study import Study
from withstand.study.sweep import Entry, write_entries

KNOWN = {
    "top1": Measure(
        name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True
    )
}

CLASSES = ("cat", "<b>&dog", "fox")
CONDITIONS = ("clean", "fog/5", "gaussian_noise+jpeg/3")
SIZES = np.array([10, 10, 5])
HITS = {"clean": SIZES, "fog/5": np.array([9, 2, 5]), "gaussian_noise+jpeg/3": np.array([1, 0, 1])}


def image(number, side=8, channels=3):
    return np.random.default_rng(number).integers(0, 256, (side, side, channels), dtype=np.uint8)


def mistakes(*, side=8, channels=3, pictures=True, num_conditions=0):
    known = [(name, HITS[name]) for name in CONDITIONS]
    known += [(f"Gaussian std=0.{k}", SIZES - 1) for k in range(1, num_conditions - 2)]
    conditions = []
    for place, (name, hits) in enumerate(known):
        thumbnails = [image(10 * place + k, side, channels) if pictures else None for k in range(4)]
        worst = [Mistake(100 + k, k % 3, (k + 1) % 3, 0.99 - k / 100, thumbnails[k]) for k in range(4)]
        conditions.append(
            ConditionMistakes(
                condition=name,
                hits=hits,
                sizes=SIZES,
                worst=tuple(worst) if name != "clean" else (),
                example=image(place, side, channels) if pictures else None,
            )
        )
    return Mistakes(data="Digits", seed=0, classes=CLASSES, conditions=tuple(conditions))


def study(folder, found, *, names=("plain", "noisy"), seeds=(0, 1), kept=None):
    """Write runs; `kept` are those with mistakes, all without a word."""
    entries = []
    for name in names:
        for seed in seeds:
            run = f"{name}-{seed}"
            write_rows(
                folder / run / "rows.jsonl", [Row(measure="top1", condition="clean", value=0.9, count=10)], KNOWN
            )
            entries.append(Entry(labels={"method": name}, seed=seed, run=run))
            if found is not None and (kept is None or run in kept):
                later = folder / run / "evaluations" / "e"
                write_rows(later / "rows.jsonl", [Row(measure="top1", condition="clean", value=0.9, count=10)], KNOWN)
                write_mistakes(later / "mistakes.npz", found)
    write_entries(folder, entries, command=["withstand", "sweep", "s.yaml"])
    return Study.of(folder)


def page_of(known, tmp_path):
    return write_report(known, tmp_path / "report", pictures=lambda _: []).page.read_text()


def test_the_page_names_the_worst_classes_and_shows_the_very_pixels(tmp_path):
    text = page_of(study(tmp_path / "s", mistakes()), tmp_path)
    part = text[text.index('<section id="mistakes"') : text.index('<section id="differences"')]
    assert text.index('href="#mistakes"') > 0
    found = [re.sub(r"<[^>]+>", "", each) for each in re.findall(r'<ul class="worst">(.*?)</ul>', part)]
    assert html.unescape(found[0]) == "<b>&dog: 20 % 2 of 10cat: 90 % 9 of 10"
    assert html.unescape(found[1]) == "<b>&dog: 0 % 0 of 10cat: 10 % 1 of 10fox: 20 % 1 of 5"
    images = re.findall(r'<img src="data:image/png;base64,([^"]+)" width="8" height="8" alt="([^"]+)">', part)
    assert len(images) == 2 * 2 * 4
    assert html.unescape(images[0][1]) == "cat taken for <b>&dog, 99 %"
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(images[0][0]))))
    assert np.array_equal(pixels, image(10))
    assert "<b>&dog" not in part
    assert part.count('<details class="mistakes" open>') == part.count('<details class="mistakes">') == 1
    assert "Of the run with seed 0, one of 2 seeds; 25 samples of Digits, draws of seed 0." in part
    assert "no mistake" in part


def test_the_first_run_that_has_some_speaks_for_its_combination_and_others_are_named(tmp_path):
    known = study(tmp_path, mistakes(), names=("plain", "noisy", "other"), kept=("plain-1", "noisy-0", "noisy-1"))
    shown, about = shown_mistakes(known, combinations_of(known))
    assert [each.name for each in shown] == ["plain", "noisy"]
    assert [each.about.partition(",")[0] for each in shown] == ["Of the run with seed 1", "Of the run with seed 0"]
    assert about.endswith(" Not kept for other; withstand evaluate keeps them.")


def test_markdown_has_the_worst_classes_without_pictures(tmp_path):
    page_of(study(tmp_path / "s", mistakes(), kept=("plain-0",)), tmp_path)
    text = re.sub(" +", " ", (tmp_path / "report" / "report.md").read_text())
    assert "## Mistakes\n\n### plain\n\n| condition | error, % | worst classes and their accuracy |" in text
    assert r"| fog, severity 5 | 36.0 | \<b\>&dog 20 %; cat 90 % |" in text
    assert "| clean | 0.0 | none |" in text
    assert "base64" not in text


def test_without_mistakes_there_is_no_section_and_no_figure(tmp_path):
    known = study(tmp_path / "s", None)
    assert 'id="mistakes"' not in page_of(known, tmp_path)
    assert "Mistakes" not in (tmp_path / "report" / "report.md").read_text()
    assert examples_pictures(known) == []


def test_tables_have_numbers_of_samples_instead_of_pictures(tmp_path):
    known = study(tmp_path / "s", mistakes(pictures=False))
    text = page_of(known, tmp_path)
    assert "<img" not in text
    assert "<b>cat</b> taken for <b>&lt;b&gt;&amp;dog</b>, 99 % <span>no. 100</span>" in text
    assert examples_pictures(known) == []


def test_a_damaged_file_is_one_sentence(tmp_path):
    known = study(tmp_path / "s", mistakes())
    next((tmp_path / "s").rglob("mistakes.npz")).write_bytes(b"x")
    with pytest.raises(InputError, match=r"^results: expected mistakes as .* remove it and evaluate again\.$"):
        page_of(known, tmp_path)


@pytest.mark.parametrize(
    ("most", "number", "side", "sentence"),
    [
        (10**7, 4, 64, ""),
        (500_000, 2, 64, "2 thumbnails per condition are shown."),
        (200_000, 3, 32, "3 thumbnails of at most 32 pixels per condition are shown."),
        (70_000, 1, 32, "one thumbnail of at most 32 pixels per condition is shown."),
        (35_000, 1, 32, "only the first 1 of 2 have thumbnails, one per condition."),
    ],
)
def test_thumbnails_become_fewer_and_smaller_where_they_would_fill_the_page(
    tmp_path, monkeypatch, most, number, side, sentence
):
    monkeypatch.setattr(section, "MOST_BYTES", most)
    known = study(tmp_path, mistakes(side=64, num_conditions=8))
    shown, about = shown_mistakes(known, combinations_of(known))
    assert about.endswith(sentence or "and their numbers.")
    first = shown[0].conditions[1].samples
    assert (len(first), first[0].size) == (number, (side, side))
    addresses = [each.address for own in shown for line in own.conditions for each in line.samples]
    assert sum(len(each) for each in addresses if each) <= most


def test_a_page_of_twenty_models_under_sixteen_conditions_stays_below_five_megabytes(tmp_path):
    names = [f"model{k}" for k in range(20)]
    known = study(tmp_path / "s", mistakes(side=64, num_conditions=16), names=names, seeds=(0,))
    text = page_of(known, tmp_path)
    assert len(text) < 5_000_000
    assert text.count("<img") == 20 * 15 * 2
    assert "To keep the page small, 2 thumbnails of at most 32 pixels per condition are shown." in text


@pytest.mark.parametrize("channels", [1, 3])
def test_the_figure_shows_the_image_under_every_condition_by_its_name(tmp_path, channels):
    (picture,) = examples_pictures(study(tmp_path, mistakes(channels=channels)))
    with house_style():
        figure = picture.draw()
    tiles = [np.asarray(each.images[0].get_array()) for each in figure.axes]
    assert all(np.array_equal(tile, image(k, 8, channels).squeeze()) for k, tile in enumerate(tiles))
    assert len(tiles) == 3
    texts = [each.get_text() for each in figure.texts if each.get_text()]
    assert texts == ["clean", "fog", "severity 5", "gaussian noise", "severity 3, JPEG"]
    assert picture.alt == "One image 3 times: clean; fog, severity 5; gaussian noise, severity 3, JPEG."
    renderer = figure.canvas.get_renderer()
    for each in figure.texts:
        box = each.get_window_extent(renderer)
        assert 0 <= box.x0
        assert box.x1 <= figure.bbox.width


def test_names_of_many_conditions_do_not_meet(tmp_path):
    (picture,) = examples_pictures(study(tmp_path, mistakes(num_conditions=11)))
    with house_style():
        figure = picture.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [each.get_window_extent(renderer) for each in figure.texts if each.get_text()]
    assert not any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[:k])


def test_of_several_evaluations_of_a_run_the_latest_counts(tmp_path):
    study(tmp_path, mistakes(), names=("plain",), seeds=(0,))
    later = tmp_path / "plain-0" / "evaluations" / "a"
    write_rows(later / "rows.jsonl", [Row(measure="top1", condition="clean", value=0.9, count=10)], KNOWN)
    write_mistakes(later / "mistakes.npz", replace(mistakes(), data="Other"))
    for name, time in (("e", 1), ("a", 2)):
        os.utime(tmp_path / "plain-0" / "evaluations" / name / "mistakes.npz", (time, time))
    known = Study.of(tmp_path)
    (_, found) = mistakes_of(known, combinations_of(known)[0])
    assert found.data == "Other"


def test_a_report_from_memory_picks_mistakes_from_the_outcomes(made_up_outcomes, tmp_path):
    label, taken = [0, 0, 1, 1], [0, 1, 1, 1]
    columns = {"prediction": taken, "confidence": [0.9, 0.75, 0.9, 0.9], "correct": [True, False, True, True]}
    results = Results({"net": made_up_outcomes({"clean": columns}, list(KNOWN.values()), label=label)})
    known = Study.of_results(results)
    (shown,), about = shown_mistakes(known, combinations_of(known))
    (own,) = shown.conditions
    assert own.error == 0.25
    assert own.classes == (("no", "50", "1 of 2"),)
    assert [each.sentence for each in own.samples] == ["no taken for yes, 75 %"]
    assert about
    assert examples_pictures(known) == []
    assert '<section id="mistakes"' in page_of(known, tmp_path)
