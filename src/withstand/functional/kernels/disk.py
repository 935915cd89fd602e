"""Disk kernels and the filter that applies them."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from withstand.functional.kernels.borders import fold
from withstand.functional.kernels.gaussian import gaussian_weights, sum_in_order
from withstand.functional.pieces import pieces
from withstand.functional.tensors import Images

# On the CPU, values that are added up at once: more do not fit its cache.
_CHUNK = 2**16
# Up to this number of rows a kernel's sums are faster one by one than as products of Fourier transforms.
_SMALL = 5
# Weights up to this count as 0.
_LEAST = 1e-10


@lru_cache(maxsize=16)
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


def correlate(x: Images, kernel: Float[Tensor, "side side"]) -> Images:
    """Return, per channel and pixel, the sum of its neighbours, each times its weight in the kernel.

    Beyond the border the image is mirrored, without its outermost pixels. The time hardly depends on the size of the
    kernel, unless it is small: the sums are products of Fourier transforms.

    Args:
        x: Images of any values.
        kernel: Weights; its sides are odd, and its middle is the pixel itself.

    Example:
        >>> correlate(torch.tensor([[[[1.0, 0.0, 0.0]]]]), disk(1, 0.1))
        tensor([[[[0.6000, 0.2000, 0.0000]]]])
    """
    if len(x) == 0:  # Fourier transforms refuse an empty batch on some processors
        return x.clone()
    return _add_up(x, kernel) if len(kernel) <= _SMALL else _transform(x, kernel)


def _add_up(x: Images, kernel: Float[Tensor, "side side"]) -> Images:
    height, width = x.shape[-2:]
    margin = len(kernel) // 2
    sums = torch.zeros_like(x)
    for chunk, result in pieces(_CHUNK // x.shape[1:].numel(), x, sums):
        mirrored = _mirror(chunk, margin, margin, margin)
        for down, right in kernel.nonzero().tolist():
            part = mirrored[..., down : down + height, right : right + width]
            result.add_(part, alpha=float(kernel[down, right]))
    return sums


def _transform(x: Images, kernel: Float[Tensor, "side side"]) -> Images:
    height, width = x.shape[-2:]
    margin = len(kernel) // 2
    sides = [_fast(size + 2 * margin) for size in (height, width)]
    spectrum = _spectrum(kernel.double().cpu().numpy().tobytes(), *sides, x.device, x.dtype.to_complex())
    sums = torch.empty_like(x)
    # On the CPU one by one: the rounding of a transform depends on how many are made at once.
    for chunk, result in pieces(1, x, sums):
        mirrored = _mirror(chunk, margin, sides[0] - height - margin, sides[1] - width - margin)
        product = torch.fft.rfft2(mirrored).mul_(spectrum)
        result.copy_(torch.fft.irfft2(product, s=sides)[..., :height, :width])
    return sums


@lru_cache(maxsize=8)
def _spectrum(
    kernel: bytes, height: int, width: int, device: torch.device, dtype: torch.dtype
) -> Complex[Tensor, "{height} half"]:
    weights = torch.from_numpy(np.frombuffer(kernel).copy())
    square = weights.view(round(len(weights) ** 0.5), -1)
    return torch.fft.rfft2(square, s=[height, width]).conj_physical().to(device, dtype)


def _mirror(x: Images, margin: int, below: int, right: int) -> Float[Tensor, "batch channel higher wider"]:
    height, width = x.shape[-2:]
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
