"""Pictures of studies: everything that is known is in them, and what is missing is named."""

import io
import json
import math
import re

import matplotlib as mpl
import numpy as np
import polars
import pytest
from matplotlib.text import Text

from withstand.conditions import IMAGENET_C
from withstand.reports.figures.pictures import KINDS, MOST, is_enough, pictures
from withstand.reports.figures.tools.marks import summed_up
from withstand.reports.figures.tools.picture import Picture
from withstand.reports.figures.tools.style import NARROW, figure_style
from withstand.reports.page.figure import darkened, inline
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, write_rows
from withstand.study.measures.suites import suite_rows
from withstand.study.study import Study, name_of
from withstand.study.sweep import Entry, write_entries, write_failure

RADII = (0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
FALLS = {"regular": 2.2, "smoothed": 0.7, "adversarial": 0.6, "langevin": 1.0}  # of the accuracy along the radius
SAMPLES = 2087
LOST = {("smoothed", 0.1): (3,), ("langevin", 0.2): (0, 1, 2, 3, 4), ("adversarial", 0.25): (2,)}
PROBLEM = "The loss of epoch 3 is not finite."

UNIT = "l2 of logits / l2 of input"
KNOWN = {
    each.name: each
    for each in (
        Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True),
        Measure(name="top5", column="top5", words="top-5 accuracy", topic=ACCURACY, percent=True, primary=False),
        Measure(name="balanced_top1", column="correct", words="balanced accuracy", better="higher", percent=True),
        Measure(name="recall A", column="correct", words="recall of A", better="higher", percent=True, primary=False),
        Measure(name="worst_case_top1", column="worst", words="worst-case accuracy", kind="attacked", percent=True),
        Measure(
            name="adversarial_top1", column="attacked", words="adversarial accuracy", kind="attacked", percent=True
        ),
        Measure(name="mean_top1", column="mean", words="mean accuracy over the ball", kind="estimated", percent=True),
        Measure(
            name="lipschitz_upper_lipsdp",
            column="upper",
            words="Lipschitz upper bound (LipSDP)",
            unit=UNIT,
            kind="upper bound",
        ),
        Measure(name="lipschitz_lower", column="lower", words="Lipschitz lower bound", unit=UNIT, kind="lower bound"),
    )
}


def write(folder, rows):
    """Write rows as a measurement does: with the means over corruptions."""
    rows = list(rows)
    further = suite_rows(rows, {row.measure: KNOWN[row.measure] for row in rows})
    write_rows(folder / "rows.jsonl", [*rows, *further.rows], KNOWN | further.measures)


def row(measure, condition, value, count=SAMPLES):
    return Row(measure=measure, condition=condition, value=value, count=count)


def rows_at(method, radius, random):
    """Return rows with plausible numbers."""
    costs = 0 if method == "regular" else 0.25 * radius
    clean, fall = 0.93 - costs + random.normal(0, 0.006), FALLS[method]
    worst = max(0.02, clean - fall * radius - 2.5 * radius**2 + random.normal(0, 0.012))
    steep = (40 if method == "regular" else 6 / (radius + 0.12)) * np.exp(random.normal(0, 0.1))
    where = f"linf {radius:g}"
    yield row("top1", "clean", clean)
    yield row("top5", "clean", 0.5 + clean / 2)
    yield row("balanced_top1", "clean by class", clean - 0.06)
    yield row("recall A", "clean by class", clean - 0.03)
    yield row("worst_case_top1", f"{where}, PGD-40 x 3 + vertices + 64 tilted", worst)
    yield row("adversarial_top1", f"{where}, PGD-40 x 3", worst + 0.01)
    yield row("mean_top1", f"{where}, mean of 256", clean - 0.1 * radius)
    yield row("lipschitz_upper_lipsdp", "l2 to l2", 6 * steep, 1)
    yield row("lipschitz_lower", "l2 to l2", steep)


