"""JPEG compression after another perturbation."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Le
from torch import nn

from withstand.data.space import Space
from withstand.functional.kernels.jpeg import jpeg
from withstand.functional.levels import to_levels
from withstand.functional.random import Rng
from withstand.functional.tensors import Points, Targets
from withstand.limits import Within
from withstand.perturbations.base import Draws, Perturbation, check_images
from withstand.perturbations.corruptions.imagenet_c.gaussian_noise import GaussianNoise
from withstand.perturbations.identity import Identity


@dataclass(frozen=True, kw_only=True)
class SavedAsJpeg(Perturbation):
    """Another perturbation, floored to 8 bits and compressed as JPEG in memory.

    The images of ImageNet-C were saved with quality 85.

    Attributes:
        perturbation: Applied before saving.
        quality: JPEG quality, from 1 to 95.

    Source:
        hendrycks/robustness, ImageNet-C/create_c/make_imagenet_c.py: `Image.save` with quality 85 and colour at
        half the resolution (4:2:0).
    """

    operations: ClassVar = frozenset({"compression"})

    perturbation: Perturbation = Identity()
    quality: Annotated[int, Within(Ge(1), Le(95))] = 85

    images_only: ClassVar[bool] = True

    @property
    def condition(self) -> str:
        """The condition of the inner perturbation, with `+jpeg` after its kind: `gaussian_noise+jpeg/3`."""
        kind, slash, severity = self.perturbation.condition.rpartition("/")
        suffix = "+jpeg" if self.quality == 85 else f"+jpeg{self.quality}"
        return f"{kind}{suffix}/{severity}" if slash else f"{severity}{suffix}"

    @property
    def noise(self) -> str:
        """The same noise as without JPEG."""
        return self.perturbation.noise

    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Perturb, encode and decode."""
        check_images(type(self).__name__, x.shape)
        draws = self.perturbation.draw(x, y, model, space=space, num_draws=num_draws, rng=rng)
        decoded = jpeg(to_levels(draws.inputs.flatten(0, 1)), quality=self.quality)
        return draws._replace(inputs=decoded.to(x.dtype).div_(255).view_as(draws.inputs))

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """The unchanged image, and one of poor quality after noise."""
        return [cls(), cls(perturbation=GaussianNoise(severity=3, pixels=32), quality=30)]
