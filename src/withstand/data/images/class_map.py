"""ClassMap: class numbers by folder name, read from a file."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le

from withstand.errors import InputError, brief, told
from withstand.limits import Within
from withstand.reading.addresses import Address
from withstand.reading.places import place_of, read_bytes
from withstand.study.records import read_record

IMAGENET = "imagenet"
MANIFEST = "manifest.json"  # written by `withstand corrupt`
MAX_CLASSES = 100_000
MOST_BYTES = 1 << 24
NumClasses = Annotated[int, Within(Ge(2), Le(MAX_CLASSES))]


@dataclass(frozen=True, kw_only=True)
class _Manifest:
    """The fields of a manifest that are used."""

    class_folders: dict[str, Any]
    classes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ClassMap:
    """Class numbers by folder name.

    Attributes:
        numbers: Class number by folder name.
        names: Names of all classes by number: the folder's name (several are joined by " / "), or the number of a
            class without a folder.
        origin: Source of the numbers, for messages.
    """

    numbers: dict[str, int]
    names: tuple[str, ...]
    origin: str

    @classmethod
    def read(cls, who: str, source: str, *, num_classes: int | None = None) -> "ClassMap":
        """Read a class map.

        Args:
            who: Name of the data set, for messages.
            source: Path of a JSON object {folder: number}, of a text file with `folder number` or `folder,number` on
                each line, or of the manifest.json of a copy; or the word `imagenet`, the order of the 1,000 ILSVRC
                classes.
            num_classes: Number of classes; None takes the highest number + 1, or the number of names.

        Raises:
            InputError: If the file cannot be used, or a number is negative, fractional or too high.
        """
        path, names = place_of(source), None
        if source == IMAGENET:
            names = _imagenet_folders(who)
            pairs = ((source, folder, number) for number, folder in enumerate(names))
        elif path.name == MANIFEST:
            folders, names = _read_manifest(who, path)
            pairs = ((source, *each) for each in folders.items())
        else:
            pairs = _read_pairs(who, path)
        if names is not None and num_classes not in (None, len(names)):
            raise InputError(
                f"{who}: num_classes must be {len(names):,} with the class_map {source}, got {num_classes:,}."
            )
        numbers = _check_pairs(who, pairs, above=len(names) if names else num_classes or MAX_CLASSES)
        if not numbers:
            raise InputError(f"{who}: {path} must give at least one folder its class, got none.")
        return cls(
            numbers=numbers, names=names or _name_classes(numbers, num_classes), origin=f"the class map {source}"
        )


def _check_pairs(who: str, pairs: Iterator[tuple[str, str, object]], *, above: int) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for place, folder, number in pairs:
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < above:
            raise InputError(
                f"{who}: {place}: the class of {folder!r} must be a whole number from 0 to {above - 1:,}, "
                f"got {brief(number)}."
            )
        if numbers.setdefault(folder, number) != number:
            raise InputError(f"{who}: {place}: {folder!r} has two classes, {numbers[folder]} and {number}.")
    return numbers


def _name_classes(numbers: dict[str, int], num_classes: int | None) -> tuple[str, ...]:
    folders: dict[int, list[str]] = {}
    for folder, number in sorted(numbers.items()):
        folders.setdefault(number, []).append(folder)
    count = num_classes or max(folders) + 1
    return tuple(" / ".join(folders.get(number, [str(number)])) for number in range(count))


def _read_pairs(who: str, path: Path | Address) -> Iterator[tuple[str, str, object]]:
    """Yield place in the file, folder and number of each entry."""
    try:
        text = read_bytes(path, most=MOST_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{who}: class_map must be {IMAGENET}, a JSON file or a text file, got {str(path)!r} ({error})."
        ) from error
    if path.suffix.lower() == ".json":
        for folder, number in _json_pairs(who, path, text):
            yield str(path), folder, number
        return
    for line, written in enumerate(text.splitlines(), start=1):
        if not written.strip():
            continue
        folder, *number = (each.strip() for each in written.rsplit("," if "," in written else None, 1))
        if not number:
            raise InputError(f"{who}: {path}, line {line}: expected `folder number`, got {written.strip()!r}.")
        is_whole = re.fullmatch("[+-]?[0-9]{1,18}", number[0])
        yield f"{path}, line {line}", folder, int(number[0]) if is_whole else number[0]


class _Pairs(list):
    """The pairs of a JSON object, including repeated names."""


def _json_pairs(who: str, path: Path | Address, text: str) -> list[tuple[str, object]]:
    try:
        content = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{who}: {path} is not valid JSON ({told(error)}).") from error
    if not isinstance(content, _Pairs):
        raise InputError(f"{who}: {path} must be a JSON object of folder names and numbers.")
    return content


def _read_manifest(who: str, path: Path | Address) -> tuple[dict[str, object], tuple[str, ...]]:
    """Return the class numbers by folder, and the names of all classes."""
    try:
        content = read_record(path, _Manifest, then="make the copy again with `withstand corrupt`", file_names=True)
    except InputError as error:
        raise InputError(f"{who}: {error}") from error
    return dict(content.class_folders), content.classes


def _imagenet_folders(who: str) -> tuple[str, ...]:
    """Return the folder names of the 1,000 classes in the usual order, from timm."""
    try:
        from timm.data import ImageNetInfo  # pyright: ignore[reportPrivateImportUsage]
    except ImportError as error:
        raise InputError(
            f"{who}: class_map {IMAGENET!r} needs timm, install it with pip install 'withstand[vision]' ({error})."
        ) from error
    except RuntimeError as error:
        raise InputError(
            f"{who}: class_map {IMAGENET!r} needs timm, whose torchvision does not fit the installed torch "
            f"({error}); install the two together, e.g. pip install --force-reinstall torch torchvision."
        ) from error
    return tuple(ImageNetInfo().label_names())
