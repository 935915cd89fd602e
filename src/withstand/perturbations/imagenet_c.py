"""The whole benchmark ImageNet-C as one perturbation."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from torch import nn

from withstand.conditions import EXTRAS, IMAGENET_C, OPERATIONS
from withstand.data.space import Space
from withstand.functional.random import Rng
from withstand.functional.tensors import Points, Targets
from withstand.limits import DistinctNonEmpty
from withstand.perturbations.base import Draws, Perturbation, Pixels, check_images
from withstand.perturbations.corruptions.imagenet_c.frost import Frost, Textures
from withstand.perturbations.corruptions.severity import PublishedSeverity
from withstand.perturbations.corruptions.suites import extras, imagenet_c, nearest_pixels
from withstand.perturbations.mixture import Mixture
from withstand.perturbations.saved_as_jpeg import SavedAsJpeg


@dataclass(frozen=True, kw_only=True)
class ImageNetC(Perturbation):
    """The 15 corruptions of ImageNet-C at several severities.

    As an augmentation or transform, every image gets one of them, chosen uniformly at random. In an evaluation
    (`evaluate(..., on=ImageNetC())`), every image gets all of them: see `cells`.

    Attributes:
        severities: Published severities, 1 to 5.
        pixels: Image size whose published parameters are used; None takes the nearest.
        jpeg: Whether to save images as JPEG files of quality 85. None follows the publication: yes for 224, 299 and 64
            pixels, no for 32 (CIFAR-10-C).
        validation: Whether to include the 4 extra corruptions, meant for validation.
        frost: Frost textures, `published` or `procedural`. None takes the published ones, or in an evaluation those of
            the evaluation.
    """

    severities: Annotated[tuple[PublishedSeverity, ...], DistinctNonEmpty] = (1, 2, 3, 4, 5)
    pixels: Pixels | None = None
    jpeg: bool | None = None
    validation: bool = False
    frost: Textures | None = None

    images_only: ClassVar[bool] = True
    operations: ClassVar = frozenset(
        name for name, corruptions in OPERATIONS.items() if not {*IMAGENET_C, *EXTRAS}.isdisjoint(corruptions)
    )

    def cells(self, height: int, width: int) -> tuple[Perturbation, ...]:
        """Return every corruption at every severity, in the published order, for images of a size.

        Example:
            >>> [each.condition for each in ImageNetC(severities=(1, 5), validation=True).cells(224, 224)[:2]]
            ['gaussian_noise+jpeg/1', 'gaussian_noise+jpeg/5']
        """
        pixels: Pixels = self.pixels or nearest_pixels(height, width)
        cells = imagenet_c(severities=self.severities, pixels=pixels)
        cells += extras(severities=self.severities, pixels=pixels) if self.validation else ()
        cells = tuple(
            replace(each, textures=self.frost or "published") if isinstance(each, Frost) else each for each in cells
        )
        saved = pixels != 32 if self.jpeg is None else self.jpeg
        return tuple(SavedAsJpeg(perturbation=each) for each in cells) if saved else cells

    def check(self, space: Space) -> None:
        """Reject inputs that are not images, and report missing textures."""
        super().check(space)
        for each in self.cells(*space.shape[1:]):
            each.check(space)

    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Corrupt every image with one of the cells."""
        check_images(type(self).__name__, x.shape)
        cells = self.cells(x.shape[-2], x.shape[-1])
        return Mixture(parts=cells).draw(x, y, model, space=space, num_draws=num_draws, rng=rng)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """Mild without files, and strong with them."""
        return [
            cls(severities=(1,), pixels=32, frost="procedural"),
            cls(severities=(4, 5), pixels=32, jpeg=True, validation=True, frost="procedural"),
        ]
