"""Pictures of fractals from random iterated function systems."""

import math
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.functional.random import stream
from withstand.functional.tensors import Images

_MAPS, _POINTS, _STEPS, _BURN_IN = 4, 1024, 50, 10
_CLIP = 2.5  # standard deviations of the points on both sides that a picture shows


@lru_cache(maxsize=4)
def fractals(count: int, height: int, width: int, *, seed: int = 0) -> Images:
    """Return pictures in [0, 1] with 3 channels, the same for the same arguments; treat them as constant.

    Each shows the attractor of 4 random affine maps by a chaos game: many points are moved by random maps and counted
    per pixel. Every map has a colour, which its points take on by half.

    Args:
        count: Number of pictures.
        height: Rows.
        width: Columns.
        seed: Of maps, colours and points.

    Example:
        >>> fractals(2, 16, 24).shape
        torch.Size([2, 3, 16, 24])
    """
    generator = stream(seed, "fractals")
    maps = _contractions(torch.rand(count, _MAPS, 6, generator=generator))
    # Per map and picture two rows of a matrix, a shift and a colour.
    numbers = torch.cat([maps, torch.rand(count, _MAPS, 3, generator=generator)], dim=2).flatten(0, 1)
    first = torch.arange(count)[:, None] * _MAPS
    y, x = torch.zeros(2, count, _POINTS)
    paint, steps = torch.full((count, _POINTS, 3), 0.5), []
    for _ in range(_STEPS):
        chosen = first + torch.randint(_MAPS, (count, _POINTS), generator=generator)
        own = numbers.index_select(0, chosen.flatten()).view(count, _POINTS, 9)
        a, b, c, d, down, right = own[..., :6].unbind(2)
        y, x = a * y + b * x + down, c * y + d * x + right
        paint = (paint + own[..., 6:]) / 2
        steps.append((y, x, paint))
    rows, columns, paints = (torch.cat(each, dim=1) for each in zip(*steps[_BURN_IN:], strict=True))
    return _drawn(_pixels(rows, height) * width + _pixels(columns, width), paints, height, width)


def _contractions(numbers: Float[Tensor, "picture map 6"]) -> Float[Tensor, "picture map 6"]:
    # Two rotations around a scaling by 0.3 to 0.9 along one axis and less along the other, and a shift.
    angles = 2 * math.pi * numbers[..., :2]
    (c, e), (s, f) = angles.cos().unbind(2), angles.sin().unbind(2)
    long = 0.3 + 0.6 * numbers[..., 2]
    short = long * (2 * numbers[..., 3] - 1)
    rows = [c * long * e - s * short * f, -c * long * f - s * short * e]
    rows += [s * long * e + c * short * f, c * short * e - s * long * f]
    return torch.stack([*rows, *(2 * numbers[..., 4:] - 1).unbind(2)], dim=2)


def _pixels(places: Float[Tensor, "picture point"], size: int) -> Int[Tensor, "picture point"]:
    # Points far from the others lie on the border.
    std, mean = torch.std_mean(places, dim=1, keepdim=True)
    share = (places - mean) / (2 * _CLIP * std.clamp(min=1e-6)) + 0.5
    return (share * size).long().clamp_(0, size - 1)


def _drawn(pixels: Int[Tensor, "picture point"], paints: Tensor, height: int, width: int) -> Images:
    size = height * width
    places = (pixels + torch.arange(len(pixels))[:, None] * size).flatten()
    counts = torch.bincount(places, minlength=len(pixels) * size).view(-1, 1, size).float()
    sums = [torch.bincount(places, paint.flatten(), minlength=len(pixels) * size) for paint in paints.unbind(2)]
    brightness = (counts.log1p() / counts.amax(2, keepdim=True).log1p()).sqrt_()
    pictures = torch.stack(sums).view(3, -1, size).movedim(0, 1) / counts.clamp(min=1) * brightness
    return pictures.float().clamp_(0, 1).view(-1, 3, height, width)
