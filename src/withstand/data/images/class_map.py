"""Class maps: the class number of each folder of images."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from withstand.errors import InputError

IMAGENET = "imagenet"
MAX_CLASSES = 100_000


@dataclass(frozen=True, kw_only=True)
class ClassMap:
    """Numbers of classes by the name of their folder.

    Attributes:
        numbers: Class number by folder name.
        names: Names of all classes, in the order of their numbers: the folder's name (of several, joined by
            " / "), or the number where no folder has it.
    """

    numbers: dict[str, int]
    names: tuple[str, ...]

    @classmethod
    def read(cls, who: str, source: str, *, num_classes: int | None = None) -> "ClassMap":
        """Read a class map.

        Args:
            who: Name of the data set, for messages.
            source: Path of a JSON object {folder: number}, or of a text file with `folder number` or
                `folder,number` on each line; or the word `imagenet`, the order of the 1,000 ILSVRC classes.
            num_classes: Number of classes; None takes the highest number of the file + 1, or the 1,000 of ILSVRC.

        Raises:
            InputError: If the file cannot be used, or a number is negative, not whole or too high.
        """
        if source == IMAGENET:
            folders = _imagenet_folders(who)
            if num_classes not in (None, len(folders)):
                raise InputError(
                    f"{who}: num_classes must be {len(folders):,} with the class_map {IMAGENET}, got {num_classes:,}."
                )
            return cls(numbers={name: number for number, name in enumerate(folders)}, names=folders)
        path = Path(source).expanduser()
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{who}: class_map must be {IMAGENET}, a JSON file or a text file, got {source!r} ({error})."
            ) from error
        above = MAX_CLASSES if num_classes is None else num_classes
        is_json = path.suffix.lower() == ".json"
        numbers: dict[str, int] = {}
        for place, folder, number in _json_pairs(who, path, text) if is_json else _text_pairs(who, path, text):
            if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < above:
                raise InputError(
                    f"{who}: {place}: the class of {folder!r} must be a whole number "
                    f"from 0 to {above - 1:,}, got {number!r}."
                )
            if numbers.setdefault(folder, number) != number:
                raise InputError(f"{who}: {place}: {folder!r} has two classes, {numbers[folder]} and {number}.")
        if not numbers:
            raise InputError(f"{who}: {path} must give at least one folder its class, got none.")
        folders_of: dict[int, list[str]] = {}
        for folder, number in numbers.items():
            folders_of.setdefault(number, []).append(folder)
        count = num_classes or max(numbers.values()) + 1
        names = tuple(" / ".join(sorted(folders_of.get(number, [str(number)]))) for number in range(count))
        return cls(numbers=numbers, names=names)


def check_num_classes(who: str, num_classes: int | None) -> None:
    """Reject a number of classes that is out of range.

    Raises:
        InputError: If it is below 2 or above `MAX_CLASSES`.
    """
    if num_classes is not None and not 2 <= num_classes <= MAX_CLASSES:
        raise InputError(f"{who}: num_classes must be from 2 to {MAX_CLASSES:,}, got {num_classes:,}.")


def _json_pairs(who: str, path: Path, text: str) -> Iterator[tuple[str, str, object]]:
    try:
        content = json.loads(text, object_pairs_hook=_Pairs)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{who}: {path} is not valid JSON ({error}).") from error
    if not isinstance(content, _Pairs):
        raise InputError(f"{who}: {path} must be a JSON object of folder names and numbers.")
    for folder, number in content:
        yield str(path), folder, number


class _Pairs(list):
    """The pairs of a JSON object, repeated names included."""


def _text_pairs(who: str, path: Path, text: str) -> Iterator[tuple[str, str, object]]:
    for line, written in enumerate(text.splitlines(), start=1):
        if not written.strip():
            continue
        folder, *number = (each.strip() for each in written.rsplit("," if "," in written else None, 1))
        if not number:
            raise InputError(f"{who}: {path}, line {line}: expected `folder number`, got {written.strip()!r}.")
        is_whole = re.fullmatch("[+-]?[0-9]{1,18}", number[0])
        yield f"{path}, line {line}", folder, int(number[0]) if is_whole else number[0]


def _imagenet_folders(who: str) -> tuple[str, ...]:
    """Return the folder names of the 1,000 classes in their usual order, as timm has it."""
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
