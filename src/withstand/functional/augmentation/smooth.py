"""Random filters, smooth colour curves and smooth displacements of PRIME, one per image."""

import math
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from withstand.functional.pieces import pieces
from withstand.functional.tensors import Images

Whole = Int[Tensor, " batch"]
# Values whose colours are changed at once on a CPU, so that they stay in its cache.
_VALUES = 1 << 17


def filtered(x: Images, kernels: Float[Tensor, "batch 3 3"]) -> Images:
    """Return images correlated with a kernel of their own, the same for all channels; zero outside.

    Example:
        >>> kernel = torch.zeros(1, 3, 3)
        >>> kernel[0, 1, 2] = 1.0
        >>> filtered(torch.tensor([[[[1.0, 2.0, 3.0]]]]), kernel)
        tensor([[[[2., 3., 0.]]]])
    """
    height, width = x.shape[2:]
    padded, result = nn.functional.pad(x, (1, 1, 1, 1)), torch.zeros_like(x)
    for row in range(3):
        for column in range(3):
            part = padded[:, :, row : row + height, column : column + width]
            result.addcmul_(part, kernels[:, row, column, None, None, None])
    return result


def recoloured(x: Images, coefficients: Float[Tensor, "batch channel term"], first: Whole, terms: Whole) -> Images:
    r"""Return images whose values have a sum of sines added.

    .. math:: x + \sum_{j=0}^{m-1} c_j \sin(\pi (f + j) x)

    Args:
        x: Images in [0, 1].
        coefficients: c, per image and channel.
        first: f, the lowest frequency of each image, at least 1.
        terms: m, how many of its coefficients count.

    Example:
        >>> recoloured(torch.full((1, 1, 1, 1), 0.5), torch.tensor([[[0.25, 9.0]]]), *torch.ones(2, 1).long()).item()
        0.75
    """
    result = torch.empty_like(x)
    order = terms.argsort(descending=True, stable=True)
    some = max(1, _VALUES // max(1, x[:1].numel()))
    for (rows,) in pieces(some, order):
        result[rows] = _recoloured(x[rows], coefficients[rows], first[rows], terms[rows])
    return result


def _recoloured(x: Images, coefficients: Tensor, first: Whole, terms: Whole) -> Images:
    # Clenshaw's recurrence for all terms, rows with many terms first: sums of c cos(j a) and c sin(j a), a = pi x.
    angle = math.pi * x
    cos, sin = angle.cos(), angle.sin()
    twice, above, higher = 2 * cos, torch.zeros_like(x), torch.zeros_like(x)
    counts = terms.tolist()
    rows = 0
    for j in reversed(range(counts[0])):
        while rows < len(counts) and counts[rows] > j:
            rows += 1
        higher, above = above, higher
        part = above[:rows]
        torch.sub(coefficients[:rows, :, j, None, None], part, out=part)
        part.addcmul_(twice[:rows], higher[:rows])
    start = angle.mul_(first[:, None, None, None])
    # above and higher are b_0 and b_1 of the recurrence.
    cosines, sines = above.addcmul_(higher, cos, value=-1), higher.mul_(sin)
    return torch.addcmul(x, start.sin(), cosines).addcmul_(start.cos_(), sines)


def displaced(x: Images, field: Float[Tensor, "batch 2 height width"]) -> Images:
    """Return images sampled this many pixels to the left of and above every pixel; border pixels repeat outside.

    Example:
        >>> field = torch.tensor([0.5, 0.0]).reshape(1, 2, 1, 1).expand(-1, -1, 1, 3)
        >>> displaced(torch.tensor([[[[1.0, 2.0, 4.0]]]]), field)
        tensor([[[[1.0000, 1.5000, 3.0000]]]])
    """
    grid = torch.empty_like(field)
    for axis, size in ((0, x.shape[3]), (1, x.shape[2])):
        places = torch.arange(size, dtype=x.dtype, device=x.device)
        places = places if axis == 0 else places[:, None]
        torch.sub(places, field[:, axis], out=grid[:, axis]).mul_(2 / max(size - 1, 1)).sub_(1)
    return nn.functional.grid_sample(x, grid.movedim(1, -1), padding_mode="border", align_corners=True)


def modes(height: int, width: int, most: int) -> tuple[int, int]:
    """Return how many sines vanishing at the borders differ on the pixels, up to a frequency, along both axes."""
    return min(most, max(height - 2, 0)), min(most, max(width - 2, 0))


@lru_cache(maxsize=128)
def mode_stds(height: int, width: int, most: int, cut: int) -> Float[Tensor, "row column"]:
    """Return the standard deviation of each product of two sines in a random field of frequencies up to `cut`.

    In the field a product of sines of frequencies i and j has standard deviation 1 / sqrt(i^2 + j^2) where
    sqrt(i^2 + j^2) < cut + 1/2, else 0. Frequencies that are equal on the pixels are added to the lowest.

    Example:
        >>> mode_stds(32, 32, 2, 2)
        tensor([[0.7071, 0.4472],
                [0.4472, 0.0000]])
    """
    variances = torch.zeros(modes(height, width, most), dtype=torch.float64)
    number = torch.arange(1, cut + 1)
    radius = number[:, None] ** 2 + number**2
    folded = []
    for size in (height, width):
        period = 2 * max(size - 1, 1)
        low = number % period
        folded.append(torch.minimum(low, period - low))
    rows, columns = (each.expand_as(radius) for each in (folded[0][:, None], folded[1]))
    vanishes = (rows % max(height - 1, 1) == 0) | (columns % max(width - 1, 1) == 0)
    counts = (radius < (cut + 0.5) ** 2) & ~vanishes
    variances.index_put_((rows[counts] - 1, columns[counts] - 1), 1 / radius[counts].to(variances), accumulate=True)
    return variances.sqrt().float()


def smooth_field(
    coefficients: Float[Tensor, "field row column"], height: int, width: int
) -> Float[Tensor, "field {height} {width}"]:
    """Return sums of products of sines, which vanish at the borders.

    Example:
        >>> smooth_field(torch.tensor([[[2.0]]]), 3, 3)[0, 1].round(decimals=3).abs()
        tensor([0., 2., 0.])
    """
    if coefficients.numel() == 0:
        return coefficients.new_zeros(len(coefficients), height, width)
    device, (count_rows, count_columns) = coefficients.device, coefficients.shape[1:]
    rows, columns = _sines(height, count_rows, device), _sines(width, count_columns, device).t()
    # One product per image, so that the size of the batch changes no rounding.
    half = torch.bmm(rows.expand(len(coefficients), -1, -1), coefficients)
    return torch.bmm(half, columns.expand(len(coefficients), -1, -1))


@lru_cache(maxsize=8)
def _sines(size: int, count: int, device: torch.device) -> Float[Tensor, "{size} {count}"]:
    places = torch.arange(size, dtype=torch.float64)[:, None] / max(size - 1, 1)
    return (math.pi * places * torch.arange(1, count + 1)).sin().float().to(device)
