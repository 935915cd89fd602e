"""Geometric shapes of LAION-C."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import ceil, cos, radians, sin
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.functional.kernels.procedural.layers import Layers
from withstand.functional.kernels.procedural.shapes import filled_circle, filled_polygons
from withstand.functional.precision import in_double
from withstand.functional.random import Rng, integers
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.laion_c.laion_c import LaionC

_TRIANGLE, _SQUARE, _STAR, _CIRCLE = range(4)
_SIZES = 6, 15  # the smallest and the largest, in pixels
_CORNERS = 10  # of a star
_WIDE = 1.2  # size of a star over the distance of its points from its centre

Shapes = Int[Tensor, "batch shape 8"]


@dataclass(frozen=True, kw_only=True)
class GeometricShapes(LaionC):
    """Draw n triangles, squares, stars and circles of 6 to 15 pixels in random colours, one over the other.

    Source:
        LAION-C, `geometric_shapes`, with Pillow's drawing rules; n is `tables`. See LaionC.
        Differs: for images with one channel, a shape has the mean of its colour. Between severities, n is rounded.
    """

    whole: ClassVar = (0,)
    tables: ClassVar = {224: (150, 300, 600, 800, 1000)}

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Shapes:
        """Return, per shape, whole numbers: kind, column, row, size, red, green, blue and rotation.

        Kinds are triangle, square, star and circle; place and size are in pixels, colours in levels, and the rotation,
        which only stars have, in degrees.
        """
        height, width = shape[-2:]
        count = self.published(height, width)
        # Between severities, the first of those of the next one: another count keeps the shapes.
        most = replace(self, severity=ceil(self.severity)).published(height, width)
        low, high = _SIZES
        ends = [(0, 4), (0, width), (0, height), (low, high + 1), *[(0, 256)] * 3, (0, 360)]
        drawn = [integers((shape[0], most), *each, rng=rng, device=device)[:, :count] for each in ends]
        drawn[3] = (drawn[3] * self._pixels(1, height, width)).round().long().clamp(min=1)
        return torch.stack(drawn, -1)

    def corrupt(self, x: Images, parameters: Shapes) -> Images:
        """Draw the shapes."""
        shapes, (batch, _, height, width) = parameters.long(), x.shape
        layers = Layers(batch, height, width, device=x.device)
        most = int(shapes[..., 3].max()) if shapes.numel() else 0
        for kind in range(4):
            image, number = (shapes[..., 0] == kind).nonzero(as_tuple=True)
            place = shapes[image, number]
            if len(place):
                mask, row, column = _drawn(kind, place, most)
                shape, down, across = mask.nonzero(as_tuple=True)
                layers.mark(image[shape], row[shape, down], column[shape, across], number[shape])
        colours = shapes[..., 4:7] / 255
        return layers.paint(x, colours if x.shape[1] == 3 else colours.mean(-1, keepdim=True))


def _drawn(kind: int, shapes: Int[Tensor, "shape 8"], most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the pixels of shapes of one kind, up to a size, in windows; and the rows and columns of the windows."""
    x, y, size = shapes[:, 1:4].unbind(1)
    before = ceil(most / _WIDE) if kind == _STAR else 0
    window = torch.arange(-before, (before if kind == _STAR else most) + 1, device=shapes.device)
    row, column = y[:, None] + window, x[:, None] + window
    if kind == _SQUARE:
        side = window <= size[:, None]
        return side[:, :, None] & side[:, None], row, column
    if kind == _CIRCLE:
        discs = torch.zeros(most + 1, most + 1, most + 1, dtype=torch.bool)
        for each in range(1, most + 1):
            discs[each, : each + 1, : each + 1] = filled_circle(each)
        return discs.to(size.device)[size], row, column
    return filled_polygons(_star(shapes) if kind == _STAR else _triangle(shapes), row, column), row, column


def _triangle(shapes: Int[Tensor, "shape 8"]) -> Int[Tensor, "shape corner 2"]:
    x, y, size = shapes[:, 1:4].unbind(1)
    return torch.stack([torch.stack([y, y, y + size], 1), torch.stack([x, x + size, x + size // 2], 1)], -1)


def _star(shapes: Int[Tensor, "shape 8"]) -> Int[Tensor, "shape corner 2"]:
    # In float64: half of a corner's coordinates next to whole numbers would be cut differently in float32.
    wide = in_double(shapes.float())
    centre, size, rotation = (wide[:, part] for part in (slice(1, 3), slice(3, 4), slice(7, 8)))
    corner = torch.arange(_CORNERS, device=wide.device)
    degrees = (360 // _CORNERS * corner + rotation.long()).remainder(720)
    radius = size / _WIDE / (1 + corner % 2)
    way = radius[..., None] * _directions(wide.device)[degrees]
    return (centre.flip(1)[:, None] + way).trunc().long().to(shapes.device)


@cache
def _directions(device: torch.device) -> Float[Tensor, "degree 2"]:
    """Return cosine and sine of every whole angle, those of Python's `math`."""
    values = [(cos(radians(degree)), sin(radians(degree))) for degree in range(720)]
    return torch.tensor(values, dtype=torch.float64).to(device)
