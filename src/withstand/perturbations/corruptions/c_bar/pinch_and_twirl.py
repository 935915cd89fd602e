"""Pinch and twirl of CIFAR-10-C-bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.kernels.procedural.sampling import bilinear
from withstand.functional.precision import in_double
from withstand.functional.random import Rng, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.corruptions.c_bar.c_bar import CBar

_LARGE = 128  # side from which on there are five tiles instead of three


@dataclass(frozen=True, kw_only=True)
class PinchAndTwirl(CBar):
    """Pinch and twirl a disk in each of 3 x 3 square tiles, of 5 x 5 where S is at least 128.

    Tiles begin in the upper left corner; pixels beyond the last whole tile stay.

    Source:
        augmentation-corruption, `pinch_and_twirl`; the level L is `tables`. See CBar.
        Differs: for sides other than 32 (three tiles) and 224 (five), the number of tiles is our choice.
    """

    tables: ClassVar = {32: (5.5, 6, 6.5, 8.5, 10)}

    def sample(
        self, shape: Sequence[int], *, rng: Rng, device: Device | None = None
    ) -> Float[Tensor, "batch right down"]:
        """Return the angle of each tile, from -pi L / 20 to pi L / 20; the first axis counts tiles to the right."""
        height, width = shape[-2:]
        tile = _tile(height, width)
        numbers = uniform((shape[0], width // tile, height // tile), rng=rng, device=device)
        return (2 * numbers - 1).mul_(pi / 20 * self.published(height, width))

    def corrupt(self, x: Images, parameters: Float[Tensor, "batch right down"]) -> Images:
        """Move the pixels of the disks."""
        height, width = x.shape[-2:]
        tile, angles = _tile(height, width), in_double(parameters).mT[..., None, None]
        radius = tile / 2
        across = torch.arange(tile, dtype=angles.dtype, device=angles.device) - radius
        down = across[:, None]
        distance = torch.hypot(down, across)
        moved = (distance <= radius) & (distance.round(decimals=3) != 0)
        share = distance / radius
        pinch = torch.where(moved, torch.sin(share * (pi / 2)) ** -(0.04 * self._level(x) + 0.1), 1)
        turn = angles * torch.where(moved, (1 - share) ** 2, 0)
        sin, cos = turn.sin() * pinch, turn.cos() * pinch
        tiles = angles.shape[1:3]
        places = []
        for axis, own in enumerate((down * cos - across * sin, down * sin + across * cos)):
            first = torch.arange(tiles[axis], device=own.device) * tile + radius
            first = first[:, None, None, None] if axis == 0 else first[:, None, None]
            grid = torch.arange((height, width)[axis], dtype=own.dtype, device=own.device)
            grid = (grid[:, None] if axis == 0 else grid).repeat(len(x), 1, 1).expand(-1, height, width).clone()
            grid[:, : tiles[0] * tile, : tiles[1] * tile] = (own + first).transpose(2, 3).flatten(1, 2).flatten(2)
            places.append(grid.to(x))
        return bilinear(x, *places).clamp_(0, 1)


def _tile(height: int, width: int) -> int:
    side = min(height, width)
    return max(1, side // (3 if side < _LARGE else 5))
