"""PixMix."""

from dataclasses import dataclass

import torch
from torch import Tensor

from withstand.functional.augmentation.fractals import fractals
from withstand.functional.augmentation.hashed import Seeds, uniforms
from withstand.functional.levels import to_levels
from withstand.functional.random import Rng, integers
from withstand.functional.tensors import Images
from withstand.limits import PositiveFloat, PositiveInt
from withstand.perturbations.augmentations.aug_mix import AugMix, OperationLevel, random_operation
from withstand.perturbations.augmentations.augmentation import Augmentation
from withstand.perturbations.base import Perturbation

_NUMBERS = 12  # uniform numbers per image and round
_LARGER = 1.25  # side of a picture over the side of an image, for random crops


@dataclass(frozen=True, kw_only=True)
class PixMix(Augmentation):
    r"""Blends an image with its own variants and with fractals, several times.

    It starts from the image or, with probability 0.5, from the image after a random operation of `AugMix`. Each of the
    rounds, whose number is uniform from 0 to `rounds`, blends the result with the image after another operation or with
    a picture, with equal probabilities: a weighted sum or a weighted product, clipped to [0, 1].

    Attributes:
        rounds: Highest number of rounds.
        concentration: beta > 0 of the blends: weights are Beta(beta, 1) for the result and Beta(1, beta) for the other,
            or 1 + Beta(1, beta) and -Beta(1, beta). The paper uses 3 for CIFAR and 4 for ImageNet.
        severity: Highest level of operations, from 0.1 to 10: 3 for CIFAR and 1 for ImageNet.
        all_ops: Also color, contrast, brightness and sharpness, as in the paper; they are corruptions of ImageNet-C.
        num_pictures: Number of fractals, which are generated once per process, in a few seconds.

    Source:
        Hendrycks, Zou, Mazeika et al.: "PixMix: Dreamlike Pictures Comprehensively Improve Safety Measures", CVPR 2022,
        arXiv 2112.05135; andyzoujm/pixmix, pixmix_utils.py.
        Differs: fractals are generated from random iterated function systems instead of collected pictures.
    """

    rounds: PositiveInt = 4
    concentration: PositiveFloat = 3.0
    severity: OperationLevel = 3.0
    all_ops: bool = True
    num_pictures: PositiveInt = 128

    @property
    def operations(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Those of `AugMix`, and mixing with pictures, which lie over the image."""
        return AugMix(all_ops=self.all_ops).operations | {"mixing", "overlay"}

    def augment(self, x: Images, *, rng: Rng) -> Images:
        """Blend the images round by round."""
        seeds = integers((len(x), self.rounds + 1), 0, 1 << 62, rng=rng, device=x.device)
        start = uniforms(seeds[:, 0], 5)
        changed = self._operate(x, start[:, :3])
        result = torch.where((start[:, 3] < 0.5)[:, None, None, None], changed, x)
        last = (start[:, 4] * (self.rounds + 1)).long()
        for count in range(1, self.rounds + 1):
            rows = (last >= count).nonzero()[:, 0]
            if len(rows):
                result[rows] = self._blended(result[rows], x[rows], seeds[rows, count])
        return result

    def _blended(self, x: Images, original: Images, seeds: Seeds) -> Images:
        numbers = uniforms(seeds, _NUMBERS)
        own = numbers[:, 3] < 0.5
        other = self._operate(original, numbers[:, :3]).where(own[:, None, None, None], self._pictures(x, numbers))
        a, b = (each[:, None, None, None] for each in self._weights(numbers[:, 8:11]))
        added = (a * (2 * x - 1) + b * (2 * other - 1) + 1) / 2
        multiplied = (2 * x) ** a * (2 * other).clamp(min=1e-37) ** b / 2
        return torch.where((numbers[:, 11] < 0.5)[:, None, None, None], added, multiplied).clamp_(0, 1)

    def _operate(self, x: Images, numbers: Tensor) -> Images:
        levels = random_operation(to_levels(x), numbers, severity=self.severity, all_ops=self.all_ops)
        return levels.to(x.dtype).div_(255)

    def _pictures(self, x: Images, numbers: Tensor) -> Images:
        """Return a random part of a random picture for every image, mirrored or not."""
        height, width = x.shape[2:]
        tall, wide = int(height * _LARGER), int(width * _LARGER)
        pictures = fractals(self.num_pictures, tall, wide).to(x)
        which, row, column, side = numbers[:, 4:8].T[..., None]
        rows = (row * (tall - height + 1)).long() + torch.arange(height, device=x.device)
        columns = (column * (wide - width + 1)).long() + torch.arange(width, device=x.device)
        columns = torch.where(side < 0.5, columns, columns.flip(1))
        chosen = pictures[(which * len(pictures)).long()[:, :, None], :, rows[:, :, None], columns[:, None, :]]
        chosen = chosen.movedim(3, 1)
        return chosen if x.shape[1] == 3 else chosen.mean(1, keepdim=True)

    def _weights(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights of result and other, by the inverse of their distributions."""
        coin, first, second = numbers.unbind(1)
        near, small = first ** (1 / self.concentration), 1 - (1 - first) ** (1 / self.concentration)
        other = 1 - (1 - second) ** (1 / self.concentration)
        return torch.where(coin < 0.5, near, 1 + small), torch.where(coin < 0.5, other, -other)

    @classmethod
    def examples(cls) -> list[Perturbation]:
        """The published one for CIFAR with fewer fractals, and one without corruptions of ImageNet-C."""
        return [cls(num_pictures=8), cls(rounds=2, all_ops=False, num_pictures=8)]
