"""Motion blur equal to ImageMagick's."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from withstand.functional.precision import in_double
from withstand.functional.tensors import Images, PerRow

# A weight below this is lost next to the others in float32.
_NEGLIGIBLE = 2.0**-25
_LEVELS = 2**16 - 1
# Values of an image that are summed at once on the CPU: more do not fit its cache.
_CHUNK = 2**16


def motion_blur(x: Images, angle: PerRow, *, radius: int, std: float) -> Images:
    r"""Return motion-blurred images, with one angle per image.

    A pixel p becomes the weighted mean of the pixels on a line that begins at it; their places are rounded to whole
    pixels. Beyond the border the outermost pixels are repeated.

    .. math:: \sum_{i = 0}^{2 r} w_i \, x[p + (\lceil i \sin \theta - 1/2 \rceil, \lceil i \cos \theta - 1/2 \rceil)],
        \quad w_i \propto e^{-i^2 / 2 s^2}

    Args:
        x: Images in [0, 1].
        angle: Direction of the line in degrees: 0 is to the right, 90 down.
        radius: Half the length r of the line in pixels, at least 0.
        std: Standard deviation s of the weights in pixels, above 0.

    Returns:
        Values in [0, 1] rounded to 16 bits, as ImageMagick keeps them. A constant image on the grid of 8 bits stays.

    Source:
        ImageMagick 6, magick/effect.c, `MotionBlurImageChannel`.
        Differs: in float32, without the weights that are lost next to the others in it.

    Example:
        >>> motion_blur(torch.tensor([[[[0.0, 0.0, 1.0, 0.0]]]]), torch.zeros(1), radius=1, std=1.0)
        tensor([[[[0.0777, 0.3482, 0.5741, 0.0000]]]])
    """
    step = torch.arange(2 * radius + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (step / std) ** 2)
    weights = weights / weights.sum() * _LEVELS
    weights = weights[weights > _NEGLIGIBLE * _LEVELS]
    radians = in_double(angle).deg2rad()[:, None]
    step = step[: len(weights)].to(radians.device)
    down, right = ((step * part - 0.5).ceil().long().to(x.device) for part in (radians.sin(), radians.cos()))
    if x.device.type != "cpu":
        return _gathered(x, down, right, weights.tolist()).round_().div_(_LEVELS)
    blurred = x.new_empty(x.shape)
    for image, out, downs, rights in zip(x, blurred, down.tolist(), right.tolist(), strict=True):
        line: dict[tuple[int, int], float] = {}
        for place, weight in zip(zip(downs, rights, strict=True), weights.tolist(), strict=True):
            line[place] = line.get(place, 0) + weight
        _blur(image, line, out)
    return blurred


def _blur(
    image: Float[Tensor, "channel height width"],
    line: dict[tuple[int, int], float],
    out: Float[Tensor, "channel height width"],
) -> None:
    # With the rows of the padded channels one behind the other, a step in any direction is a shift, and the sum one
    # long row. What it holds beyond an image's width and height is not used.
    height, width = image.shape[-2:]
    top, bottom, left, right = (max(0, *ends) for ends in zip(*((-y, y, -x, x) for y, x in line), strict=True))
    padded = nn.functional.pad(image[None], (left, right, top, bottom), mode="replicate")[0]
    rows, pitch = padded.shape[-2:]
    shifts = [((top + y) * pitch + left + x, weight) for (y, x), weight in line.items()]
    reach = (top + bottom) * pitch + left + right
    channels = max(1, _CHUNK // (rows * pitch))
    for part, result in zip(padded.split(channels), out.split(channels), strict=True):
        total = part.new_zeros(part.shape)
        row, shifted = total.flatten()[: part.numel() - reach], part.flatten().unfold(0, part.numel() - reach, 1)
        for shift, weight in shifts:
            row.add_(shifted[shift], alpha=weight)
        torch.div(total[:, :height, :width].round_(), _LEVELS, out=result)


def _gathered(
    x: Images, down: Int[Tensor, "batch step"], right: Int[Tensor, "batch step"], weights: list[float]
) -> Images:
    # One step of all images at a time, for devices that do not like many small operations.
    height, width = x.shape[-2:]
    total = x.new_zeros(x.shape)
    rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    for y, z, weight in zip(down.unbind(1), right.unbind(1), weights, strict=True):
        row = (rows + y[:, None]).clamp_(0, height - 1)
        column = (columns + z[:, None]).clamp_(0, width - 1)
        place = (row[:, :, None] * width + column[:, None]).flatten(1)[:, None].expand(-1, x.shape[1], -1)
        total.add_(x.flatten(2).gather(2, place).view(x.shape), alpha=weight)
    return total
