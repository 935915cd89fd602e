"""Augmentation: the base of perturbations that are made for training on images."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from withstand.data.space import Space
from withstand.functional.random import Rng
from withstand.functional.tensors import Images, Points, Targets
from withstand.perturbations.base import Draws, Perturbation, check_images
from withstand.perturbations.names import changed_name


@dataclass(frozen=True, kw_only=True)
class Augmentation(Perturbation):
    """A perturbation of images for training; copies need not lie on the grid of 8 bits."""

    images_only: ClassVar[bool] = True

    @property
    def condition(self) -> str:
        """The class and the fields that differ from their defaults: `AugMix severity=1`."""
        return changed_name(self)

    @abstractmethod
    def augment(self, x: Images, *, rng: Rng) -> Images:
        """Return changed images.

        Args:
            x: Images in [0, 1] in float32, at least one.
            rng: Source of randomness: one for the batch, or one per row.

        Returns:
            New images, which `draw` clips to [0, 1].
        """

    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Augment the batch once per draw."""
        check_images(type(self).__name__, x.shape)
        x = x.detach()
        copies = x.new_empty(num_draws, *x.shape)
        for copy in copies if len(x) else ():
            copy.copy_(self.augment(x.float(), rng=rng))
        return Draws(copies.clamp_(0, 1))
