"""Circular motion blur of CIFAR-10-C-bar."""

from dataclasses import dataclass
from math import exp
from typing import ClassVar

from withstand.functional.kernels.procedural.splines import mean_of_turns
from withstand.functional.tensors import Images
from withstand.perturbations.corruptions.c_bar.c_bar import CBar

_TURNS = [number / 10 - 1 for number in range(21)]
_WEIGHTS = [exp(-2 * turn**2) for turn in _TURNS]


@dataclass(frozen=True, kw_only=True)
class CircularMotionBlur(CBar):
    """Average 21 copies turned about the centre by up to 1.5 L degrees, with weights of a Gaussian; nothing is random.

    Source:
        augmentation-corruption, `circular_motion_blur`; the level L is `tables`. See CBar.
        Differs: computed in float64 instead of float32.
    """

    tables: ClassVar = {32: (2.8, 3.6, 4.4, 5.2, 6)}

    def corrupt(self, x: Images, parameters: None) -> Images:
        """Take the mean."""
        degrees = [1.5 * self._level(x) * turn for turn in _TURNS]
        return mean_of_turns(x, degrees, [weight / sum(_WEIGHTS) for weight in _WEIGHTS]).to(x).clamp_(0, 1)
