"""Sample: a batch of rows of a split."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float, Int, Real
from torch import Tensor


class Sample(NamedTuple):
    """A batch of rows of a split, on a device.

    Attributes:
        x: Inputs: images in [0, 1], or features.
        y: Labels, 0 to num_classes - 1, as int64; or the targets of a regression.
        number: Number of each row in its split, from which its noise in an evaluation derives.
        weight: Factor of each row's loss in training, at least 0; None means 1.
    """

    x: Float[Tensor, "batch *feature"]
    y: Real[Tensor, " batch"]
    number: Int[Tensor, " batch"]
    weight: Float[Tensor, " batch"] | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> "Sample":
        """Return the sample with a function applied to each of its tensors."""
        weight = None if self.weight is None else function(self.weight)
        return Sample(function(self.x), function(self.y), function(self.number), weight)
