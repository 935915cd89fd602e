"""Disks, as a lens out of focus makes of points, and the filter that lays one on every pixel."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from withstand.functional.kernels.borders import fold
from withstand.functional.kernels.gaussian import gaussian_weights, sum_in_order

# Values that are transformed at once on the CPU: more do not fit its cache.
_CHUNK = 3 * 256 * 256
# Weights up to this count as 0.
_LEAST = 1e-10


def disk(radius: float, std: float) -> Float[Tensor, "side side"]:
    """Return the weights of a disk with smoothed edge.

    The disk is the pixels whose centres are at most `radius` from the middle, with equal weights of sum 1. It is
    smoothed by a Gaussian of 3 x 3 pixels, 5 x 5 for radii above 8. That is done on the pixels up to 8 from the
    middle, or up to `radius` if larger, and mirrored at the border of these. So where the disk touches it, the sum
    becomes larger than 1.

    Args:
        radius: In pixels, at least 0.
        std: Standard deviation of the Gaussian in pixels, above 0.

    Returns:
        A float64 tensor on the CPU, without the rows and columns around it that have no weights. Its numbers are
        rounded to float32, as those of the original.

    Source:
        hendrycks/robustness, ImageNet-C/create_c/make_imagenet_c.py, `disk`, with OpenCV's `GaussianBlur`.

    Example:
        >>> disk(1, 0.1)
        tensor([[0.0000, 0.2000, 0.0000],
                [0.2000, 0.2000, 0.2000],
                [0.0000, 0.2000, 0.0000]], dtype=torch.float64)
    """
    half, around = (8, 1) if radius <= 8 else (int(radius), 2)
    place = torch.arange(-half, half + 1)
    inside = (place**2 + place[:, None] ** 2 <= radius**2).float()
    kernel = sum_in_order(inside / inside.sum(), gaussian_weights(std, around), border="mirror").double()
    kernel = torch.where(kernel > _LEAST, kernel, 0.0)
    empty = int(kernel.amax(0).nonzero()[0])
    return kernel[empty : 2 * half + 1 - empty, empty : 2 * half + 1 - empty]


def correlate(
    x: Float[Tensor, "batch channel height width"], kernel: Float[Tensor, "side side"]
) -> Float[Tensor, "batch channel height width"]:
    """Return, per channel and pixel, the sum of its neighbours, each times its weight in the kernel.

    Beyond the border the image is mirrored, without its outermost pixels. The time hardly depends on the size of the
    kernel: the sums are products of Fourier transforms.

    Args:
        x: Images of any values.
        kernel: Weights; its sides are odd, and its middle is the pixel itself.

    Example:
        >>> correlate(torch.tensor([[[[1.0, 0.0, 0.0]]]]), disk(1, 0.1))
        tensor([[[[0.6000, 0.2000, 0.0000]]]])
    """
    height, width = x.shape[-2:]
    margin = len(kernel) // 2
    sides = [_fast(size + 2 * margin) for size in (height, width)]
    spectrum = torch.fft.rfft2(kernel.double(), s=sides).conj_physical().to(x.device, x.dtype.to_complex())
    per_chunk = max(1, _CHUNK // (x.shape[1] * sides[0] * sides[1])) if x.device.type == "cpu" else max(1, len(x))
    results = torch.empty_like(x)
    for chunk, result in zip(x.split(per_chunk), results.split(per_chunk), strict=True):
        mirrored = _mirror(chunk, margin, sides)
        if mirrored.shape[:2].numel() == 1:
            mirrored = mirrored.expand(2, -1, -1, -1)  # one transform alone is rounded otherwise than among others
        product = torch.fft.rfft2(mirrored).mul_(spectrum)
        result.copy_(torch.fft.irfft2(product, s=sides)[: len(chunk), :, :height, :width])
    return results


def _mirror(
    x: Float[Tensor, "batch channel height width"], margin: int, sides: list[int]
) -> Float[Tensor, "batch channel {sides[0]} {sides[1]}"]:
    height, width = x.shape[-2:]
    below, right = sides[0] - height - margin, sides[1] - width - margin
    if max(margin, below) < height and max(margin, right) < width:
        return nn.functional.pad(x, [margin, right, margin, below], mode="reflect")
    rows = fold(torch.arange(-margin, height + below), height, "mirror").to(x.device)
    columns = fold(torch.arange(-margin, width + right), width, "mirror").to(x.device)
    return x.index_select(-2, rows).index_select(-1, columns)


def _fast(least: int) -> int:
    # Fourier transforms take their time unless the size is a product of small numbers.
    size = -(-least // 8) * 8
    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 8
