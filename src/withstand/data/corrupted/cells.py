"""Cells: selection of corruption and severity, common to all data that are corrupted already."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from withstand.errors import InputError, nearest
from withstand.study.measures.condition import CLEAN, CORRUPTIONS, IMAGENET_C, SEVERITIES, Cell, Saved


class Gap(NamedTuple):
    """A cell that is absent, or has fewer images than the largest cell.

    Attributes:
        condition: The cell as it is written in rows, e.g. `fog/3`.
        images: Number of images that it has.
        expected: Number of images in the largest cell.
    """

    condition: str
    images: int
    expected: int


def check_cell(who: str, corruption: str | None, severity: int | None, *, has_clean: bool = False) -> None:
    """Reject an invalid cell.

    Args:
        who: Name of the data set, for messages.
        corruption: Published name, or `clean`; None is any.
        severity: 1 to 5; None is any.
        has_clean: Whether there are clean images, too.

    Raises:
        InputError: If the corruption or the severity is not known, or clean images are asked for and not there.
    """
    if corruption == CLEAN:
        if not has_clean or severity is not None:
            raise InputError(f"{who}: corruption {CLEAN} needs the field clean, and no severity.")
    elif corruption is not None and corruption not in CORRUPTIONS:
        raise InputError(f"{who}: corruption {corruption} is not known; {nearest(str(corruption), CORRUPTIONS)}")
    if severity is not None and severity not in SEVERITIES:
        raise InputError(f"{who}: severity must be 1, 2, 3, 4 or 5, got {severity}.")


def check_test_only(who: str, part: str) -> None:
    """Reject parts that corrupted data do not have.

    Raises:
        InputError: If the part is not `test`.
    """
    if part != "test":
        raise InputError(f"{who}: corrupted images are a test part only, got the part {part!r}; train on clean ones.")


def is_wanted(cell: Cell, corruption: str | None, severity: int | None) -> bool:
    """Return whether a cell is of this corruption and this severity, where None is any."""
    return corruption in (None, cell.corruption) and severity in (None, cell.severity)


def nothing_wanted(who: str, root: Path, corruption: str | None, severity: int | None) -> str:
    """Return the error message for a corruption and severity without a cell."""
    return (
        f"{who}: {root} holds corrupted images, but none of {corruption or 'severity'} {severity or ''}".rstrip() + "."
    )


def find_gaps(images: Mapping[Cell, int], corruption: str | None = None, severity: int | None = None) -> list[Gap]:
    """Return the absent or partial cells of the 15 corruptions, and of others with any cell.

    Args:
        images: Number of images of each cell that there is; at least one cell.
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
    there = [name for name in CORRUPTIONS if name in IMAGENET_C or name in saved]
    every = [Cell(name, each, saved.get(name, usual)) for name in there for each in SEVERITIES]
    counts = {cell: images.get(cell, 0) for cell in every if is_wanted(cell, corruption, severity)}
    return [Gap(cell.condition, count, largest) for cell, count in counts.items() if count < largest]
