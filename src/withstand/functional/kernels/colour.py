"""Brightness and saturation in closed form."""

import torch

from withstand.functional.pieces import pieces
from withstand.functional.tensors import Images

# Takes part where channels are equal and is lost in rounding where they are not.
_FAINTEST_RED = 1e-30


def brighten(x: Images, amount: float) -> Images:
    """Return images whose value V of the HSV colour model is larger by an amount, clipped to [0, 1].

    V is the largest channel. With hue and saturation kept all channels are proportional to V, so they are
    multiplied by the new V over the old; black becomes grey. An image of one channel is its own V.

    Args:
        x: Images in [0, 1].
        amount: What is added to V.

    Example:
        >>> brighten(torch.tensor([0.5, 0.25, 0.0]).reshape(1, 3, 1, 1), 0.25).flatten()
        tensor([0.7500, 0.3750, 0.0000])
    """
    value = x.amax(dim=1, keepdim=True)
    new = (value + amount).clamp_(0, 1)
    factor = new / value.clamp(min=torch.finfo(x.dtype).tiny)
    return torch.addcmul(value.le_(0).mul_(new), x, factor)


def saturate(x: Images, factor: float, amount: float) -> Images:
    """Return images whose saturation S of the HSV colour model is S * factor + amount, clipped to 1.

    S is the distance between the largest and the smallest channel over the largest, V. With hue and value kept
    every channel's distance from V grows as S does. Grey counts as red without any saturation, and becomes
    red with an amount; an image of one channel has no saturation and stays unchanged.

    Args:
        x: Images in [0, 1].
        factor: What S is multiplied by, >= 0.
        amount: What is added to it, >= 0.

    Example:
        >>> saturate(torch.tensor([0.5, 0.25, 0.375]).reshape(1, 3, 1, 1), 1.0, 0.25).flatten()
        tensor([0.5000, 0.1250, 0.3125])
    """
    saturated = torch.empty_like(x)
    for part, out in pieces(4, x, saturated):
        value = part.amax(dim=1, keepdim=True)
        spread = value - part.amin(dim=1, keepdim=True)
        new = torch.minimum((spread * factor).add_(value, alpha=amount), value)
        distance = part - value
        if amount > 0:
            distance[:, 1:] -= _FAINTEST_RED
        torch.addcmul(value, distance, new.div_(spread.clamp_(min=_FAINTEST_RED)), out=out).clamp_(0, 1)
    return saturated
