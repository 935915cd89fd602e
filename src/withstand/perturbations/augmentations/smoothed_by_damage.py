"""Label smoothing that follows the damage of another perturbation."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn
from torch.nn.functional import one_hot

from withstand.data.space import Space
from withstand.functional.random import Rng
from withstand.functional.tensors import Points, Targets
from withstand.limits import PositiveFloat
from withstand.perturbations.augmentations.label_mixing import classes_of, smoothed
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.names import changed_name

_LEAST = 1e-15


@dataclass(frozen=True, kw_only=True)
class SmoothedByDamage(Perturbation):
    r"""Smooths the label of each copy of another perturbation by the share of noise in the copy.

    .. math:: (1 - \gamma) \, y + \gamma / C, \quad \gamma = \left( \frac{d^2}{d^2 + s^2} \right)^p

    d is the root mean square of a copy's change, s the standard deviation of clean data and C the number of classes, so
    that labels of strongly changed copies become uncertain. Use a perturbation of random strength.

    Attributes:
        perturbation: Draws the copies.
        data_std: s, in input units.
        power: p: 1 spreads as much of a label as noise replaces of the variance; large ones spread little.

    Source:
        Heinonen, Tran, Kampffmeyer, Filippone: "Robust Classification by Coupling Data Mollification with Label
        Smoothing", AISTATS 2025, arXiv 2406.01494; markusheinonen/supervised-mollification: 1 / (1 + SNR)^p, p = 1.
        Differs: the strength is measured on the copy, so that it works for every perturbation; noise is added without
        fading the image.
    """

    operations: ClassVar = frozenset()

    perturbation: Perturbation = Gaussian(std=(0.0, 0.04, 0.08, 0.12, 0.18, 0.26, 0.38))
    data_std: PositiveFloat = 0.25
    power: PositiveFloat = 1.0

    @property
    def condition(self) -> str:
        """The class and the fields that differ from their defaults."""
        return changed_name(self)

    def check(self, space: Space) -> None:
        """Check the perturbation and require classes."""
        super().check(space)
        classes_of(type(self).__name__, space)

    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Draw the copies, and smooth by their distance from the inputs."""
        count = classes_of(type(self).__name__, space)
        draws = self.perturbation.draw(x, y, model, space=space, num_draws=num_draws, rng=rng)
        labels = draws.targets
        if labels is None:
            labels = one_hot(y.long(), count).to(x.dtype).expand(num_draws, -1, -1)
        square = (draws.inputs - x.detach()).square().flatten(2).mean(2) if len(x) else labels.new_zeros(num_draws, 0)
        variance = min(max(float(self.data_std), _LEAST), 1 / _LEAST) ** 2  # beyond, float32 has only 0, 1 and NaN
        return draws._replace(targets=smoothed(labels, (square / (square + variance)) ** self.power))

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """With Gaussian noise of several strengths, and of one."""
        return [cls(), cls(perturbation=Gaussian(std=0.3), power=2.0)]
