"""LabelMixing: the base of augmentations that mix two images and their labels."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import one_hot

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.augmentation.partners import partners
from withstand.functional.random import Rng
from withstand.functional.tensors import Images, PerRow, Points, Targets
from withstand.perturbations.base import Draws, Perturbation, check_images
from withstand.perturbations.names import changed_name


@dataclass(frozen=True, kw_only=True)
class LabelMixing(Perturbation):
    """Mixes each image with another of the batch, among those of the same process, and their labels in the same way."""

    images_only: ClassVar[bool] = True
    mixes_samples: ClassVar[bool] = True

    @property
    def condition(self) -> str:
        """The class and the fields that differ from their defaults: `Mixup alpha=0.2`."""
        return changed_name(self)

    @abstractmethod
    def mix(self, x: Images, others: Images, *, rng: Rng) -> tuple[Images, PerRow]:
        """Return mixed images, at least one, and the share of each image's own label."""

    def check(self, space: Space) -> None:
        """Require images and classes."""
        super().check(space)
        classes_of(type(self).__name__, space)

    def draw(self, x: Points, y: Targets, model: nn.Module, *, space: Space, num_draws: int, rng: Rng) -> Draws:
        """Mix the batch once per draw, with new partners."""
        check_images(type(self).__name__, x.shape)
        x, count = x.detach(), classes_of(type(self).__name__, space)
        copies, targets = x.new_empty(num_draws, *x.shape), x.new_empty(num_draws, len(x), count)
        labels = one_hot(y.long(), count).to(x.dtype)
        for copy, target in zip(copies, targets, strict=True) if len(x) else ():
            other = partners(len(x), rng=rng, device=x.device)
            mixed, share = self.mix(x, x[other], rng=rng)
            copy.copy_(mixed)
            target.copy_(labels[other].lerp(labels, share[:, None].to(x.dtype)))
        return Draws(copies, targets=targets)


def classes_of(who: str, space: Space) -> int:
    """Return the number of classes.

    Raises:
        InputError: If there are fewer than 2, or the number is unknown.
    """
    if space.num_classes is None or space.num_classes < 2:
        raise InputError(f"{who}: expected data with at least 2 classes, got {space.num_classes or 'none'}.")
    return space.num_classes


def smoothed(labels: Float[Tensor, "*row class"], share: Float[Tensor, "*row"]) -> Float[Tensor, "*row class"]:
    """Return probabilities of classes, of which a share per row is spread over all classes."""
    return labels * (1 - share[..., None]) + share[..., None] / labels.shape[-1]
