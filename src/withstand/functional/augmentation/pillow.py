"""Operations of Pillow on batches of 8-bit images, with a strength per image."""

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from withstand.functional.levels import truncated
from withstand.functional.precision import in_double
from withstand.functional.tensors import Levels, PerRow

Whole = Int[Tensor, " batch"]
Maps = Float[Tensor, "batch 2 3"]
# What float32 may lack of a whole level that Pillow computes in float64 and then truncates.
_ROUNDING = 1e-3


def autocontrast(levels: Levels) -> Levels:
    """Return images in which every channel is stretched to 0 to 255: `ImageOps.autocontrast(image)`.

    Example:
        >>> autocontrast(torch.tensor([[[[10, 20, 35]]]], dtype=torch.uint8))
        tensor([[[[  0, 102, 255]]]], dtype=torch.uint8)
    """
    low, high = (in_double(end(levels.flatten(2), 2).float())[..., None] for end in (torch.amin, torch.amax))
    scale = torch.full_like(low, 255) / (high - low).clamp(min=1)  # a number divided by a tensor is rounded twice
    every = torch.arange(256, device=low.device).to(low)
    table = (every * scale - low * scale).clamp_(0, 255).where(high > low, every)
    return table.to(levels).gather(2, levels.flatten(2).long()).view_as(levels)


