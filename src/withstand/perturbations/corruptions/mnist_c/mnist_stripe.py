"""Stripe of MNIST-C."""

from dataclasses import dataclass
from typing import ClassVar

from withstand.functional.tensors import Images
from withstand.perturbations.corruptions.mnist_c.mnist_corruption import MnistCorruption


@dataclass(frozen=True, kw_only=True)
class MnistStripe(MnistCorruption):
    """Invert the left and the right quarter of the columns; nothing is random.

    Source:
        mnist-c, `stripe`; the share of each is `tables`. See MnistCorruption.
    """

    tables: ClassVar = {28: (0.25,)}

    def corrupt(self, x: Images, parameters: None) -> Images:
        """Invert."""
        width = int(self.published(*x.shape[-2:]) * x.shape[-1])
        inverted = x.clone()
        for part in (inverted[..., :width], inverted[..., x.shape[-1] - width :]):
            part.neg_().add_(1)
        return inverted
