"""Border handling of filters."""

from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

Border = Literal["nearest", "reflect", "mirror"]


def fold(place: Int[Tensor, "*shape"], size: int, border: Border) -> Int[Tensor, "*shape"]:
    """Return indices of padded pixels.

    Args:
        place: Any whole numbers.
        size: Length of the row, at least 1.
        border: `nearest` repeats the outermost pixel, `reflect` mirrors the row, outermost pixel included, and
            `mirror` without it. The names are scipy's; for others `reflect` is symmetric and `mirror` reflect.

    Returns:
        Numbers from 0 to size - 1.

    Example:
        >>> beyond = torch.tensor([-2, -1, 0, 1, 2, 3, 4])
        >>> fold(beyond, 3, "nearest").tolist()
        [0, 0, 0, 1, 2, 2, 2]
        >>> fold(beyond, 3, "reflect").tolist()
        [1, 0, 0, 1, 2, 2, 1]
        >>> fold(beyond, 3, "mirror").tolist()
        [2, 1, 0, 1, 2, 1, 0]
    """
    if border == "nearest":
        return place.clamp(0, size - 1)
    repeated = 1 if border == "reflect" else 0
    period = max(2 * (size - 1 + repeated), 1)
    place = place.remainder(period)
    return torch.minimum(place, period - repeated - place)