def equalize(levels: Levels) -> Levels:
    """Return images with the histogram of every channel flattened: `ImageOps.equalize(image)`.

    Example:
        >>> image = torch.arange(4, dtype=torch.uint8).repeat(1, 1, 255, 1)
        >>> equalize(image)[0, 0, 0]
        tensor([  0,  85, 170, 255], dtype=torch.uint8)
    """
    flat = levels.flatten(2).flatten(0, 1).long()
    histogram = flat.new_zeros(len(flat), 256).scatter_add_(1, flat, torch.ones_like(flat))
    before = histogram.cumsum(1) - histogram
    top = flat.amax(1, keepdim=True)
    step = before.gather(1, top) // 255
    table = ((step // 2 + before) // step.clamp(min=1)).clamp_(max=255)
    table = table.where(step > 0, torch.arange(256, device=levels.device))
    return table.to(torch.uint8).gather(1, flat).view_as(levels)


def posterize(levels: Levels, bits: Whole) -> Levels:
    """Return images with only the highest `bits` (0 to 8) of every value: `ImageOps.posterize(image, bits)`.

    Example:
        >>> posterize(torch.tensor([[[[15, 31, 255]]]], dtype=torch.uint8), torch.tensor([4]))
        tensor([[[[  0,  16, 240]]]], dtype=torch.uint8)
    """
    return levels & _per_image(256 - 2 ** (8 - bits)).to(torch.uint8)


def solarize(levels: Levels, threshold: Whole) -> Levels:
    """Return images with the values from a threshold (0 to 256) on inverted: `ImageOps.solarize(image, threshold)`.

    Example:
        >>> solarize(torch.tensor([[[[0, 199, 200, 255]]]], dtype=torch.uint8), torch.tensor([200]))
        tensor([[[[  0, 199,  55,   0]]]], dtype=torch.uint8)
    """
    # In 8 bits, which is several times as fast; 256 does not fit, and inverts nothing.
    inverts = (levels >= _per_image(threshold.clamp(max=255)).to(torch.uint8)).view(torch.uint8)
    return levels ^ inverts.mul_(_per_image(255 * (threshold < 256)).to(torch.uint8))


def blended(levels: Levels, other: Levels, factor: PerRow) -> Levels:
    """Return `Image.blend(other, image, factor)`: the other image for 0, the image for 1, more of it above.

    Example:
        >>> image, black = torch.tensor([[[[100, 200]]]], dtype=torch.uint8), torch.zeros(1, 1, 1, 2, dtype=torch.uint8)
        >>> blended(image, black, torch.tensor([1.5]))
        tensor([[[[150, 255]]]], dtype=torch.uint8)
    """
    start = other.float()
    values = start + _per_image(factor.float()) * (levels.float() - start)
    return truncated(values.clamp_(0, 255))


def grey(levels: Levels) -> UInt8[Tensor, "batch 1 height width"]:
    """Return the luma of images with 3 channels, and images with 1 channel unchanged: `image.convert("L")`.

    Example:
        >>> grey(torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)).item()
        76
    """
    if levels.shape[1] == 1:
        return levels
    red, green, blue = levels.int().unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).to(torch.uint8)[:, None]


def mean_grey(levels: Levels) -> Levels:
    """Return images of one level, the mean luma rounded: what `ImageEnhance.Contrast` blends with."""
    luma = grey(levels).flatten(1)
    mean = (2 * luma.sum(1) + luma.shape[1]) // (2 * luma.shape[1])
    return _per_image(mean.to(torch.uint8)).expand_as(levels)


def smoothed(levels: Levels) -> Levels:
    """Return `image.filter(ImageFilter.SMOOTH)`: a 3 x 3 mean with weight 5 for the centre; borders are unchanged."""
    height, width = levels.shape[2:]
    result = levels.clone()
    if height > 2 and width > 2:
        wide = levels.to(torch.int16)
        rows = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
        total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * wide[:, :, 1:-1, 1:-1]
        result[:, :, 1:-1, 1:-1] = ((2 * total + 13) // 26).to(torch.uint8)
    return result


def transformed(levels: Levels, inverse: Maps) -> Levels:
    """Return images moved by affine maps, black outside: `image.transform(size, AFFINE, inverse, BILINEAR)`.

    Equal to Pillow up to one level, since places are computed in float32.

    Args:
        levels: The images.
        inverse: Per image the map from a place (column, row) to the place that it is read from; the first pixel's
            centre lies at (0.5, 0.5).

    Example:
        >>> to_the_right = torch.tensor([[[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]]])
        >>> transformed(torch.tensor([[[[1, 2, 3, 4]]]], dtype=torch.uint8), to_the_right)
        tensor([[[[0, 1, 2, 3]]]], dtype=torch.uint8)
    """
    height, width = levels.shape[2:]
    inverse = in_double(inverse)
    columns, rows = (torch.arange(size, device=inverse.device) + 0.5 for size in (width, height))
    half = torch.tensor([[width], [height]], device=inverse.device) / 2
    per_column = ((inverse[:, :, :1] * columns) / half).float().to(levels.device)
    per_row = ((inverse[:, :, 1:2] * rows + inverse[:, :, 2:]) / half - 1).float().to(levels.device)
    places = per_column[:, :, None, :] + per_row[:, :, :, None]
    grid = places.movedim(1, -1)
    moved = nn.functional.grid_sample(levels.float(), grid, padding_mode="border", align_corners=False)
    return truncated(moved.add_(_ROUNDING).mul_((places.abs_().amax(1, keepdim=True) < 1).to(moved.dtype)))


def shifted(levels: Levels, right: Whole, down: Whole) -> Levels:
    """Return images that are read this many whole pixels to the right and below, black outside.

    Example:
        >>> shifted(torch.tensor([[[[1, 2, 3, 4]]]], dtype=torch.uint8), torch.tensor([-1]), torch.tensor([0]))
        tensor([[[[0, 1, 2, 3]]]], dtype=torch.uint8)
    """
    height, width = levels.shape[2:]
    if levels.device.type != "cpu":
        return _shifted_at_once(levels, right, down)
    result = torch.zeros_like(levels)  # on a CPU one by one, which only copies
    for image, out, x, y in zip(levels, result, right.tolist(), down.tolist(), strict=True):
        rows, columns = max(height - abs(y), 0), max(width - abs(x), 0)
        here, there = (max(-y, 0), max(-x, 0)), (max(y, 0), max(x, 0))
        read = image[:, there[0] : there[0] + rows, there[1] : there[1] + columns]
        out[:, here[0] : here[0] + rows, here[1] : here[1] + columns] = read
    return result


def rotation(degrees: PerRow, height: int, width: int) -> Maps:
    """Return the maps of `image.rotate(degrees)`, counterclockwise around the middle."""
    angle = -torch.deg2rad(in_double(degrees))
    cos, sin = angle.cos(), angle.sin()
    x, y = width / 2, height / 2
    first = torch.stack([cos, sin, x - cos * x - sin * y], dim=1)
    return torch.stack([first, torch.stack([-sin, cos, y + sin * x - cos * y], dim=1)], dim=1)


def shear(along: PerRow, *, axis: int) -> Maps:
    """Return the maps that read column + along * row (axis 0), or row + along * column (axis 1)."""
    along = in_double(along)
    maps = torch.eye(2, 3, device=along.device).to(along).repeat(len(along), 1, 1)
    maps[:, axis, 1 - axis] = along
    return maps


def _shifted_at_once(levels: Levels, right: Whole, down: Whole) -> Levels:
    for axis, shift in ((2, down), (3, right)):
        size = levels.shape[axis]
        shape = [len(levels) if each == 0 else size if each == axis else 1 for each in range(4)]
        places = (shift[:, None] + torch.arange(size, device=levels.device)).view(shape)
        read = levels.gather(axis, places.clamp(0, size - 1).expand_as(levels))
        levels = read * ((places >= 0) & (places < size))
    return levels


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]
