"""Model: the base of configurations that build networks."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from withstand.configuration import Configuration
from withstand.errors import InputError
from withstand.limits import PositiveInt, Seed, checked
from withstand.models.normalize import Normalize


class ImageSize(NamedTuple):
    """The size of images that a model was made for.

    Attributes:
        pixels: Width and height of the inputs.
        resize: Length of the shorter side before the centre crop.
    """

    pixels: int
    resize: int


class Model(Configuration, ABC):
    """The architecture of a network: a frozen keyword-only dataclass that builds the network for given data."""

    @checked
    def build(self, shape: tuple[PositiveInt, ...], num_classes: PositiveInt, *, seed: Seed) -> nn.Module:
        """Return the network with new (or pretrained) parameters; it maps inputs to logits.

        Args:
            shape: Shape of one input, (channel, height, width) or (feature,).
            num_classes: Number of logits.
            seed: Seed of the initial parameters; the global generators are not affected.

        Returns:
            A module with the parts `normalize`, which holds mean and std as buffers, and `network`.

        Raises:
            InputError: If the network cannot take such inputs.
        """
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(seed))
            normalize, network = self.make(shape, num_classes)
        return nn.Sequential(OrderedDict(normalize=normalize, network=network))

    @property
    def image_size(self) -> ImageSize | None:
        """The size of images by the model's own configuration; None if it has none."""
        return None

    @abstractmethod
    def make(self, shape: tuple[int, ...], num_classes: int) -> tuple[Normalize, nn.Module]:
        """Return the normalisation of the inputs and the network that follows it."""

    @classmethod
    @abstractmethod
    def examples(cls) -> list[tuple["Model", tuple[int, ...]]]:
        """Return small instances with the shape of an input each, on which the contract tests run."""


def remarks_on(name: str, model: nn.Module) -> tuple[str, ...]:
    """Return notes on a model for tables of results, as sentences.

    They are the attributes `remark` of its parts, and the number of weights that are not finite, if there are any.
    """
    found: list[str] = [str(each.remark) for each in model.modules() if isinstance(getattr(each, "remark", None), str)]
    if wrong := unfinished(model):
        found.append(f"has {wrong}")
    return tuple(f"{name} {each}." for each in dict.fromkeys(found) if each)


@torch.no_grad()
def unfinished(model: nn.Module) -> str:
    """Return the number of weights that are not finite, in words; empty if all are finite.

    Example:
        >>> unfinished(nn.Linear(2, 2)), unfinished(nn.Linear(1, 1, bias=False).requires_grad_(False).apply(
        ...     lambda part: part.weight.fill_(torch.nan)))
        ('', '1 of 1 weights that are not finite (NaN or infinity)')
    """
    weights = [each for each in model.parameters() if not is_lazy(each) and each.device.type != "meta"]
    wrong, count = sum(int((~each.isfinite()).sum()) for each in weights), sum(each.numel() for each in weights)
    return f"{wrong:,} of {count:,} weights that are not finite (NaN or infinity)" if wrong else ""


def check_image(who: str, shape: tuple[int, ...], *, smallest: int = 1) -> None:
    """Reject inputs that are not images of at least the smallest side length."""
    if len(shape) != 3 or min(shape[1:]) < smallest:
        raise InputError(
            f"{who}: inputs must be images (channel, height, width) of at least {smallest} x {smallest} pixels, "
            f"got shape {shape}."
        )
