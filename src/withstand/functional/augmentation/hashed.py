"""Random numbers computed from one seed per row: the same on any device and in any batch."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

Seeds = Int[Tensor, " row"]
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_BITS = 24


def uniforms(seeds: Seeds, count: int) -> Float[Tensor, "row {count}"]:
    """Return float32 numbers uniform in [0, 1), from whole seeds of 62 bits.

    Source:
        Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014: splitmix64, read by its
        counter; every output gives two numbers.

    Example:
        >>> uniforms(torch.tensor([1, 2]), 3).shape
        torch.Size([2, 3])
    """
    counter = torch.arange(1, (count + 1) // 2 + 1, device=seeds.device)
    z = seeds[:, None] + counter * _signed(_GOLDEN)
    z = (z ^ _shifted(z, 30)) * _signed(_FIRST)
    z = (z ^ _shifted(z, 27)) * _signed(_SECOND)
    z ^= _shifted(z, 31)
    pairs = torch.cat([_shifted(z, 64 - _BITS), z & ((1 << _BITS) - 1)], dim=1)
    return pairs[:, :count].float().div_(1 << _BITS)


def normals(seeds: Seeds, count: int) -> Float[Tensor, "row {count}"]:
    """Return float32 standard normal numbers by the method of Box and Muller; none is above 5.8."""
    half = (count + 1) // 2
    both = uniforms(seeds, 2 * half)
    first, second = both[:, :half], both[:, half:]
    radius = torch.log1p(-first).mul_(-2).sqrt_()
    angle = second * (2 * math.pi)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :count]


def _shifted(z: Tensor, bits: int) -> Tensor:
    # Without the sign bit, as for unsigned numbers.
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def _signed(constant: int) -> int:
    return constant - (1 << 64) if constant >> 63 else constant
