"""Certified and worst-case accuracy in balls: the band between them is drawn once, from the means over the seeds."""

import io
import itertools

import numpy as np
import pytest

from withstand.reports.figures.balls.robust_curves import robust_curves_pictures
from withstand.reports.figures.balls.sandwich import sandwich_pictures
from withstand.reports.figures.pictures import pictures
from withstand.reports.figures.tools.style import NARROW, figure_style
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, write_rows
from withstand.study.study import Study

LOOK = {"percent": True, "better": "higher"}
KNOWN = {
    each.name: each
    for each in (
        Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, **LOOK),
        Measure(name="certified_top1", column="certified", words="certified accuracy", kind="certified", **LOOK),
        Measure(name="worst_case_top1", column="correct", words="worst-case accuracy", kind="attacked", **LOOK),
        Measure(name="gap", column="unknown", percent=True),
    )
}
LOW, HIGH = (0.3, 0.35, 0.55), (0.6, 0.61, 0.8)  # by seed: medians are not means


def write(folder, models, radii, *, seeds=1, clean=True):
    """Write runs whose accuracies fall along the radius, each model's a little less than those of the one before."""
    for (number, name), seed in itertools.product(enumerate(models), range(seeds)):
        run = folder / f"{name}-{number:04x}{seed:04x}"
        rows = [Row(measure="top1", condition="clean", value=0.95, count=100)] if clean else []
        for k, radius in enumerate(radii):
            low, high = ((each[seed] + 0.01 * number) / (k + 1) for each in (LOW, HIGH))
            values = {"certified_top1": low, "worst_case_top1": high, "gap": high - low}
            condition = f"linf {radius:g}, quick + CROWN"
            rows += [Row(measure=each, condition=condition, value=own, count=100) for each, own in values.items()]
        write_rows(run / "rows.jsonl", rows, KNOWN)
        (run / "config.yaml").write_text(f"name: {name}\nseed: {seed}\n")
    return Study.of(folder)


def drawn(picture, *, narrow=False, dark=False):
    with figure_style(dark=dark):
        figure = (picture.narrow if narrow else picture.draw)()
        figure.savefig(io.BytesIO(), format="svg")
    return figure


def band_of(axes):
    """Return lowest and highest drawn value by radius."""
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    return {x: (corners[corners[:, 0] == x, 1].min(), corners[corners[:, 0] == x, 1].max()) for x in set(corners[:, 0])}


def test_the_band_is_between_the_means_over_the_seeds_and_begins_at_the_clean_accuracy(tmp_path):
    (picture,) = sandwich_pictures(write(tmp_path, ["net"], (0.01, 0.05, 0.1), seeds=3))
    (axes,) = drawn(picture).axes
    found = band_of(axes)
    assert found[0.0] == pytest.approx((95, 95))
    for k, radius in enumerate((0.01, 0.05, 0.1)):
        assert found[radius] == pytest.approx((100 * np.mean(LOW) / (k + 1), 100 * np.mean(HIGH) / (k + 1)))
    for word in ("CROWN", "quick", "n = 100 samples, 3 seeds", "means"):
        assert word in picture.caption
    marks = {each.get_gid() for each in axes.findobj()}
    assert set(picture.values) <= marks
    assert len(picture.values) == 1 + 2 * 3


@pytest.mark.slow
@pytest.mark.parametrize(("num_models", "num_panels"), [(3, 1), (4, 4), (14, 12)])
def test_more_than_three_models_have_a_panel_each(num_models, num_panels, tmp_path):
    (picture,) = sandwich_pictures(write(tmp_path, [f"net{k:02}" for k in range(num_models)], (0.01, 0.05)))
    for figure in (drawn(picture), drawn(picture, narrow=True), drawn(picture, dark=True)):
        assert len(figure.axes) == num_panels
        assert sum(len(each.collections) for each in figure.axes) == min(num_models, 12)
    assert drawn(picture, narrow=True).get_figwidth() == NARROW
    assert ("2 more models are not drawn" in picture.caption) == (num_models == 14)


def test_one_radius_gives_bars_of_what_is_certified_unknown_and_broken(tmp_path):
    (picture,) = sandwich_pictures(write(tmp_path, ["one", "other"], (0.05,)))
    assert picture.form == "bars"
    for figure in (drawn(picture), drawn(picture, narrow=True)):
        widths = np.array([each.get_width() for each in figure.axes[0].patches]).reshape(2, 3)
        for number, own in enumerate(widths):
            low, high = 100 * LOW[0] + number, 100 * HIGH[0] + number
            assert own == pytest.approx([low, high - low, 95 - high])


def test_one_model_at_one_radius_is_no_figure(tmp_path):
    study = write(tmp_path, ["net"], (0.05,))
    assert not [each for each in pictures(study) if each.name.startswith("sandwich")]


def test_two_radii_without_the_clean_accuracy_are_bars(tmp_path):
    (picture,) = sandwich_pictures(write(tmp_path, ["net"], (0.01, 0.05), clean=False))
    assert (picture.form, picture.size) == ("bars", 2)
    assert len(drawn(picture).axes[0].patches) == 2 * 2


def test_the_curves_leave_its_numbers_to_it(tmp_path):
    study = write(tmp_path, ["net"], (0.01, 0.05, 0.1))
    assert robust_curves_pictures(study) == []
    assert len(pictures(study)) == 1


def test_a_model_that_was_not_measured_in_the_balls_is_named(tmp_path):
    write(tmp_path, ["net"], (0.01, 0.05))
    run = tmp_path / "bare-00ff00ff"
    write_rows(run / "rows.jsonl", [Row(measure="top1", condition="clean", value=0.9, count=100)], KNOWN)
    (run / "config.yaml").write_text("name: bare\nseed: 0\n")
    (picture,) = sandwich_pictures(Study.of(tmp_path))
    assert "bare" in picture.caption
    assert not any("bare" in each for each in picture.values.values())


def test_balls_with_a_radius_per_feature_have_bars(tmp_path):
    for number, name in enumerate(("one", "other")):
        condition = "linf [0.1 0 0.3], standard + branch and bound"
        values = {"certified_top1": 0.2, "worst_case_top1": 0.4}
        rows = [Row(measure=each, condition=condition, value=value, count=100) for each, value in values.items()]
        write_rows(tmp_path / f"{name}-{number:08x}" / "rows.jsonl", rows, KNOWN)
        (tmp_path / f"{name}-{number:08x}" / "config.yaml").write_text(f"name: {name}\nseed: 0\n")
    (picture,) = sandwich_pictures(Study.of(tmp_path))
    assert (picture.form, picture.size) == ("bars", 2)
    assert "branch and bound" in picture.caption
    assert "standard" in picture.caption


@pytest.mark.parametrize(
    ("gap", "said"), [(0.0, "no sample is"), (0.001, "at most 0.10 % of the samples are"), (0.1, "")]
)
def test_lines_that_look_like_one_are_said_to_coincide(gap, said, tmp_path):
    rows = [Row(measure="top1", condition="clean", value=0.95, count=1000)]
    for radius in (0.01, 0.05, 0.1):
        for measure, value in (("certified_top1", 0.5 - radius), ("worst_case_top1", 0.5 - radius + gap)):
            rows.append(Row(measure=measure, condition=f"linf {radius}, quick + CROWN", value=value, count=1000))
    write_rows(tmp_path / "net" / "rows.jsonl", rows, KNOWN)
    (tmp_path / "net" / "config.yaml").write_text("name: net\nseed: 0\n")
    (picture,) = sandwich_pictures(Study.of(tmp_path))
    assert ("coincide" in picture.caption) == bool(said)
    assert said in picture.caption
