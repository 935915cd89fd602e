"""Gap: a cell (corruption at one severity) that is absent or partial."""

from collections.abc import Mapping
from typing import NamedTuple

from withstand.conditions import CORRUPTIONS, IMAGENET_C, OUTSIDE, Cell, Saved, severities_of


class Gap(NamedTuple):
    """A cell that is absent or has fewer images than the largest cell.

    Attributes:
        condition: Name of the cell in rows, e.g. `fog/3`.
        images: Number of its images.
        expected: Number of images in the largest cell.
    """

    condition: str
    images: int
    expected: int


def find_gaps(images: Mapping[Cell, int], corruption: str | None = None, severity: int | None = None) -> list[Gap]:
    """Return the absent or partial cells of the 15 corruptions, and of others with any cell.

    Where there are only cells of suites outside ImageNet-C, the 15 are not expected.

    Args:
        images: Number of images of each existing cell; at least one cell.
        corruption: Select this corruption; None selects all.
        severity: Select this severity; None selects all.

    Example:
        >>> found = {Cell("fog", severity): 10 for severity in (1, 2, 3, 4)} | {Cell("fog", 5): 7}
        >>> find_gaps(found, "fog"), len(find_gaps(found))
        ([Gap(condition='fog/5', images=7, expected=10)], 71)
    """
    largest = max(images.values())
    saved: dict[str, Saved] = {cell.corruption: cell.saved for cell in images}
    usual = next(iter(images)).saved
    expected = () if set(saved) <= set(OUTSIDE) else IMAGENET_C
    listed = [name for name in CORRUPTIONS if name in expected or name in saved]
    every = [Cell(name, each, saved.get(name, usual)) for name in listed for each in severities_of(name)]
    counts = {cell: images.get(cell, 0) for cell in every if is_selected(cell, corruption, severity)}
    return [Gap(cell.condition, count, largest) for cell, count in counts.items() if count < largest]


def is_selected(cell: Cell, corruption: str | None, severity: int | None) -> bool:
    """Return whether a cell has this corruption and this severity; None matches any."""
    return corruption in (None, cell.corruption) and severity in (None, cell.severity)
