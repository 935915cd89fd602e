"""The operations of AugMix on batches, one per image, with Pillow's results."""

from collections.abc import Callable
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from withstand.functional.augmentation import pillow
from withstand.functional.augmentation.pillow import Whole
from withstand.functional.tensors import Levels, PerRow

NINE = (
    "autocontrast",
    "equalize",
    "posterize",
    "solarize",
    "rotate",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
# These are corruptions of ImageNet-C, too.
ALL = (*NINE, "color", "contrast", "brightness", "sharpness")
STRONGEST = 10.0


def apply(levels: Levels, operation: Whole, level: PerRow, sign: PerRow) -> Levels:
    """Return every image after its operation.

    Args:
        levels: The images.
        operation: Per image an index of `ALL`, or its length to leave the image unchanged.
        level: Per image the strength, from 0 to 10; at 10, images turn by 30 degrees, are sheared by 0.3 or moved by a
            third of their size, posterize keeps no bit, solarize inverts all, and enhancements have factor 1.9.
        sign: Per image 1 or -1: the direction of moves.

    Source:
        Hendrycks et al. 2020, arXiv 1912.02781; google-research/augmix, augmentations.py.
        Differs: images need not be square, and translations are in shares of the side along which they move.

    Example:
        >>> image = torch.tensor([[[[10, 20, 35]]]], dtype=torch.uint8)
        >>> apply(image, torch.tensor([0]), torch.tensor([3.0]), torch.tensor([1.0]))
        tensor([[[[  0, 102, 255]]]], dtype=torch.uint8)
    """
    order = operation.argsort(stable=True)
    ends = [0, *accumulate(torch.bincount(operation, minlength=len(ALL)).tolist())]
    result, level, signed = levels.index_select(0, order), level[order], (level * sign)[order]
    for name, (start, stop) in zip(ALL, pairwise(ends), strict=False):
        if start < stop:
            part = slice(start, stop)
            result[part] = _OPERATIONS[name](result[part], level[part], signed[part])
    return result.index_select(0, order.argsort())


def _rotate(levels: Levels, signed: PerRow) -> Levels:
    degrees = (signed * 30 / STRONGEST).trunc()
    return pillow.transformed(levels, pillow.rotation(degrees, *levels.shape[2:]))


def _shear(levels: Levels, signed: PerRow, *, axis: int) -> Levels:
    return pillow.transformed(levels, pillow.shear(signed * 0.3 / STRONGEST, axis=axis))


def _translate(levels: Levels, signed: PerRow, *, axis: int) -> Levels:
    shift = (signed * (levels.shape[3 - axis] / 3) / STRONGEST).long()
    still = torch.zeros_like(shift)
    return pillow.shifted(levels, *((shift, still) if axis == 0 else (still, shift)))


def _blend(levels: Levels, other: Levels, level: PerRow) -> Levels:
    return pillow.blended(levels, other, level * 1.8 / STRONGEST + 0.1)


# Of images, levels, and levels with their signs.
_OPERATIONS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "autocontrast": lambda x, _, __: pillow.autocontrast(x),
    "equalize": lambda x, _, __: pillow.equalize(x),
    "posterize": lambda x, level, _: pillow.posterize(x, 4 - (level * 4 / STRONGEST).long()),
    "solarize": lambda x, level, _: pillow.solarize(x, 256 - (level * 256 / STRONGEST).long()),
    "rotate": lambda x, _, signed: _rotate(x, signed),
    "shear_x": lambda x, _, signed: _shear(x, signed, axis=0),
    "shear_y": lambda x, _, signed: _shear(x, signed, axis=1),
    "translate_x": lambda x, _, signed: _translate(x, signed, axis=0),
    "translate_y": lambda x, _, signed: _translate(x, signed, axis=1),
    "color": lambda x, level, _: _blend(x, pillow.grey(x).expand_as(x), level),
    "contrast": lambda x, level, _: _blend(x, pillow.mean_grey(x), level),
    "brightness": lambda x, level, _: _blend(x, torch.zeros_like(x), level),
    "sharpness": lambda x, level, _: _blend(x, pillow.smoothed(x), level),
}
