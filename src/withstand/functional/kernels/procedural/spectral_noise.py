"""Noise fields with a given spectrum and random phases."""

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.precision import in_double


def frequencies(height: int, width: int) -> Float[Tensor, "{height} {width}"]:
    """Return the frequency of each entry of a spectrum, with 0 in the middle; in periods per shorter side.

    Example:
        >>> frequencies(2, 4)
        tensor([[1.4142, 1.1180, 1.0000, 1.1180],
                [1.0000, 0.5000, 0.0000, 0.5000]], dtype=torch.float64)
    """
    side = min(height, width)
    down, across = ((torch.arange(size, dtype=torch.float64) - size // 2) * (side / size) for size in (height, width))
    return torch.hypot(down[:, None], across)


def spectral_noise(
    phases: Float[Tensor, "*batch height half"], amplitudes: Float[Tensor, "height width"]
) -> Float[Tensor, "*batch height width"]:
    """Return noise of standard deviation 1 in float64; its mean is not removed.

    The left half of the spectrum has the given phases, the right half the same, turned by 180 degrees. This symmetry
    is about a point between pixels, so the inverse Fourier transform is complex; the noise is its real part.

    Args:
        phases: In radians; half of the columns, rounded up.
        amplitudes: Amplitude per frequency, with frequency 0 in the middle; see `frequencies`.

    Example:
        >>> noise = spectral_noise(torch.rand(2, 8, 4), frequencies(8, 8))
        >>> noise.shape, noise.std((1, 2), correction=0).round(decimals=9)
        (torch.Size([2, 8, 8]), tensor([1., 1.], dtype=torch.float64))
    """
    phases = in_double(phases)
    odd = amplitudes.shape[-1] % 2
    parts = (
        torch.cat([each, each.flip((-2, -1))[..., odd:]], -1).mul_(amplitudes.to(phases))
        for each in (phases.cos(), phases.sin())
    )
    noise = torch.fft.ifft2(torch.fft.ifftshift(torch.complex(*parts), dim=(-2, -1))).real
    return noise / noise.std((-2, -1), correction=0, keepdim=True).clamp_min(1e-30)
