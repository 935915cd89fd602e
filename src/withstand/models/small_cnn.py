"""A small convolutional network for small images."""

from dataclasses import dataclass

from torch import nn

from withstand.limits import PositiveInt
from withstand.models.base import Model, check_image
from withstand.models.normalize import Normalize


@dataclass(frozen=True, kw_only=True)
class SmallCNN(Model):
    """Three 3x3 convolutions with ReLU and pooling, then two linear layers.

    Attributes:
        width: Channels of the first convolution; the others have twice as many.
        batch_norm: Whether batch normalisation follows each convolution. With it, the network learns faster, but a
            network trained without perturbations is fragile, because the statistics are fixed, as in common large
            networks. Without it, the output for a sample does not depend on the other samples in the batch, and
            training in several processes is equivalent to training in one.
    """

    width: PositiveInt = 32
    batch_norm: bool = False

    def make(self, shape: tuple[int, ...], num_classes: int) -> tuple[Normalize, nn.Module]:
        """Build the network for images of at least 8 x 8 pixels."""
        check_image("SmallCNN", shape, smallest=8)
        width = self.width
        network = nn.Sequential(
            *self._convolution(shape[0], width),
            nn.MaxPool2d(2),
            *self._convolution(width, 2 * width),
            nn.MaxPool2d(2),
            *self._convolution(2 * width, 2 * width),
            nn.AdaptiveMaxPool2d(4),
            nn.Flatten(),
            nn.Linear(2 * width * 16, 4 * width),
            nn.ReLU(),
            nn.Linear(4 * width, num_classes),
        )
        return Normalize([0.5], [0.5]), network

    def _convolution(self, before: int, after: int) -> list[nn.Module]:
        if not self.batch_norm:
            return [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
        return [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]

    @classmethod
    def examples(cls) -> list[tuple[Model, tuple[int, ...]]]:
        """Grey and colour, without and with batch normalisation."""
        return [(cls(width=4), (1, 28, 28)), (cls(width=4, batch_norm=True), (3, 32, 32))]