def history(random, epochs=30, loss=0.3):
    """Return the epochs of a training."""
    return [
        {
            "epoch": k,
            "loss": loss + 1.8 * np.exp(-k / 6) + random.uniform(0, 0.02),
            "lr": 0.1,
            "validation": 1 - 1 / (k + 2),
        }
        for k in range(1, epochs + 1)
    ]


def write_sweep(folder, *, methods=tuple(FALLS), radii=RADII, seeds=5, rows=rows_at, lost=LOST):
    """Write a sweep; of the seeds lost, the first failed, the others were never begun."""
    entries = []
    for method in methods:
        for radius in radii:
            for seed in range(seeds):
                run = f"{method}-{radius:g}-seed{seed}"
                entries.append(Entry(labels={"method": method, "radius": radius}, seed=seed, run=run))
                if seed in lost.get((method, radius), ()):
                    if seed == min(lost[method, radius]):
                        write_failure(folder / run, PROBLEM, "trace")
                    continue
                random = np.random.default_rng([seed, round(1000 * radius), *method.encode()])
                write(folder / run, rows(method, radius, random))
                epochs = history(random, loss=FALLS.get(method, 1.0) / 3)
                (folder / run / "history.json").write_text(json.dumps(epochs))
    write_entries(folder, entries, command=["withstand", "sweep", "x"])
    return Study.of(folder)


def corrupted_rows(share, *, saved="", kinds=IMAGENET_C):
    """Return rows on corrupted images."""
    yield row("top1", "clean", share)
    for k, kind in enumerate(kinds):
        for severity in range(1, 6):
            yield row("top1", f"{kind}{saved}/{severity}", share - (0.02 + 0.006 * k) * severity)


