"""Water drops on glass."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.functional.kernels.borders import fold
from withstand.functional.kernels.edges import canny, chamfer_distance

_REACH = 20  # pixels from the edge of a drop at which it no longer matters


def shine(levels: Int[Tensor, "batch height width"]) -> Float[Tensor, "batch height width"]:
    """Return the specular highlights of drops lit from a corner.

    At most 1; all 0 without a drop.

    The distance from the drops' edges is stretched to a histogram as even as it gets, embossed, and multiplied by
    the thickness.

    Args:
        levels: Thickness of the water, whole numbers from 0 to 255; 0 if there is none.

    Source:
        hendrycks/robustness, ImageNet-C/create_c/make_imagenet_c.py, `spatter`, with the rounding of the functions of
        OpenCV that it calls: `Canny`, `distanceTransform`, `blur`, `equalizeHist`, `filter2D`.
        Differs: without a drop the original divides by 0.

    Example:
        >>> drop = torch.zeros(1, 24, 24, dtype=torch.int32)
        >>> drop[:, 8:16, 8:16] = 200
        >>> shine(drop)[0, 12, 8:16]
        tensor([0.3103, 0.5057, 0.4080, 0.2471, 0.0517, 0.0000, 0.0172, 0.4023])
    """
    distance = chamfer_distance(canny(levels, low=50, high=150), most=_REACH)
    relief = _equalize(_blur(distance).int()).float()
    light = _blur(_emboss(relief).clamp_(0, 255)).round_().mul_(levels)
    highest = light.amax((1, 2), keepdim=True)
    return light.div_(highest.clamp(min=1))


def _blur(x: Float[Tensor, "batch height width"]) -> Float[Tensor, "batch height width"]:
    # Sums of whole numbers, and of distances, are exact.
    around = _surround(x)
    rows = around[:, :-2] + around[:, 1:-1] + around[:, 2:]
    return (rows[:, :, :-2] + rows[:, :, 1:-1]).add_(rows[:, :, 2:]).div_(9)


def _emboss(x: Float[Tensor, "batch height width"]) -> Float[Tensor, "batch height width"]:
    # The kernel is -2 -1 0, -1 1 1, 0 1 2.
    around = _surround(x)
    corners = around[:, 2:, 2:] - around[:, :-2, :-2]
    sides = around[:, 2:, 1:-1] - around[:, :-2, 1:-1] + around[:, 1:-1, 2:] - around[:, 1:-1, :-2]
    return corners.mul_(2).add_(sides).add_(x)


def _surround(x: Float[Tensor, "batch height width"]) -> Float[Tensor, "batch taller wider"]:
    rows, columns = (fold(torch.arange(-1, size + 1, device=x.device), size, "mirror") for size in x.shape[1:])
    return x.index_select(1, rows).index_select(2, columns)


def _equalize(levels: Int[Tensor, "batch height width"]) -> Int[Tensor, "batch height width"]:
    batch, pixels = len(levels), levels.shape[1:].numel()
    place = levels + 256 * torch.arange(batch, device=levels.device)[:, None, None]
    upto = torch.bincount(place.flatten(), minlength=256 * batch).view(batch, 256).cumsum(1)
    lowest = torch.where(upto > 0, upto, pixels).amin(1, keepdim=True)
    factor = 255 / (pixels - lowest).float()
    stretched = ((upto - lowest) * factor).round().int()
    table = torch.where(lowest < pixels, stretched, torch.arange(256, device=levels.device))
    return table.flatten()[place]
