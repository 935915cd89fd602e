"""CorruptedArrays: your own corrupted images in the array layout of CIFAR-10-C."""

from dataclasses import dataclass
from pathlib import Path

from withstand.data.corrupted.cells_in_arrays import CellsInArrays
from withstand.data.images.class_map import MAX_CLASSES, NumClasses
from withstand.errors import InputError
from withstand.reading.addresses import Address
from withstand.reading.places import place_of
from withstand.study.records import read_record


@dataclass(frozen=True, kw_only=True)
class CorruptedArrays(CellsInArrays):
    """Corrupted images in `root/<corruption>.npy`, one cell per corruption and severity.

    Each array is uint8 of shape (5 n, height, width, channels): n images per severity, severity 1 first. `labels.npy`
    holds n numbers, or the same n five times. `classes.json` is a list of the names of the classes; without it, classes
    are named by their numbers.

    Attributes:
        root: The folder.
        corruption: A published name such as `fog`; None selects all.
        severity: 1 to 5; None selects all.
        num_classes: Number of classes, at least 2; None takes the names in `classes.json`, or the highest label + 1.
    """

    root: str
    num_classes: NumClasses | None = None

    def _folder(self) -> Path | Address:
        return place_of(self.root)

    def _classes(self, largest: int) -> tuple[str, ...]:
        path = self._folder() / "classes.json"
        if not path.exists():
            return tuple(str(each) for each in range(self.num_classes or min(largest + 1, MAX_CLASSES)))
        try:
            names = read_record(path, tuple[str, ...], then="write a list of names, all different", file_names=True)
        except InputError as error:
            raise InputError(f"{self.who}: {error}") from error
        if len(set(names)) < len(names):
            raise InputError(f"{self.who}: {path} must hold a list of names, all different.")
        if self.num_classes not in (None, len(names)):
            raise InputError(
                f"{self.who}: num_classes must be {len(names):,}, the names in {path}, got {self.num_classes:,}."
            )
        return names
