"""Severities of corruptions, and their parameters between the published ones."""

from collections.abc import Collection
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from withstand.limits import Within

PublishedSeverity = Literal[1, 2, 3, 4, 5]
Severity = Annotated[float, Within(Ge(1), Le(5))]


def interpolated(low: Any, high: Any, share: float, *, whole: Collection[int] = ()) -> Any:
    """Return parameters between two sets, interpolated linearly.

    Args:
        low: A number, or several.
        high: The same number of them.
        share: Weight of `high`, above 0 and below 1.
        whole: Places of the numbers that must be whole, such as lengths and counts, which are rounded. Parameters that
            are not numbers, such as whether something is done, are those of the nearer end.

    Example:
        >>> interpolated((1, 2, 0.5, True), (2, 4, 1.5, False), 0.75, whole=(1,))
        (1.75, 4, 1.25, False)
    """
    if isinstance(low, tuple):
        return tuple(
            interpolated(*ends, share, whole=(0,) if place in whole else ())
            for place, ends in enumerate(zip(low, high, strict=True))
        )
    if isinstance(low, bool) or not isinstance(low, int | float):
        return low if share < 0.5 else high
    mixed = low + (high - low) * share
    return round(mixed) if whole else mixed
