"""A small network that turns normal numbers into noise."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.func import functional_call

from withstand.errors import InputError
from withstand.functional.random import Rng, normal
from withstand.functional.tensors import Images, Points

Kernel = Literal["1x1", "3x3"]
WIDTH = 20
STD_OF_WEIGHTS = 0.01


class NoiseGenerator(nn.Module):
    """Four convolutions with ReLU between them, added to the normal numbers that go in.

    With the kernel 1x1 every pixel is drawn alone, with 3x3 (the second convolution) neighbours are dependent. The
    features of a table are the channels of a single pixel. It starts near the identity: as Gaussian noise.

    Source:
        Rusak et al. 2020, arXiv 2001.06057, appendix on the noise generator: 20 channels, weights N(0, 0.01^2).
    """

    def __init__(self, shape: tuple[int, ...], *, kernel: Kernel = "1x1", rng: Generator) -> None:
        """Make the network.

        Args:
            shape: Shape of one input: (channel, height, width), or (feature,).
            kernel: Kernel of the second convolution.
            rng: Source of the first weights.
        """
        super().__init__()
        if len(shape) not in (1, 3) or (len(shape) == 1 and kernel != "1x1"):
            raise InputError(
                f"NoiseGenerator: inputs must be images (channel, height, width), or, with the kernel 1x1, tables "
                f"(feature,), got shape {shape}."
            )
        self.shape = shape
        self.margin = 1 if kernel == "3x3" else 0
        channels, size = shape[0], 1 + 2 * self.margin
        self.layers = nn.Sequential(
            _convolution(channels, WIDTH, 1, rng),
            nn.ReLU(),
            _convolution(WIDTH, WIDTH, size, rng),
            nn.ReLU(),
            _convolution(WIDTH, WIDTH, 1, rng),
            nn.ReLU(),
            _convolution(WIDTH, channels, 1, rng),
        )

    def forward(self, z: Images) -> Float[Tensor, "batch channel rows columns"]:
        """Return noise from normal numbers, which have a margin of one pixel with the kernel 3x3."""
        inner = slice(self.margin, -self.margin) if self.margin else slice(None)
        return self.layers(z) + z[..., inner, inner]

    def draw(self, x: Points, *, rng: Rng, parameters: dict[str, Tensor] | None = None) -> Points:
        """Return noise for each row of x, on its device; the values of x do not matter.

        Args:
            x: Inputs.
            rng: Source of the normal numbers.
            parameters: Replace this network's own, by name.
        """
        height, width = (side + 2 * self.margin for side in (*self.shape[1:], 1, 1)[:2])
        z = normal((len(x), self.shape[0], height, width), rng=rng, device=x.device)
        # Convolutions of so few channels are several times faster with the channels last in memory.
        z = z.contiguous(memory_format=torch.channels_last)
        noise = self(z) if parameters is None else functional_call(self, parameters, (z,))
        return noise.reshape(x.shape)


def _convolution(inputs: int, outputs: int, size: int, rng: Generator) -> nn.Module:
    # Without the default initialisation, which uses the global generator.
    layer = nn.utils.skip_init(nn.Conv2d, inputs, outputs, size)
    nn.init.normal_(layer.get_parameter("weight"), std=STD_OF_WEIGHTS, generator=rng)
    nn.init.zeros_(layer.get_parameter("bias"))
    return layer
