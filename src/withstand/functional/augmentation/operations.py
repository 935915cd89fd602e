"""The operations of AugMix on batches, one per image, with Pillow's results."""

from collections.abc import Callable
from functools import partial
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


def apply(levels: Levels, operation: Whole, value: PerRow) -> Levels:
    """Return every image after its operation.

    Args:
        levels: The images.
        operation: Per image an index of `ALL`, or its length to leave the image unchanged.
        value: Per image the parameter: bits that posterize keeps, level from which on solarize inverts, degrees
            counterclockwise of rotate, slope of shear, whole pixels to the right or below from which translate reads,
            factor of color, contrast, brightness and sharpness. Others need none.

    Example:
        >>> image = torch.tensor([[[[10, 20, 35]]]], dtype=torch.uint8)
        >>> apply(image, torch.tensor([ALL.index("solarize")]), torch.tensor([20.0]))
        tensor([[[[ 10, 235, 220]]]], dtype=torch.uint8)
    """
    order = operation.argsort(stable=True)
    ends = [0, *accumulate(torch.bincount(operation, minlength=len(ALL)).tolist())]
    result, value = levels.index_select(0, order), value[order]
    for name, (start, stop) in zip(ALL, pairwise(ends), strict=False):
        if start < stop:
            part = slice(start, stop)
            result[part] = _OPERATIONS[name](result[part], value[part])
    return result.index_select(0, order.argsort())


def augmix_values(operation: Whole, level: PerRow, sign: PerRow, height: int, width: int) -> PerRow:
    """Return the parameters of AugMix's operations.

    Args:
        operation: Per image an index of `ALL`.
        level: Per image the strength, from 0 to 10; at 10, images turn by 30 degrees, are sheared by 0.3 or moved by a
            third of their size, posterize keeps no bit, solarize inverts all, and factors are 1.9.
        sign: Per image 1 or -1: the direction of moves.
        height: Of the images.
        width: Of the images.

    Source:
        Hendrycks et al. 2020, arXiv 1912.02781; google-research/augmix, augmentations.py.
        Differs: images need not be square, and translations are in shares of the side along which they move.
    """
    share = level / 10
    signed = share * sign
    values = {
        "posterize": 4 - (share * 4).floor(),
        "solarize": 256 - (share * 256).floor(),
        "rotate": (signed * 30).trunc(),
        "shear_x": signed * 0.3,
        "shear_y": signed * 0.3,
        "translate_x": (signed * (width / 3)).trunc(),
        "translate_y": (signed * (height / 3)).trunc(),
    }
    return choose(values, operation, otherwise=share * 1.8 + 0.1)


def choose(values: dict[str, PerRow], operation: Whole, *, otherwise: PerRow) -> PerRow:
    """Return each image's value by the name of its operation."""
    chosen = otherwise
    for name, own in values.items():
        chosen = torch.where(operation == ALL.index(name), own, chosen)
    return chosen


def _rotate(levels: Levels, degrees: PerRow) -> Levels:
    return pillow.transformed(levels, pillow.rotation(degrees, *levels.shape[2:]))


def _shear(levels: Levels, along: PerRow, *, axis: int) -> Levels:
    return pillow.transformed(levels, pillow.shear(along, axis=axis))


def _translate(levels: Levels, pixels: PerRow, *, axis: int) -> Levels:
    shift = pixels.long()
    still = torch.zeros_like(shift)
    return pillow.shifted(levels, *((shift, still) if axis == 0 else (still, shift)))


_OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "autocontrast": lambda x, _: pillow.autocontrast(x),
    "equalize": lambda x, _: pillow.equalize(x),
    "posterize": lambda x, value: pillow.posterize(x, value.long()),
    "solarize": lambda x, value: pillow.solarize(x, value.ceil().long()),
    "rotate": _rotate,
    "shear_x": partial(_shear, axis=0),
    "shear_y": partial(_shear, axis=1),
    "translate_x": partial(_translate, axis=0),
    "translate_y": partial(_translate, axis=1),
    "color": lambda x, value: pillow.blended(x, pillow.grey(x).expand_as(x), value),
    "contrast": lambda x, value: pillow.blended(x, pillow.mean_grey(x), value),
    "brightness": lambda x, value: pillow.blended(x, torch.zeros_like(x), value),
    "sharpness": lambda x, value: pillow.blended(x, pillow.smoothed(x), value),
}
