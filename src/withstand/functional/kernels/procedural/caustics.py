"""Caustics: light on the ground under waves of water."""

from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.kernels.gaussian import gaussian_weights, sum_in_order
from withstand.functional.precision import in_double
from withstand.functional.tensors import PerRow

_NUM_TURNS, _INTENSITY, _OFFSET = 5, 0.005, 250.0
_PERIOD = 6.28318530718  # as the original has it
_RADIUS = 4  # of the Gaussian of one pixel that smoothes the light


def caustics(height: int, width: int, time: PerRow, size: PerRow) -> Float[Tensor, "batch height width"]:
    """Return light from 0 to 1, smoothed by a Gaussian of one pixel; in the dtype and on the device of `time`.

    Args:
        height: Rows of the result.
        width: Columns of the result.
        time: Moment of the waves.
        size: Period of the pattern, in pixels, above 0.

    Source:
        Mintun, Kirillov, Xie 2021, arXiv 2102.11273; facebookresearch/augmentation-corruption, imagenet_c_bar,
        `caustic_refraction`.

    Example:
        >>> light = caustics(4, 4, torch.tensor([1.0]), torch.tensor([4.0]))
        >>> bool(light.min() >= 0), bool(light.max() <= 1)
        (True, True)
    """
    at, period = in_double(time)[:, None, None], in_double(size)[:, None, None]
    down, across = (
        _PERIOD * (torch.arange(side, dtype=period.dtype, device=period.device).view(shape) / period).remainder(1)
        for side, shape in ((height, (-1, 1)), (width, (1, -1)))
    )
    # Whole turns are left out of the angles, for float32.
    angles = [(each + (80 * pi - _OFFSET)).to(time) for each in (down, across)]
    scaled = [(_INTENSITY * (each - _OFFSET)).to(time) for each in (down, across)]
    sin_i, sin_j, cos_i, cos_j = (of(each) for of in (torch.sin, torch.cos) for each in angles)
    total = time.new_ones(())
    for number in range(1, _NUM_TURNS + 1):
        moment = at * (1 - 3.5 / number)
        sin_t, cos_t = moment.sin().to(time), moment.cos().to(time)
        # The sines of sums come from those of i, j and t: i + cos(t - i) + sin(t + j), j + sin(t - j) + cos(t + i).
        coscos_i, sinsin_i, sincos_j, cossin_j = cos_t * cos_i, sin_t * sin_i, sin_t * cos_j, cos_t * sin_j
        i = angles[0] + (coscos_i + sinsin_i) + (sincos_j + cossin_j)
        j = angles[1] + (sincos_j - cossin_j) + (coscos_i - sinsin_i)
        sin_i, sin_j, cos_i, cos_j = i.sin(), j.sin(), i.cos(), j.cos()
        one = scaled[0] / (sin_i * cos_t).add_(cos_i * sin_t)
        other = scaled[1] / (cos_j * cos_t).sub_(sin_j * sin_t)
        total = total + one.square_().add_(other.square_()).rsqrt_()
    light = (1.17 - (total / _NUM_TURNS).pow_(1.4)).pow_(8).clamp_(0, 1)
    return sum_in_order(light, gaussian_weights(1.0, _RADIUS), border="reflect")
