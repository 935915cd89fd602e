"""The heat map: a measure per corruption, and what is said of all corruptions, where that is known of a model."""

import pytest
from matplotlib.patches import Rectangle

from withstand.conditions import IMAGENET_C
from withstand.reports.figures.heat_map import heat_map_pictures
from withstand.reports.figures.tools.style import figure_style
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, write_rows
from withstand.study.study import Study

KNOWN = {
    each.name: each
    for each in (
        Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True),
        Measure(name="harm", column="harm", words="harm", topic="Harm", better="lower", percent=True, primary=False),
        Measure(
            name="ratio", column="harm", words="ratio", topic="Ratios", better="lower", percent=True, primary=False
        ),
    )
}
ALL = "15 corruptions+jpeg"


def write(folder, shares, *, seeds=1, lost=(), ratios=True, overall=True):
    """Write runs of models whose harms are shares of a number per corruption; seeds differ by a hundredth."""
    for name, share in shares.items():
        for seed in range(seeds):
            own = share + 0.01 * seed
            rows = [Row(measure="top1", condition="clean", value=1 - own / 4, count=1000)]
            rows += [Row(measure="top1", condition="corruptions+jpeg", value=1 - own / 2, count=1000)]
            rows += [
                Row(measure=measure, condition=f"{kind}+jpeg", value=own * (1 + k / 15), count=1000)
                for measure in ("harm", "ratio")[: 1 + ratios]
                for k, kind in enumerate(IMAGENET_C)
                if (name, seed, kind) not in lost
            ]
            if overall and (name, seed) not in [each[:2] for each in lost]:
                rows.append(Row(measure="harm", condition=ALL, value=own * 1.5, count=1000))
                rows += [Row(measure="ratio", condition=ALL, value=own, count=1000)] * ratios
            write_rows(folder / f"{name}-{seed}" / "rows.jsonl", rows, KNOWN)
            (folder / f"{name}-{seed}" / "config.yaml").write_text(f"name: {name}\nseed: {seed}\n")
    return Study.of(folder)


def drawn(picture, *, dark=False):
    """Return the axes of the figure."""
    with figure_style(dark=dark):
        return picture.draw().axes[0]


def heads(picture):
    """Return the heads of the columns, from the left to the right."""
    texts = [each for each in drawn(picture).texts if each.get_rotation() == 60]
    return [each.get_text() for each in sorted(texts, key=lambda each: each.get_position()[0])]


def test_columns_are_clean_the_corruptions_and_overall_numbers_with_their_seeds(tmp_path):
    (picture,) = heat_map_pictures(write(tmp_path, {"plain": 0.5, "robust": 0.3}, seeds=3))
    assert heads(picture) == ["clean", *(each.replace("_", " ") for each in IMAGENET_C), "harm", "ratio"]
    texts = list(picture.values.values())
    assert "plain, ratio: 51.0 % (10-90 %: 50.2-51.8, 3/3 seeds)" in texts
    assert "plain, gaussian noise, harm: 51.0 % (10-90 %: 50.2-51.8, 3/3 seeds)" in texts
    assert "robust, clean error: 7.8 % (10-90 %: 7.6-8.0, 3/3 seeds)" in texts
    assert "Not shaded: harm, ratio." in picture.caption
    assert "dash" not in picture.caption


def test_overall_numbers_stand_apart_are_not_shaded_and_can_be_hovered(tmp_path):
    (picture,) = heat_map_pictures(write(tmp_path, {"plain": 0.5, "robust": 1.6}))
    for dark in (False, True):
        cells = {each.get_gid(): each for each in drawn(picture, dark=dark).patches if isinstance(each, Rectangle)}
        clean, first, last, overall, ratio = (cells[f"heat-map-jpeg-{each}-0"] for each in (0, 1, 15, 16, 17))
        other = cells["heat-map-jpeg-17-1"]
        assert ratio.get_facecolor() == other.get_facecolor() != first.get_facecolor()
        assert overall.get_x() > last.get_x() + 1.1
        assert ratio.get_x() == pytest.approx(overall.get_x() + 1)
        assert first.get_x() > clean.get_x() + 1
        assert picture.values.keys() <= cells.keys()


def test_a_model_of_which_an_overall_number_is_not_known_has_a_dash_and_lacks_nothing(tmp_path):
    write(tmp_path, {"small": 0.4}, ratios=False)
    (picture,) = heat_map_pictures(write(tmp_path, {"plain": 0.5}))
    assert [each for each in picture.values.values() if ", ratio" in each] == ["plain, ratio: 50.0 % (1 run)"]
    texts = [each.get_text() for each in drawn(picture).texts]
    assert texts.count("\N{EN DASH}") == 1
    assert "A dash: not known of this model." in picture.caption
    assert "Missing" not in picture.caption
    assert "small" in texts


def test_a_run_that_lacks_a_corruption_is_counted(tmp_path):
    study = write(tmp_path, {"plain": 0.5, "other": 0.4}, seeds=2, lost=[("plain", 1, "fog")])
    (picture,) = heat_map_pictures(study)
    assert "plain, ratio: 50.0 % (1/2 seeds, missing 1)" in picture.values.values()
    assert "50.0*" in [each.get_text() for each in drawn(picture).texts]
    assert "plain: 1/2 seeds, missing 1" in picture.caption


def test_without_overall_numbers_the_mean_is_the_opposite_of_the_mean_accuracy(tmp_path):
    (picture,) = heat_map_pictures(write(tmp_path, {"plain": 0.5}, overall=False, ratios=False))
    assert heads(picture)[-1] == "mean"
    assert "plain, mean error: 25.0 % (1 run)" in picture.values.values()


def test_of_few_models_there_is_a_figure_with_models_across(tmp_path):
    (picture,) = heat_map_pictures(write(tmp_path, {"plain": 0.5, "robust": 0.3}))
    with figure_style():
        cells = [[each for each in draw().axes[0].patches if each.get_gid()] for draw in (picture.draw, picture.narrow)]
    for one, other in zip(*cells, strict=True):
        assert (one.get_gid(), one.get_facecolor()) == (other.get_gid(), other.get_facecolor())
        # Models are down in the one and across in the other.
        assert one.get_y() == other.get_x() == int(one.get_gid().rpartition("-")[2])
    (picture,) = heat_map_pictures(write(tmp_path / "many", {f"m{k}": 0.1 * k for k in range(1, 8)}))
    assert picture.narrow is None


@pytest.mark.parametrize("form", ["draw", "narrow"])
def test_the_best_of_a_condition_is_bold(tmp_path, form):
    (picture,) = heat_map_pictures(write(tmp_path, {"plain": 0.5, "robust": 0.3}))
    with figure_style():
        texts = getattr(picture, form)().axes[0].texts
    bold = [each.get_text() for each in texts if each.get_weight() == "bold" and not each.get_rotation()]
    assert {"30.0", "7.5", "45.0"} <= set(bold)
    assert not {"75.0", "12.5"} & set(bold)
