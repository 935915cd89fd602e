import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.contour import ContourSet
from PIL import Image

from withstand.reports.figures.landscape import chosen_for_balls, landscape_figure, shades
from withstand.reports.figures.tools.style import write_figure
from withstand.study.landscape import DrawnBall, Landscape, Plane


def landscape(num_classes=2, num_points=40, *, norm="linf", classes=None, scale=(1.0, 1.0)):
    generator = np.random.default_rng(0)
    first, second = np.linspace(0, 10, 21) * scale[0], np.linspace(-2, 4, 21) * scale[1]
    share = np.linspace(0, 1, 21)[None].repeat(21, 0)
    predicted = np.minimum((share * num_classes).astype(int), num_classes - 1)
    points = generator.random((num_points, 2)) * (10, 6) * scale - np.array((0, 2)) * scale
    right = generator.random(num_points) > 0.2
    ball = DrawnBall(
        f"{norm} 0.5", norm, (0.5 * scale[0], 0.5 * scale[1]), right & (generator.random(num_points) > 0.3)
    )
    return Landscape(
        plane=Plane(("x1", "x2"), first, second, scale),
        classes=classes or tuple(f"class {each}" for each in range(num_classes)),
        predicted=predicted,
        confidence=np.full((21, 21), 0.9),
        margin=np.abs(share * num_classes - np.round(share * num_classes)),
        points=points,
        labels=generator.integers(0, num_classes, num_points),
        right=right,
        num_points=num_points,
        ball=ball,
    )


def panels(figure):
    return [each for each in figure.axes if each.axison]


def texts(figure):
    return [each.get_text() for axes in figure.axes for each in axes.texts] + [each.get_text() for each in figure.texts]


def boxes(figure):
    """Where every text is that is seen, in dots."""
    figure.draw_without_rendering()
    found = [*figure.texts, *(each for axes in figure.axes for each in axes.texts)]
    for axes in panels(figure):
        found += [axes.xaxis.label, axes.yaxis.label]
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            found += [each.label1 for each in axis.get_major_ticks() if low <= each.get_loc() <= high]
    return [each.get_window_extent() for each in found if each.get_visible() and each.get_text()]


@pytest.mark.parametrize(("num", "num_classes"), [(1, 12), (5, 3)])
def test_no_text_overlaps_another_or_leaves_the_figure(num, num_classes):
    one = landscape(num_classes, classes=tuple(f"{k} " + 9 * "name" for k in range(num_classes)), scale=(1e4, 1e-4))
    one = replace(one, plane=one.plane._replace(names=(30 * "first ", 30 * "second ")))
    models = {f"{each} a model with a long name, {40 * '.'} {each}": one for each in range(num)}
    shown = {"clean": 1.0, "worst case": 1.0}
    figure = landscape_figure(models, accuracies={name: shown for name in models})
    assert len(panels(figure)) == num
    found = boxes(figure)
    for number, box in enumerate(found):
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width
        assert 0 <= box.y0 < box.y1 <= figure.bbox.height
        assert not any(box.overlaps(other) for other in found[:number])


def test_a_unit_of_the_inputs_is_equally_long_along_both_axes():
    for scale in ((1.0, 1.0), (1e4, 1e-3)):
        (axes,) = panels(landscape_figure({"net": landscape(scale=scale)}))
        box = axes.get_window_extent()
        lengths = box.width / np.ptp(axes.get_xlim()) * scale[0], box.height / np.ptp(axes.get_ylim()) * scale[1]
        assert lengths[0] == pytest.approx(lengths[1])


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_balls_are_drawn_to_scale_around_the_same_points_for_every_model(norm):
    one = landscape(norm=norm, scale=(2.0, 1.0))
    other = replace(one, right=~one.right, predicted=1 - one.predicted)
    chosen = chosen_for_balls(one)
    assert chosen == chosen_for_balls(other)
    for axes in panels(landscape_figure({"one": one, "other": other})):
        assert len(axes.patches) == len(chosen)
        for patch, number in zip(axes.patches, chosen, strict=True):
            corners = patch.get_xy()
            assert np.allclose(corners.max(0), one.points[number] + (1.0, 0.5))
            assert np.allclose(corners.min(0), one.points[number] - (1.0, 0.5))


def test_points_are_ringed_or_crossed_out_as_the_landscape_says():
    one = landscape()
    assert one.ball is not None
    (axes,) = panels(landscape_figure({"net": one}))
    offsets = [np.asarray(each.get_offsets()) for each in axes.collections if len(each.get_offsets()) > 1]
    for points in (one.points[~one.right], one.points[one.right & ~one.ball.right]):
        assert any(each.shape == points.shape and np.allclose(each, points) for each in offsets)
    clean = landscape_figure({"net": replace(one, ball=None)})
    assert not panels(clean)[0].patches
    assert not [each for each in texts(clean) if "ball" in each]


def test_accuracies_and_how_many_points_are_shown_are_given():
    one = replace(landscape(num_points=1200), num_points=3000)
    models = {"a": one, "b": one}
    found = texts(landscape_figure(models, accuracies={"a": {"clean": 0.9, "worst case": 0.5}, "b": {}}))
    assert "clean 90.0, worst case 50.0" in found
    assert "500 of 3,000 test points; accuracy on all 3,000, in percent" in found
    assert texts(landscape_figure({"a": landscape()})).count("all 40 test points") == 1


def test_a_color_is_paler_the_less_sure_the_model_is():
    confidence = np.linspace(0.25, 1, 9)
    for label in range(4):
        found = shades(np.full(9, label), confidence, 4)
        assert (np.diff(found.sum(1)) < 0).all()
        assert (found[0] > 0.9).all()
    assert len(np.unique(shades(np.arange(16), np.ones(16), 16), axis=0)) == 16


def test_one_class_everywhere_has_no_boundary_and_no_warning():
    one = landscape(num_points=30)
    plain = replace(one, predicted=np.zeros_like(one.predicted), labels=np.zeros_like(one.labels))
    (axes,) = panels(landscape_figure({"net": plain}))
    assert not [each for each in axes.collections if isinstance(each, ContourSet)]
    (axes,) = panels(landscape_figure({"net": one}))
    assert [each for each in axes.collections if isinstance(each, ContourSet)]


def test_the_same_data_give_the_same_files_and_they_are_not_blank(tmp_path):
    written = [write_figure(tmp_path / name / "land", landscape_figure({"$a_1$": landscape()})) for name in "ab"]
    for one, other in zip(*written, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert [each.name for each in sorted((tmp_path / "a").iterdir())] == ["land.png", "land.svg"]
    image = Image.open(io.BytesIO(written[0][0].read_bytes())).convert("RGB")
    assert image.size[0] == 7.2 * 300
    assert image.getpixel((5, 5)) == (255, 255, 255)
    assert len(set(image.resize((200, 100), Image.Resampling.NEAREST).get_flattened_data())) > 10
