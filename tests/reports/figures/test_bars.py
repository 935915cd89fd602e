"""Bars: as long as the scores, with their intervals, clean inputs first; fit for a phone."""

import numpy as np
import pytest

from withstand.reports.figures.bars import MOST_MODELS, NARROW, bars_picture
from withstand.reports.figures.tools.style import figure_style
from withstand.reports.scores import Scores
from withstand.study.digest import Digest
from withstand.study.study import Study

LABEL = [k % 2 for k in range(100)]
KINDS = ("clean", "snow/3", "fog/3", "fog/5", "contrast/1")


def study(keep_run, folder, shares):
    """Write models: the share of wrong answers under each condition."""
    for name, own in shares.items():
        answers = {kind: [each ^ (k < 100 * wrong) for k, each in enumerate(LABEL)] for kind, wrong in own.items()}
        keep_run(folder / name, answers, label=LABEL, classes=("no", "yes"))
    return Scores.gather(Digest.of(Study.of(folder)))


@pytest.fixture
def scores(keep_run, tmp_path):
    good = dict(zip(KINDS, (0.0, 0.5, 0.1, 0.3, 0.4), strict=True))
    return study(keep_run, tmp_path, {"good": good, "poor": {kind: each + 0.1 for kind, each in good.items()}})


def bars_of(figure):
    return {each.get_gid(): each for axes in figure.axes for each in axes.patches if each.get_gid()}


@pytest.mark.parametrize("form", ["draw", "narrow"])
def test_bars_are_as_long_as_the_scores_and_lines_as_the_intervals(scores, form):
    picture = bars_picture(scores)
    with figure_style():
        figure = getattr(picture, form)()
    found = bars_of(figure)
    assert found.keys() == picture.values.keys()
    # Clean first, then snow (50 and 60 % wrong), contrast, and fog at the mean of its severities.
    order = ["clean", "snow", "contrast", "fog"]
    values = {"clean": (100, 90), "snow": (50, 40), "contrast": (60, 50), "fog": (80, 70)}
    for k, name in enumerate(order):
        for j, model in enumerate(("good", "poor")):
            assert found[f"bars-{k}-{j}"].get_width() == pytest.approx(values[name][j])
            assert picture.values[f"bars-{k}-{j}"].startswith(f"{model}, {name}")
    group = next(each for each in scores.groups if each.name == "snow")
    spans = [line[:, 0] for axes in figure.axes for own in axes.collections for line in own.get_segments()]
    own = scores.of(0, group)
    assert any(np.allclose(span, (100 * own.low, 100 * own.high)) for span in spans)


def test_the_narrow_figure_is_legible_on_a_phone(scores):
    with figure_style():
        figure = bars_picture(scores).narrow()
    # 390 pixels less the margins of the page.
    scale = 358 / (72 * figure.get_size_inches()[0])
    assert figure.get_size_inches()[0] == NARROW
    texts = [text for axes in figure.axes for text in axes.texts] + list(figure.legends[0].get_texts())
    assert min(text.get_size() for text in texts) * scale >= 8
    renderer = figure.canvas.get_renderer()
    for text in texts:
        box = text.get_window_extent(renderer)
        assert 0 <= box.x0
        assert box.x1 <= figure.bbox.width + 1


def test_nothing_but_clean_inputs_has_no_bars(keep_run, tmp_path):
    assert bars_picture(study(keep_run, tmp_path, {"net": {"clean": 0.1}})) is None


def test_of_many_models_the_best_and_the_baseline_are_shown(keep_run, tmp_path):
    shares = {f"m{k}": {"clean": 0.05, "fog/3": 0.9 - 0.08 * k} for k in range(9)}
    picture = bars_picture(study(keep_run, tmp_path, shares))
    names = {text.partition(",")[0] for text in picture.values.values()}
    assert names == {"m0", *(f"m{k}" for k in range(9 - MOST_MODELS + 1, 9))}
    assert "3 more models" in picture.caption


def test_a_model_without_a_result_has_its_place(keep_run, tmp_path):
    shares = {"all": {"clean": 0.1, "fog/3": 0.2, "snow/3": 0.3}, "some": {"clean": 0.1, "snow/3": 0.2}}
    picture = bars_picture(study(keep_run, tmp_path, shares))
    assert [text for text in picture.values.values() if "no result" in text] == ["some, fog (severity 3): no result"]
    with figure_style():
        found = [text.get_text() for axes in picture.draw().axes for text in axes.texts]
    assert found.count("no result") == 1
