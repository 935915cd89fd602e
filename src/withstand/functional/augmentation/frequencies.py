"""Recombination of images in the frequency domain, low-pass parts and plane waves."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

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
    places = torch.arange(-radius, radius + 1) / max(std, 1e-30)  # smaller ones are 0 in float32
    weights = torch.exp(-0.5 * places**2)
    weights = (weights / weights.sum()).tolist()
    for axis in (2, 3):
        length = x.shape[axis]
        mode = "reflect" if length > radius else "replicate"
        padded = nn.functional.pad(x, (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0), mode=mode)
        x = weights[0] * padded.narrow(axis, 0, length)
        for place, weight in enumerate(weights[1:], start=1):
            x.add_(padded.narrow(axis, place, length), alpha=weight)
    return x


def plane_waves(
    frequency: Float[Tensor, "batch channel"], angle: Float[Tensor, "batch channel"], height: int, width: int
) -> Images:
    r"""Return plane waves of l2 norm 1 per image and channel.

    .. math:: \sin(2 \pi f (r \cos t + c \sin t) - \pi / 4)

    Args:
        frequency: f, in periods per pixel.
        angle: t, in radians.
        height: Number of rows; r goes from -height / 2 to height / 2.
        width: Number of columns; c goes from -width / 2 to width / 2.

    Example:
        >>> plane_waves(torch.tensor([[0.25]]), torch.tensor([[0.0]]), 4, 4).square().sum().round(decimals=4).item()
        1.0
    """
    phases = [
        (2 * math.pi * frequency * part)[..., None] * torch.linspace(-size / 2, size / 2, size).to(angle)
        for size, part in ((height, angle.cos()), (width, angle.sin()))
    ]
    # The sine of a sum, from sines and cosines of one row and one column.
    rows, columns = phases[0][..., None] - math.pi / 4, phases[1][..., None, :]
    waves = (rows.sin() * columns.cos()).addcmul_(rows.cos(), columns.sin())
    return waves / waves.square().sum((2, 3), keepdim=True).sqrt_().clamp_(min=1e-6)
