"""Recombination of images in the frequency domain, low-pass parts and plane waves."""

import torch
from torch import nn

from withstand.functional.tensors import Images


def recombined(phases: Images, amplitudes: Images) -> Images:
    """Return images with the phases of some images and the amplitudes of others, over channels, rows and columns.

    Values may lie outside those of both.

    Example:
        >>> x = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
        >>> torch.allclose(recombined(x, x), x, atol=1e-6), torch.allclose(recombined(x, 2 * x), 2 * x, atol=1e-6)
        (True, True)
    """
    dimensions = (1, 2, 3)
    own, other = torch.fft.rfftn(phases, dim=dimensions), torch.fft.rfftn(amplitudes, dim=dimensions)
    size, wanted = own.abs(), other.abs()
    # A frequency without amplitude has phase 0.
    own = torch.where(size > 0, own * (wanted / size.clamp(min=1e-30)), wanted)
    return torch.fft.irfftn(own, s=phases.shape[1:], dim=dimensions)


def low_pass(x: Images, *, std: float, radius: int) -> Images:
    """Return images blurred by a Gaussian of 2 radius + 1 pixels per side, mirrored at the borders.

    Args:
        x: Images of any values.
        std: Standard deviation in pixels, above 0.
        radius: At least 1.

    Returns:
        `torchvision.transforms.GaussianBlur(2 * radius + 1, std)(x)`.

    Example:
        >>> low_pass(torch.tensor([[[[0.0, 1.0, 0.0]]]]), std=0.5, radius=1)
        tensor([[[[0.2130, 0.7870, 0.2130]]]])
    """
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / std) ** 2)
    weights = (weights / weights.sum()).tolist()
    for axis in (2, 3):
        length = x.shape[axis]
        mode = "reflect" if length > radius else "replicate"
        padded = nn.functional.pad(x, (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0), mode=mode)
        x = weights[0] * padded.narrow(axis, 0, length)
        for place, weight in enumerate(weights[1:], start=1):
            x.add_(padded.narrow(axis, place, length), alpha=weight)
    return x
