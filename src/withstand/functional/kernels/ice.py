"""Procedural frost textures."""

from math import pi

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from withstand.functional.kernels.plasma import plasma
from withstand.functional.random import Rng, uniform

_AREA = 300  # pixels per feather
_LENGTH = (15, 90)  # of a feather, in pixels
_BRANCHES = 20  # on each side of a feather
_POINTS = (96, 32)  # that a stem and a branch are drawn with
_DARK, _BRIGHT = (0.25, 0.35, 0.45), (0.90, 0.95, 1.0)


def ice(height: int, width: int, *, rng: Rng) -> Float[Tensor, "3 {height} {width}"]:
    """Return a procedural frost texture in [0, 1].

    A feather is a stem with branches on both sides, shorter towards its tip. Everything becomes fainter towards
    its end.

    Args:
        height: In pixels.
        width: In pixels.
        rng: One source.

    Example:
        >>> from withstand.functional.random import stream
        >>> ice(30, 40, rng=stream(0, "frost")).shape
        torch.Size([3, 30, 40])
    """
    side = 2 ** (max(height, width, 2) - 1).bit_length()
    mist, thick = plasma(uniform((2, side**2 - 1), rng=rng), decay=1.45)[:, :height, :width]
    count = height * width // _AREA + 1
    start = uniform((count, 2), rng=rng) * torch.tensor([height, width])
    angle = 2 * pi * uniform((count, 1), rng=rng)
    length = _LENGTH[0] + (_LENGTH[1] - _LENGTH[0]) * uniform((count, 1), rng=rng) ** 3
    lines = [_points(start[:, None], angle, length, _POINTS[0])]
    for side_of_stem in (-1, 1):
        at, turn, share = (uniform((count, _BRANCHES), rng=rng) for _ in range(3))
        roots = start[:, None] + (length * at)[..., None] * _direction(angle)
        turned = angle + side_of_stem * (0.45 + 0.5 * turn)
        lines.append(_points(roots, turned, length * (1 - at) * (0.1 + 0.35 * share), _POINTS[1]))

    feathers = sum(_draw(each, height, width) for each in lines) * (0.25 + thick)
    light = (0.1 + 0.6 * mist + 0.9 * (1 - torch.exp(-0.6 * feathers))).clamp(0, 1)
    dark, bright = (torch.tensor(each)[:, None, None] for each in (_DARK, _BRIGHT))
    return dark + (bright - dark) * light


def _direction(angle: Float[Tensor, "*lines"]) -> Float[Tensor, "*lines 2"]:
    return torch.stack([angle.sin(), angle.cos()], dim=-1)


def _points(
    start: Float[Tensor, "feather line 2"],
    angle: Float[Tensor, "feather #line"],
    length: Float[Tensor, "feather line"],
    num_points: int,
) -> Float[Tensor, "feather line points 3"]:
    # Row, column and weight: a line leaves the same amount of ice per pixel however long it is.
    along = torch.linspace(0, 1, num_points)[:, None]
    places = start[:, :, None] + along * (length[..., None] * _direction(angle))[:, :, None]
    weights = (1 - along) * length[..., None, None] / num_points
    return torch.cat([places, weights], dim=-1)


def _draw(points: Float[Tensor, "feather line points 3"], height: int, width: int) -> Float[Tensor, "{height} {width}"]:
    row, column, weight = points.flatten(0, -2).unbind(-1)
    pixel = row.long() % height * width + column.long() % width
    sharp = torch.zeros(height * width).index_add_(0, pixel, weight).reshape(1, 1, height, width)
    return (sharp + avg_pool2d(sharp, 3, stride=1, padding=1, count_include_pad=False))[0, 0]
