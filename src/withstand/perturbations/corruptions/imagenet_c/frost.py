"""Frost of ImageNet-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import ClassVar, Literal

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from withstand.data.frost_textures import TEXTURES, read_frost_textures
from withstand.data.space import Space
from withstand.functional.kernels.bilinear import resize
from withstand.functional.kernels.ice import ice
from withstand.functional.pieces import pieces
from withstand.functional.precision import in_double
from withstand.functional.random import Rng, stream, uniform
from withstand.functional.tensors import Device, Images
from withstand.perturbations.base import Corruption, Perturbation

Textures = Literal["published", "procedural"]

_GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue, ITU-R BT.601
_FACTORS = {224: 1.0, 299: 1.0, 64: 0.3, 32: 0.2}  # by which the sides of the textures are multiplied


@dataclass(frozen=True, kw_only=True)
class Frost(Corruption):
    """Blend with a crop of one of five frost photographs t: clip(a x + b t).

    The photographs are read when they are first needed; see `read_frost_textures`.

    Attributes:
        textures: `published` takes the original photographs; `procedural` generates fixed textures of the same sizes.
            With generated textures, results differ from the benchmark, and the condition is named `frost-procedural`.

    Source:
        hendrycks/robustness, ImageNet-C/create_c, `frost`; (a, b) are `tables`. For 64 and 32 pixels the textures are
        first shrunk to 0.3 and 0.2 of their sides. As in the original, the crop never includes the last row and column,
        and the sixth texture is not used.
        Differs: if an image is larger than a texture, the texture is enlarged to cover it; for images with one channel,
        the texture is converted to grey (ITU-R BT.601).
    """

    textures: Textures = "published"

    tables: ClassVar = {
        224: ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
        299: ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
        64: ((1, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)),
        32: ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    }

    @property
    def condition(self) -> str:
        """`frost` or `frost-procedural`, and the severity."""
        return f"frost-procedural/{self.severity}" if self.textures == "procedural" else f"frost/{self.severity}"

    def check(self, space: Space) -> None:
        """Reject inputs that are not images, and report missing textures."""
        super().check(space)
        _read_or_make(self.textures)

    def sample(self, shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Int[Tensor, "batch 3"]:
        """Return texture number, row and column of each crop."""
        height, width = shape[-2:]
        # In float64, where a product with a number below 1 stays below the other factor.
        numbers = uniform((shape[0], 3), rng=rng, device=device)
        chosen, *start = in_double(numbers).unbind(1)
        index = (chosen * len(TEXTURES)).long()
        sides = [
            (round(each.height * factor), round(each.width * factor))
            for each, factor in zip(TEXTURES, self._factors(height, width), strict=True)
        ]
        places = torch.tensor([(max(1, rows - height), max(1, columns - width)) for rows, columns in sides])
        begin = (places.to(index.device)[index] * torch.stack(start, 1)).long()
        return torch.cat([index[:, None], begin], dim=1).to(numbers.device)

    def corrupt(self, x: Images, parameters: Int[Tensor, "batch 3"]) -> Images:
        """Blend the crops with the images."""
        channels, height, width = x.shape[1:]
        clearness, amount = self.published(height, width)
        stack = _stack(self.textures, self._factors(height, width), channels == 1, str(x.device))
        windows = stack.unfold(2, height, 1).unfold(3, width, 1)
        frozen, single = torch.empty_like(x), x.device.type == "cpu"
        # One at a time a piece is a view, which need not be copied, and stays in the processor's cache.
        for part, numbers, out in pieces(1, x, parameters, frozen):
            if len(part):
                index, top, left = numbers[0].tolist() if single else numbers.unbind(1)
                torch.mul(part, clearness, out=out).add_(windows[index, :, top, left], alpha=amount / 255).clamp_(0, 1)
        return frozen

    def _factors(self, height: int, width: int) -> tuple[float, ...]:
        self.published(height, width)  # refuses a size that there are no parameters for
        least = _FACTORS[self.pixels or height]
        return tuple(max(least, height / each.height, width / each.width) for each in TEXTURES)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Return the instances that need no file."""
        return [cls(severity=severity, pixels=32, textures="procedural") for severity in (1, 5)]


@lru_cache(maxsize=4)
def _stack(
    textures: Textures, factors: tuple[float, ...], grey: bool, device: str
) -> UInt8[Tensor, "texture channel height width"]:
    # All in one tensor of the largest size; the padding of the others is never used.
    resized = [resize(each, factor) for each, factor in zip(_read_or_make(textures), factors, strict=True)]
    if grey:
        weights = torch.tensor(_GREY)[:, None, None]
        resized = [(each * weights).sum(0, keepdim=True).round().to(torch.uint8) for each in resized]
    height, width = (max(each.shape[axis] for each in resized) for axis in (1, 2))
    stack = resized[0].new_zeros(len(resized), len(resized[0]), height, width)
    for place, each in zip(stack, resized, strict=True):
        place[:, : each.shape[1], : each.shape[2]] = each
    return stack.to(device)


@cache
def _read_or_make(textures: Textures) -> list[UInt8[Tensor, "3 height width"]]:
    if textures == "published":
        return read_frost_textures()
    made = (ice(each.height, each.width, rng=stream(0, "frost", number)) for number, each in enumerate(TEXTURES))
    return [(each * 255).round().to(torch.uint8) for each in made]
