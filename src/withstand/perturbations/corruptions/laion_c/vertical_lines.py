"""Vertical lines of LAION-C."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from withstand.functional.augmentation.pillow import grey
from withstand.functional.kernels.procedural.layers import Layers, mark_lines
from withstand.functional.levels import to_levels
from withstand.functional.precision import in_double
from withstand.functional.tensors import Images, Levels
from withstand.perturbations.corruptions.laion_c.laion_c import LaionC

_BEND = 40  # of the line in a black cell, in pixels


@dataclass(frozen=True, kw_only=True)
class VerticalLines(LaionC):
    """Draw the image as n vertical lines on black, bent to the left where the image is dark; nothing is random.

    Each of n columns is cut into cells of k rows. From cell to cell a line in the cell's mean colour leads to the
    column's left end, minus 40 pixels times the darkness of the cell (1 for black).

    Source:
        LAION-C, `vertical_lines`, with Pillow's `line`; (n, k) are `tables`. See LaionC.
        Differs: columns and cells have at least one pixel, so that the severities of small images become alike.
            Between severities, n and k are rounded.
    """

    whole: ClassVar = (0, 1)
    tables: ClassVar = {224: ((224, 1), (178, 2), (112, 4), (84, 6), (60, 8))}

    def corrupt(self, x: Images, parameters: None) -> Images:
        """Draw the lines."""
        height, width = x.shape[-2:]
        columns, rows = self.published(height, width)
        columns = min(width, round(columns * width / min(height, width)))
        rows = max(1, round(self._pixels(rows, height, width)))
        levels = to_levels(x)
        left = torch.arange(columns, dtype=torch.float64) / columns * width  # in the order of the original
        first, end = left.long(), (left + width / columns).long().clamp(max=width)
        means = _means(torch.cat([levels, grey(levels)], 1), first.to(x.device), end.to(x.device), rows)
        luma = in_double(means[:, -1].float())
        left = left.to(luma)[:, None]
        bend = self._pixels(_BEND, height, width)
        bent = (left - bend * (1 - luma / 255)).trunc().long().to(x.device)
        start = torch.cat([left.long().to(x.device).expand(len(x), -1, 1), bent[..., :-1]], 2)
        down = torch.arange(means.shape[-1], device=x.device) * rows
        down = torch.stack([(down - rows).clamp(min=0), down], -1).expand(*bent.shape, 2)
        layers = Layers(len(x), height, width, device=x.device)
        mark_lines(layers, torch.stack([down, torch.stack([start, bent], -1)], -1).flatten(1, 2))
        return layers.paint(torch.zeros_like(x), means[:, :-1].flatten(2).mT / 255)


def _means(
    levels: Levels, left: Int[Tensor, " column"], right: Int[Tensor, " column"], rows: int
) -> Int[Tensor, "batch channel column cell"]:
    """Return the means of the levels in cells, floored; 0 for a cell without pixels."""
    height = levels.shape[2]
    count = -(-height // rows)
    sums = torch.nn.functional.pad(levels.long().cumsum(3), (1, 0, 0, count * rows - height))
    sums = (sums[..., right] - sums[..., left]).unflatten(2, (count, rows)).sum(3).mT
    heights = (height - torch.arange(count, device=left.device) * rows).clamp(max=rows)
    return sums // ((right - left)[:, None] * heights).clamp(min=1)
