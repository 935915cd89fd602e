"""Wide residual networks for small images."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from withstand.errors import InputError
from withstand.limits import PositiveInt, Share
from withstand.models.base import Model, check_image
from withstand.models.normalize import Normalize

CHANNELS = (16, 32, 64)  # of the three groups of blocks, times the width
LAYERS_OUTSIDE = 4  # the first convolution, two shortcuts and the linear layer, as the paper counts
LAYERS_PER_BLOCK = 2


class Block(nn.Module):
    """Two 3x3 convolutions, each after batch normalisation and ReLU, added to the input."""

    def __init__(self, before: int, after: int, *, stride: int, dropout: float) -> None:
        """Make the layers; a 1x1 convolution adapts the input where its shape changes."""
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(before), nn.BatchNorm2d(after)
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(dropout)
        changes = before != after or stride != 1
        self.shortcut = nn.Conv2d(before, after, 1, stride=stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of the input and what the convolutions make of it."""
        active = torch.relu(self.norm1(x))
        changed = self.conv2(self.dropout(torch.relu(self.norm2(self.conv1(active)))))
        return changed + (x if self.shortcut is None else self.shortcut(active))


@dataclass(frozen=True, kw_only=True)
class WideResNet(Model):
    """Wide residual network (WRN-depth-width) for images of about 32 x 32 pixels.

    Attributes:
        depth: Number of layers, 6 n + 4 for n blocks per group: 10, 16, 22, 28, 34, 40.
        width: Factor of the numbers of channels, 16, 32 and 64.
        dropout: Share of values dropped between the convolutions of a block, in [0, 1).

    Source:
        Zagoruyko, Komodakis 2016, arXiv 1605.07146.
    """

    depth: PositiveInt = 16
    width: PositiveInt = 1
    dropout: Share = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.depth - LAYERS_OUTSIDE) % 6 or self.depth < 10:
            raise InputError(f"WideResNet: depth must be 10, 16, 22, 28, 34, 40, ... (6 n + 4), got {self.depth}.")

    def make(self, shape: tuple[int, ...], num_classes: int) -> tuple[Normalize, nn.Module]:
        """Build the network for images of at least 8 x 8 pixels."""
        check_image("WideResNet", shape, smallest=8)
        blocks = (self.depth - LAYERS_OUTSIDE) // (LAYERS_PER_BLOCK * len(CHANNELS))
        layers: list[nn.Module] = [nn.Conv2d(shape[0], CHANNELS[0], 3, padding=1, bias=False)]
        before = CHANNELS[0]
        for group, channels in enumerate(CHANNELS):
            after = channels * self.width
            for number in range(blocks):
                stride = 2 if group > 0 and number == 0 else 1
                layers.append(Block(before, after, stride=stride, dropout=self.dropout))
                before = after
        layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        network = nn.Sequential(*layers, nn.Linear(before, num_classes))
        for each in network.modules():
            if isinstance(each, nn.Conv2d):
                nn.init.kaiming_normal_(each.weight, mode="fan_out", nonlinearity="relu")
        return Normalize([0.5], [0.5]), network

    @classmethod
    def examples(cls) -> list[tuple[Model, tuple[int, ...]]]:
        """The smallest depth, grey and colour."""
        return [(cls(depth=10), (1, 28, 28)), (cls(depth=10, width=2, dropout=0.1), (3, 32, 32))]
