import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from withstand.functional.kernels.procedural.layers import Layers, mark_lines
from withstand.functional.kernels.procedural.shapes import filled_circle, filled_polygons
from withstand.functional.random import integers, stream

SIDE = 48


def pillow(draw, side=SIDE):
    image = Image.new("RGB", (side, side))
    draw(ImageDraw.Draw(image))
    return torch.from_numpy(np.array(image)[..., 0] > 0)


@pytest.mark.parametrize("corners", [3, 4, 6, 10])
@pytest.mark.parametrize("near", [6, SIDE])
def test_polygons_have_the_pixels_of_pillow_also_beyond_the_border(corners, near):
    centres = integers((100, 1, 2), -4, SIDE + 4, rng=stream(0, "centres"))
    shapes = centres + integers((100, corners, 2), -near, near + 1, rng=stream(0, "corners"))
    window = torch.arange(SIDE).expand(100, -1)
    for own, shape in zip(filled_polygons(shapes, window, window), shapes.flip(-1).tolist(), strict=True):
        points = [tuple(point) for point in shape]
        assert torch.equal(own, pillow(lambda draw, points=points: draw.polygon(points, fill=(255, 255, 255))))


@pytest.mark.parametrize("size", range(1, 40))
def test_circles_have_the_pixels_of_pillow(size):
    expected = pillow(lambda draw: draw.ellipse([0, 0, size, size], fill=(255, 255, 255)), size + 1)
    assert torch.equal(filled_circle(size), expected)


def test_lines_have_the_pixels_of_pillow_and_the_last_one_is_on_top():
    ends = integers((2, 30, 2, 2), -10, SIDE + 10, rng=stream(0, "ends"))
    layers = Layers(2, SIDE, SIDE, device=torch.device("cpu"))
    mark_lines(layers, ends)
    colours = torch.arange(10, 40).view(1, 30, 1).expand(2, -1, 3) / 255
    for own, lines in zip(layers.paint(torch.zeros(2, 3, SIDE, SIDE), colours), ends.flip(-1).tolist(), strict=True):
        image = Image.new("RGB", (SIDE, SIDE))
        for number, line in enumerate(lines, 10):
            ImageDraw.Draw(image).line([tuple(end) for end in line], fill=(number,) * 3)
        assert torch.equal((own * 255).round(), torch.from_numpy(np.array(image)).permute(2, 0, 1).float())
