"""Distributions tilted along a gradient: truncated exponentials in a box, and discrete options."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def truncated_exponential(slope: Float[Tensor, "*shape"], uniform: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return points of [-1, 1] whose density grows like exp(slope t), by inverting its distribution function.

    Args:
        slope: Any numbers; 0 gives the uniform distribution.
        uniform: Numbers uniform in [0, 1).

    Example:
        >>> truncated_exponential(torch.tensor([0.0, 1000.0]), torch.tensor([0.25, 0.25])).round(decimals=2)
        tensor([-0.5000,  1.0000])
    """
    steep = slope.abs().clamp_min(1e-4)
    # Of the mirrored problem, in which the slope is positive.
    point = 1 + (uniform + (1 - uniform) * (-2 * steep).exp()).log() / steep
    point = torch.where(slope.abs() < 1e-3, 2 * uniform - 1, point).clamp(-1, 1)
    return torch.where(slope < 0, -point, point)


def log_tilt(slope: Float[Tensor, "*row feature"], point: Float[Tensor, "*row feature"]) -> Float[Tensor, "*row"]:
    """Return the logarithm of the tilted density over the uniform one, at points of the cube [-1, 1]^d.

    Args:
        slope: Slope of each feature's exponential.
        point: Where.

    Example:
        >>> log_tilt(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.3, -0.9]]))
        tensor([0.])
    """
    steep = slope.abs()
    # log(2 a / (1 - exp(-2 a))) - a (1 - |t|), of which nothing overflows or cancels; by its series near 0.
    full = steep.clamp_min(1e-2)
    ratio = full.log() + math.log(2) - torch.log1p(-(-2 * full).exp()) - full * (1 - slope.sign() * point)
    ratio = torch.where(steep < 1e-2, slope * point - steep.square() / 6, ratio)
    return ratio.sum(-1)


def tilted_options(
    gains: Float[Tensor, "row option"], uniform: Float[Tensor, "row draw"], tilted: Bool[Tensor, "row draw"]
) -> tuple[Int[Tensor, "row draw"], Float[Tensor, "row draw"]]:
    """Return numbers of options, and the logarithm of their tilted probability over the uniform one.

    Args:
        gains: Logarithm of the tilted probabilities up to a constant.
        uniform: Numbers uniform in [0, 1).
        tilted: Whether an option is drawn by the tilted probabilities, or else uniformly.

    Example:
        >>> gains, all_tilted = torch.tensor([[0.0, 1.0]]).log(), torch.tensor([[True]])
        >>> tilted_options(gains, torch.tensor([[0.1]]), all_tilted)
        (tensor([[1]]), tensor([[0.6931]]))
    """
    num = gains.shape[1]
    by_tilt = torch.searchsorted(gains.softmax(1).cumsum(1), uniform.to(gains.dtype), right=True)
    numbers = torch.where(tilted, by_tilt, (uniform * num).long()).clamp_max(num - 1)
    return numbers, gains.log_softmax(1).gather(1, numbers) + math.log(num)
