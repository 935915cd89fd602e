"""The heat map's last column: the mCE, where errors may be divided by AlexNet's, and nowhere else."""

import json

import pytest
from matplotlib.patches import Rectangle

from withstand.reports.figure import house_style
from withstand.reports.heat_map_figure import heat_map_pictures
from withstand.study.corruption_error import ALEXNET_ERRORS
from withstand.study.row import Row, write_rows
from withstand.study.study import Study

SAYS = "mCE (AlexNet = 100 %)"


def write(folder, shares, *, saved="+jpeg", seeds=1, classes=1000, lost=()):
    """Write runs of models whose errors are shares of AlexNet's; seeds differ by a hundredth."""
    for name, share in shares.items():
        for seed in range(seeds):
            run = folder / f"{name}-{seed}"
            rows = [
                Row(
                    measure="top1",
                    condition=f"{kind}{saved}/{place}",
                    total=50000 * (1 - (share + 0.01 * seed) * error),
                    count=50000,
                )
                for kind, errors in ALEXNET_ERRORS.items()
                for place, error in enumerate(errors, start=1)
                if (name, seed, kind) not in lost
            ]
            write_rows(run / "rows.jsonl", rows)
            (run / "config.yaml").write_text(f"name: {name}\nseed: {seed}\n")
            known = {"shape": [3, 224, 224], "classes": [f"class {k}" for k in range(classes)]}
            (run / "provenance.json").write_text(json.dumps(known))
    return Study.of(folder)


def texts_of(picture, *, dark=False):
    """Return the texts of the figure."""
    with house_style(dark=dark):
        return [each.get_text() for each in picture.draw().axes[0].texts]


def told(picture):
    """Return what is told of the mCE at marks."""
    return [each for each in picture.values.values() if SAYS in each]


def test_the_last_column_is_the_mce_with_its_seeds(tmp_path):
    (picture,) = heat_map_pictures(write(tmp_path, {"plain": 0.5, "robust": 0.3}, seeds=3))
    assert told(picture) == [
        f"plain, {SAYS}: 51.0 % (10-90 %: 50.2-51.8, 3/3 seeds)",
        f"robust, {SAYS}: 31.0 % (10-90 %: 30.2-31.8, 3/3 seeds)",
    ]
    texts = texts_of(picture)
    assert {"mCE", "51.0", "31.0"} <= set(texts)
    assert "AlexNet = 100" in picture.caption
    assert "dash" not in picture.caption
    assert all(each in picture.alt for each in told(picture))


def test_its_cells_stand_apart_are_not_shaded_and_can_be_hovered(tmp_path):
    (picture,) = heat_map_pictures(write(tmp_path, {"plain": 0.5, "robust": 1.6}))
    for dark, paper in ((False, (1.0, 1.0, 1.0, 1.0)), (True, None)):
        with house_style(dark=dark):
            cells = {each.get_gid(): each for each in picture.draw().axes[0].patches if isinstance(each, Rectangle)}
        ratio, other, mean = (cells[f"heat-map-jpeg-{each}-0"] for each in ("mce", "0", "15"))
        second = cells["heat-map-jpeg-mce-1"]
        assert ratio.get_facecolor() == second.get_facecolor() != other.get_facecolor()
        assert paper in (None, ratio.get_facecolor())
        assert ratio.get_x() > mean.get_x() + 1.1
        assert picture.values.keys() <= cells.keys()


def test_a_model_of_other_classes_has_a_dash_and_lacks_nothing(tmp_path):
    write(tmp_path, {"small": 0.4}, classes=10)
    (picture,) = heat_map_pictures(write(tmp_path, {"plain": 0.5}))
    assert told(picture) == [f"plain, {SAYS}: 50.0 % (1 run)"]
    assert "\N{EN DASH}" in texts_of(picture)
    assert "A dash: not ImageNet's" in picture.caption
    assert "Missing" not in picture.caption
    assert "small" in texts_of(picture)


def test_a_run_that_lacks_a_corruption_has_no_mce_and_is_counted(tmp_path):
    study = write(tmp_path, {"plain": 0.5, "other": 0.4}, seeds=2, lost=[("plain", 1, "fog")])
    (picture,) = heat_map_pictures(study)
    assert f"plain, {SAYS}: 50.0 % (1/2 seeds, without 1)" in told(picture)
    assert "50.0*" in texts_of(picture)
    assert "plain: 1/2 seeds, without 1" in picture.caption


@pytest.mark.parametrize("options", [{"classes": 10}, {"saved": ""}, {"lost": [("plain", 0, "fog")]}])
def test_without_alexnets_errors_or_without_all_corruptions_there_is_no_such_column(tmp_path, options):
    (picture,) = heat_map_pictures(write(tmp_path, {"plain": 0.5}, **options))
    assert not told(picture)
    assert "mCE" not in picture.caption + picture.alt + "".join(texts_of(picture))
