"""The corruptions of LAION-C: the law of their draws, other sizes, and Pillow's drawing."""

from math import cos, radians, sin

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from scipy.stats import chisquare, kstest

from withstand.functional.levels import to_levels
from withstand.functional.random import integers, stream
from withstand.perturbations.corruptions.laion_c.geometric_shapes import GeometricShapes
from withstand.perturbations.corruptions.laion_c.luminance_checkerboard import LuminanceCheckerboard
from withstand.perturbations.corruptions.laion_c.vertical_lines import VerticalLines


def photos(*shape):
    return integers(shape, 0, 256, rng=stream(0, "photos"))


def drawn_with_pillow(levels, shapes):
    image = Image.fromarray(levels.permute(1, 2, 0).to(torch.uint8).numpy())
    draw = ImageDraw.Draw(image)
    for kind, x, y, size, *colour, rotation in shapes.tolist():
        if kind == 0:
            draw.polygon([(x, y), (x + size, y), (x + size / 2, y + size)], fill=tuple(colour))
        elif kind == 2:
            radii = [size / 1.2 / (1 + corner % 2) for corner in range(10)]
            angles = [radians(36 * corner + rotation) for corner in range(10)]
            corners = [(x + r * sin(a), y + r * cos(a)) for r, a in zip(radii, angles, strict=True)]
            draw.polygon(corners, fill=tuple(colour))
        else:
            (draw.rectangle if kind == 1 else draw.ellipse)([x, y, x + size, y + size], fill=tuple(colour))
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


@pytest.mark.parametrize("size", [(224, 224), (60, 41), (300, 500)], ids=str)
def test_shapes_are_those_that_pillow_draws(size):
    corruption, levels = GeometricShapes(severity=1, pixels=224), photos(2, 3, *size)
    shapes = corruption.sample(levels.shape, rng=stream(1, "shapes"))
    made = to_levels(corruption.corrupt(levels / 255, shapes))
    for own, before, drawn in zip(made, levels, shapes, strict=True):
        assert torch.equal(own, drawn_with_pillow(before, drawn))


def test_shapes_are_uniform_and_their_sizes_scale_with_the_shorter_side():
    shapes = GeometricShapes(severity=2, pixels=224).sample((40, 3, 112, 200), rng=stream(0, "law")).flatten(0, 1)
    assert len(shapes) == 40 * 300
    ranges = (range(4), range(200), range(112), None, *[range(256)] * 3, range(360))
    for values, expected in zip(shapes.unbind(1), ranges, strict=True):
        if expected is not None:
            assert chisquare(torch.bincount(values, minlength=len(expected))).pvalue > 1e-3
    assert set(shapes[:, 3].tolist()) == {3, 4, 5, 6, 7, 8}  # half of 6 to 15, half-way cases to even


def test_a_grey_image_gets_the_mean_of_the_colours():
    shape = torch.tensor([[[1, 2, 1, 3, 30, 60, 90, 0]]])
    made = GeometricShapes(severity=1, pixels=224).corrupt(torch.zeros(1, 1, 6, 7), shape) * 255
    assert made[0, 0, 1:5, 2:6].unique().item() == pytest.approx(60)
    assert made.sum() == pytest.approx(60 * 16)


def test_tiles_are_brighter_and_darker_by_turns_each_by_its_own_amount():
    corruption, x = LuminanceCheckerboard(severity=2), torch.full((3, 3, 224, 224), 120 / 255)
    amounts = corruption.sample(x.shape, rng=stream(0, "amounts"))
    assert amounts.shape == (3, 16, 16)
    assert kstest(amounts.flatten().numpy(), "uniform", args=(50, 50)).pvalue > 1e-3
    change = (corruption.corrupt(x, amounts) * 255).round() - 120
    tiles = change.unfold(2, 14, 14).unfold(3, 14, 14)
    assert torch.equal(tiles.amin((1, 4, 5)), tiles.amax((1, 4, 5)))
    signs = (-1.0) ** (torch.arange(16)[:, None] + torch.arange(16))
    assert ((tiles[:, 0, :, :, 0, 0] * signs - amounts).abs() <= 1).all()


def test_tiles_scale_with_the_shorter_side():
    corruption = LuminanceCheckerboard(severity=5, pixels=224)
    assert corruption.sample((1, 3, 32, 64), rng=stream(0, "a")).shape == (1, 16, 32)
    assert corruption.sample((1, 3, 5, 3), rng=stream(0, "a")).shape == (1, 22, 11)


def with_pillow(levels, columns, step, bend):
    """Lines as Pillow draws them, column by column and cell by cell."""
    height, width = levels.shape[1:]
    pixels = levels.permute(1, 2, 0).to(torch.uint8).numpy()
    luma = np.array(Image.fromarray(pixels).convert("L")).astype(int)
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    for column in range(columns):
        x = column / columns * width
        last, across = (x, 0), slice(int(x), min(int(x + width / columns), width))
        for y in range(0, height, step):
            cell, grey = pixels[y : y + step, across].astype(int), luma[y : y + step, across]
            mean = cell.reshape(-1, 3).mean(0).astype(int) if cell.size else np.zeros(3, int)
            end = (x - bend * (1 - (int(grey.mean()) if grey.size else 0) / 255), y)
            draw.line([last, end], fill=tuple(mean.tolist()), width=1)
            last = end
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


@pytest.mark.parametrize(
    ("size", "severity", "columns", "step"),
    [((224, 224), 4, 84, 6), ((112, 112), 5, 60, 4), ((112, 168), 5, 90, 4), ((20, 30), 2, 30, 1)],
)
def test_lines_are_those_that_pillow_draws(size, severity, columns, step):
    coarse = photos(1, 3, 5, 5).float()
    levels = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear").floor()
    made = VerticalLines(severity=severity, pixels=224).corrupt(levels / 255, None)
    assert torch.equal(to_levels(made)[0], with_pillow(levels[0], columns, step, 40 * min(size) / 224))