def write_models(folder, shares, *, seeds=(0,), **options):
    """Write runs of several models, which belong to no sweep."""
    for number, (name, share) in enumerate(shares.items()):
        for seed in seeds:
            run = folder / f"{name}-{number:04x}{seed:04x}"
            write(run, corrupted_rows(share - 0.01 * seed, **options))
            (run / "config.yaml").write_text(f"name: {name}\nseed: {seed}\n")
            epochs = history(np.random.default_rng([number, seed]), 5)
            (run / "history.json").write_text(json.dumps(epochs))
    return Study.of(folder)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return write_sweep(tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    shares = {"plain": 0.9, "gaussian": 0.88, "ant": 0.91}
    return write_models(tmp_path_factory.mktemp("models"), shares, seeds=(0, 1, 2))


def drawn(picture, *, dark=False):
    """Return the picture as SVG, with texts as texts, which is faster."""
    buffer = io.StringIO()
    with figure_style(dark=dark), mpl.rc_context({"svg.fonttype": "none"}):
        picture.draw().savefig(buffer, format="svg")
    return buffer.getvalue()


def gids(picture):
    """Return the names of the drawn marks, without writing them to a file."""
    with figure_style():
        return {each.get_gid() for each in picture.draw().findobj()}


def by_name(study):
    """Return every picture that can be drawn, whether or not it shows enough."""
    return {each.name: each for kind in KINDS for each in kind(study)}


def curves(method, radius, random):
    """Return rows of a run that was measured at every radius."""
    yield row("top1", "clean", 0.9 - radius)
    for attacked in RADII:
        yield row(
            "worst_case_top1", f"linf {attacked:g}, PGD-40 x 3", max(0.0, 0.9 - radius - FALLS[method] * attacked)
        )


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    return write_sweep(tmp_path_factory.mktemp("grid"), rows=curves, radii=(0.1, 0.2), seeds=2, lost={})


def test_names_are_file_names_and_each_is_there_once(sweep, models, grid):
    for study in (sweep, models, grid):
        names = [each.name for each in pictures(study)]
        assert len(set(names)) == len(names) > 2
        assert all(name == name.lower() and name.replace("-", "").isalnum() for name in names)


def test_a_sweep_over_radii_has_every_measure_against_the_radius(sweep):
    found = {each.removesuffix("-against-radius") for each in by_name(sweep) if each.endswith("-against-radius")}
    accuracies = {"top1", "balanced-top1", "adversarial-top1", "worst-case-top1", "mean-top1"}
    assert found == accuracies | {"lipschitz-upper-lipsdp", "lipschitz-lower"}


def test_every_combination_of_the_summary_is_told_with_its_numbers(sweep):
    for measure in ("top1", "worst_case_top1", "lipschitz_lower"):
        picture = by_name(sweep)[f"{measure.replace('_', '-')}-against-radius"]
        texts = set(picture.values.values())
        lines = sweep.summary.filter(polars.col("measure") == measure)
        assert len(lines) == len(FALLS) * len(RADII) - 1
        for line in lines.iter_rows(named=True):
            name = name_of({"method": line["method"], "radius": line["radius"]})
            assert f"{name}: {summed_up(line, KNOWN[measure])}" in texts


def test_a_text_has_the_median_the_quantiles_and_the_seeds(sweep):
    line = sweep.summary.row(
        by_predicate=(polars.col("method") == "smoothed")
        & (polars.col("radius") == 0.1)
        & (polars.col("measure") == "worst_case_top1"),
        named=True,
    )
    low, middle, high = (f"{100 * line[each]:.1f}" for each in ("q10", "q50", "q90"))
    texts = by_name(sweep)["worst-case-top1-against-radius"].values.values()
    assert f"smoothed, radius 0.1: {middle} % (10-90 %: {low}-{high}, 4/5 seeds, missing 3)" in texts


def test_missing_seeds_are_named_in_every_caption_and_marked(sweep):
    found = pictures(sweep)
    shown = {each.name: each.caption for each in found if not each.name.startswith("training")}
    together = " ".join(each.caption for each in found if each.name.startswith("training"))
    for caption in (*shown.values(), together):
        for (method, radius), seeds in LOST.items():
            lost = ", ".join(map(str, seeds))
            whole = f"{method}, radius {radius:g}: {5 - len(seeds)}/5 seeds, missing {lost} (failed: {PROBLEM[:-1]})"
            assert whole in caption
    assert any("0/5" in text.get_text() for text in texts_of(by_name(sweep)["top1-against-radius"]))
    assert any("4/5" in text.get_text() for text in texts_of(by_name(sweep)["top1-against-radius"]))
    assert "langevin, radius 0.2 (0/5)" in "".join(
        text.get_text() for text in texts_of(by_name(sweep)["frontier-worst-case-top1"], of_figure=True)
    )


def texts_of(picture, *, of_figure=False):
    with figure_style():
        figure = picture.draw()
    return figure.texts if of_figure else figure.axes[0].texts


def test_many_missing_combinations_are_counted(tmp_path):
    lost = {(method, radius): (1,) for method in FALLS for radius in RADII[1:5]}
    study = write_sweep(tmp_path, seeds=2, lost=lost)
    assert "and 8 further combinations" in by_name(study)["top1-against-radius"].caption


@pytest.mark.slow
def test_every_mark_that_has_a_text_is_in_the_drawing(sweep, models, grid):
    for study in (sweep, models, grid):
        for picture in pictures(study):
            assert picture.values
            assert picture.values.keys() <= gids(picture)


def test_a_narrow_figure_has_every_mark_and_is_legible_on_a_phone(models):
    found = [each for each in by_name(models).values() if each.narrow]
    assert {each.name.partition("-")[0] for each in found} == {"severities", "heat", "training", "frontier"}
    for picture in found:
        with figure_style():
            figure = picture.narrow()
            figure.draw_without_rendering()
            texts = [each for each in figure.findobj(Text) if each.get_text() and each.get_visible()]
            boxes = [each.get_window_extent() for each in texts]
        assert figure.get_size_inches()[0] == NARROW
        assert picture.values.keys() <= {each.get_gid() for each in figure.findobj()}
        # 390 pixels less the margins of the page.
        assert min(each.get_size() for each in texts) * 358 / (72 * NARROW) >= 8
        # Texts of axes whose limits leave ticks out lie far away and are not drawn.
        near = [each for each in boxes if each.x1 > 0 and each.x0 < figure.bbox.width]
        assert all(each.x0 >= -1 and each.x1 <= figure.bbox.width + 1 for each in near)


@pytest.mark.parametrize("name", ["worst-case-top1-against-radius", "frontier-worst-case-top1", "training-4"])
def test_marks_have_names_of_their_own_in_an_svg(sweep, name):
    picture = by_name(sweep)[name]
    there = re.findall(r'id="([^"]+)"', drawn(picture))
    assert all(there.count(gid) == 1 for gid in picture.values)


def test_no_mark_lies_at_a_place_that_is_no_number(sweep):
    for picture in pictures(sweep):
        with figure_style():
            figure = picture.draw()
        lines = [line for axes in figure.axes for line in axes.lines if line.get_gid() in picture.values]
        assert all(math.isfinite(float(value)) for line in lines for value in line.get_xydata().flat)
        assert "nan" not in " ".join(picture.values.values())


def test_in_the_dark_ink_and_paper_change_places(sweep):
    light, dark = (drawn(by_name(sweep)["top1-against-radius"], dark=each) for each in (False, True))
    assert "#ffffff" in light
    assert "#ffffff" not in dark
    assert "#16181c" in dark


@pytest.mark.slow
def test_dark_colours_are_those_of_a_drawing_in_the_dark(sweep, models, grid):
    chosen = [by_name(sweep)[name] for name in ("top1-against-radius", "frontier-worst-case-top1", "training-4")]
    mixed = []
    for picture in (*chosen, *pictures(models), *pictures(grid)):
        light, dark = (drawn(picture, dark=each).encode() for each in (False, True))
        mapped = darkened(light)
        if mapped is None:
            mixed.append(picture.name)
            continue
        both = [inline(light, each, prefix="p-", alt="x", values=picture.values) for each in (mapped, dark)]
        assert both[0] == both[1]
        assert "light-dark(#ffffff, #16181c)" in both[0]
    assert mixed == ["heat-map"]


def test_a_drawing_with_a_mixed_colour_is_not_darkened():
    assert (
        darkened(b'<svg><path style="fill: #ffffff"/>#123456</svg>')
        == b'<svg><path style="fill: #16181c"/>#123456</svg>'
    )
    assert darkened(b'<svg><path style="fill: #ffffff; stroke: #123456"/></svg>') is None


def test_what_was_not_measured_is_not_offered(tmp_path):
    study = write_models(tmp_path, {"plain": 0.9}, kinds=())
    assert list(by_name(study)) == ["training"]
    (tmp_path / "plain-00000000" / "history.json").unlink()
    assert by_name(Study.of(tmp_path)) == {}


@pytest.mark.parametrize("options", [{"radii": (0.1, 0.2)}, {"radii": (0.1,)}, {"methods": ("smoothed",)}])
def test_little_is_drawn_as_well(tmp_path, options):
    study = write_sweep(tmp_path, lost={}, seeds=1, **options)
    found = by_name(study)
    for picture in found.values():
        assert picture.values.keys() <= gids(picture)
    assert any(name.startswith("top1-against") for name in found) == (options.get("radii") != (0.1,))


def test_a_figure_is_drawn_only_where_there_is_enough_to_see(tmp_path):
    def shown(name, **options):
        study = write_sweep(tmp_path / name, lost={}, seeds=1, **options)
        return {each.name for each in pictures(study)}

    two, three = shown("two", radii=(0.1, 0.2)), shown("three", radii=(0.1, 0.2, 0.3))
    assert not any("against" in each for each in two)
    assert {"top1-against-radius", "lipschitz-lower-against-radius"} <= three
    # Four methods at two radii are eight points, one method at three radii three.
    assert any(each.startswith("frontier") for each in two)
    assert not any(each.startswith("frontier") for each in shown("one", methods=("smoothed",), radii=(0.1, 0.2, 0.3)))


def test_the_heat_map_needs_models_to_compare_and_severities_need_three(tmp_path):
    def shown(name, models, kinds):
        return {each.name for each in pictures(write_models(tmp_path / name, models, kinds=kinds))}

    one, two = {"plain": 0.9}, {"plain": 0.9, "other": 0.8}
    many = IMAGENET_C[:5]
    assert "heat-map" not in shown("one", one, many)
    assert "heat-map" not in shown("few", two, many[:3])
    assert {"heat-map", "severities"} <= shown("two", two, many)


def test_many_figures_of_a_kind_are_cut_and_the_last_one_says_so(tmp_path, monkeypatch):
    own = [Picture(name=f"p{k}", title="t", caption="c.", alt="a", draw=lambda: None, size=3) for k in range(MOST + 4)]
    monkeypatch.setattr("withstand.reports.figures.pictures.KINDS", (lambda _: own,))
    found = pictures(None)
    assert [each.name for each in found] == [f"p{k}" for k in range(MOST)]
    assert [each.caption for each in found[:-1]] == ["c."] * (MOST - 1)
    assert "4 more" in found[-1].caption
    assert not is_enough(Picture(name="p", title="t", caption="c", alt="a", draw=lambda: None, form="scatter", size=3))


def test_a_single_run_on_corrupted_images_is_drawn(tmp_path):
    write(tmp_path, corrupted_rows(0.9, saved="+jpeg", kinds=("fog", "spatter")))
    (tmp_path / "config.yaml").write_text("name: plain\nseed: 0\n")
    found = by_name(Study.of(tmp_path))
    assert set(found) == {"severities-jpeg", "heat-map-jpeg"}
    assert all(each.values.keys() <= gids(each) for each in found.values())
    assert "The mean is over 1 (not spatter)." in found["heat-map-jpeg"].caption


def test_the_heat_map_has_means_over_the_severities_and_over_the_corruptions(models):
    texts = by_name(models)["heat-map"].values.values()
    # The error of corruption k at severity s is 1 - share + (0.02 + 0.006 k) s, and seeds differ by 0.01.
    assert "plain, gaussian noise, corruption error: 17.0 % (10-90 %: 16.2-17.8, 3/3 seeds)" in texts
    assert "plain, mean corruption error: 29.6 % (10-90 %: 28.8-30.4, 3/3 seeds)" in texts
    assert "plain, clean error: 11.0 % (10-90 %: 10.2-11.8, 3/3 seeds)" in texts


def test_the_mean_over_corruptions_is_shown_against_the_radius(tmp_path):
    def rows(method, radius, random):
        return corrupted_rows(0.9 - radius + 0.001 * random.normal(), kinds=("fog", "snow"))

    found = by_name(write_sweep(tmp_path, methods=("plain",), radii=(0.1, 0.2), seeds=2, rows=rows, lost={}))
    assert "Mean top-1 accuracy under corruptions" in found["top1-corruptions-against-radius"].title
    assert {"top1-against-radius", "frontier-top1", "severities", "heat-map", "training"} <= set(found)


def test_a_model_that_lacks_cells_is_named(tmp_path):
    write_models(tmp_path, {"plain": 0.9, "other": 0.8})
    run = tmp_path / "other-00010000"
    rows = [each for each in corrupted_rows(0.8) if each.condition not in ("fog/3", "snow/1")]
    write(run, rows)
    found = by_name(Study.of(tmp_path))
    for name in ("severities", "heat-map"):
        assert "Not measured: other" in found[name].caption
    texts = found["heat-map"].values.values()
    assert "other, fog, corruption error: no result (0/1 seeds)" in texts
    assert not any(each.startswith("other, mean") for each in texts)


def test_curves_start_at_the_clean_accuracy_and_are_apart_from_the_radius_of_the_training(grid):
    found = by_name(grid)
    texts = found["worst-case-top1-curves-linf"].values.values()
    assert len(texts) == len(FALLS) * 2 * (1 + len(RADII))
    assert "smoothed, radius 0.2 at 0: 70.0 % (10-90 %: 70.0-70.0, 2/2 seeds)" in texts
    assert "smoothed, radius 0.2 at 0.3: 49.0 % (10-90 %: 49.0-49.0, 2/2 seeds)" in texts
    # Against the radius of the training it is at the same radius, and at others only if they are few.
    own = found["worst-case-top1-against-radius"].values.values()
    assert "smoothed, radius 0.2: 56.0 % (10-90 %: 56.0-56.0, 2/2 seeds)" in own


def test_many_models_take_several_pictures_and_none_is_lost(tmp_path):
    shares = {f"model{k}": 0.9 - 0.01 * k for k in range(11)}
    found = by_name(write_models(tmp_path, shares))
    assert {"severities-1", "severities-2", "heat-map", "training-1", "training-2"} <= set(found)
    texts = " ".join(text for name in ("severities-1", "severities-2") for text in found[name].values.values())
    assert all(f"{name}, fog 3:" in texts for name in shares)


def test_models_with_a_common_attack_have_a_frontier_without_lines(tmp_path):
    for k, method in enumerate(FALLS):
        run = tmp_path / f"{method}-{k:08x}"
        rows = [each for each in rows_at(method, 0.1, FixedRandom()) if "lipschitz" not in each.measure]
        write(run, rows)
        (run / "config.yaml").write_text(f"name: {method}\nseed: 0\n")
    picture = by_name(Study.of(tmp_path))["frontier-worst-case-top1"]
    assert picture.title.endswith("linf 0.1")
    assert len(picture.values) == len(FALLS)


def test_infinite_values_are_said_and_stand_at_no_place(tmp_path):
    def rows(method, radius, random):
        yield row("lipschitz_lower", "noise", math.inf if radius > 0.1 else 5.0 + radius)

    study = write_sweep(tmp_path, methods=("plain",), radii=(0.05, 0.1, 0.2), seeds=2, rows=rows, lost={})
    picture = by_name(study)["lipschitz-lower-against-radius"]
    assert "plain, radius 0.2: inf (10-90 %: inf-inf, 2/2 seeds)" in picture.values.values()
    assert "Cross with seeds: infinite." in picture.caption
    with figure_style():
        (axes,) = picture.draw().axes
    marks = [line for line in axes.lines if line.get_gid() in picture.values]
    assert len(marks) == 3
    assert all(math.isfinite(float(value)) for line in marks for value in line.get_xydata().flat)
    assert axes.get_ylim()[1] < 6


def test_any_number_in_a_condition_makes_a_curve(tmp_path):
    def rows(method, radius, random):
        yield row("top1", "clean", 0.9)
        for std in (0.1, 0.5, 1):
            yield row("top1", f"Gaussian std={std:g}", 0.9 - std / 2)
            yield row("worst_case_top1", f"l2 {std:g} iqr, PGD-40 x 3", 0.9 - std / 2)

    found = by_name(write_sweep(tmp_path, methods=("a", "b"), radii=(0.1,), seeds=1, rows=rows, lost={}))
    noise, ball = found["top1-curves-gaussian-std"], found["worst-case-top1-curves-l2-iqr"]
    assert noise.title == "Top-1 accuracy against the Gaussian std"
    assert ball.title == "Worst-case accuracy against the radius of the ball, l2"
    for picture in (noise, ball):
        assert sum(text.endswith("at 0: 90.0 % (1 run)") for text in picture.values.values()) == 2
        assert sum(text.endswith("at 0.5: 65.0 % (1 run)") for text in picture.values.values()) == 2
    with figure_style():
        assert ball.draw().axes[0].get_xlabel() == "radius of the ball, l2 in interquartile ranges"


class FixedRandom:
    """Draws nothing."""

    def normal(self, *_):
        return 0.0
