"""WebDataset: your own images in tar shards."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from withstand.data.base import Dataset, Part, check_part, cut
from withstand.data.images.class_map import IMAGENET, MAX_CLASSES, ClassMap, NumClasses
from withstand.data.images.decoding import Alpha, Decoding, Depth, Orientation
from withstand.data.images.file_split import FileSplit, OnBadImage
from withstand.data.images.files_below import as_text
from withstand.data.shards.shard_index import Label, ShardIndex
from withstand.data.shards.shards import Shards, find_shards
from withstand.errors import InputError, brief
from withstand.limits import PositiveInt, Share
from withstand.reading.listings import check_below
from withstand.reading.places import place_of, read_bytes

WHO = "WebDataset"
THREADS = 16  # that make indices of shards in object stores
MOST_BYTES = 1 << 24  # of a file with names


class _Image(NamedTuple):
    label: Label
    shard: int
    name: str
    start: int
    size: int
    in_folder: bool


class _Listing(NamedTuple):
    """The images of some shards, with the number of other members."""

    pattern: str
    shards: tuple
    images: list[_Image]
    num_others: int


class _Classes(NamedTuple):
    """Names of the classes by number, and numbers by label."""

    names: tuple[str, ...]
    numbers: dict[Label, int]


@dataclass(frozen=True, kw_only=True)
class WebDataset(Dataset):
    """Images in tar shards in the layout of WebDataset, read in place; values and order are those of a folder.

    The class of `KEY.jpg` is the number or word in the member `KEY.cls`, or else in `KEY.json`, or else the first
    folder in its name. Numbers are the numbers of the classes; words are numbered in the order of `classes`, or else in
    their own order in the training part, or in the test part if there is no other. The samples are ordered like those
    of a folder with the files `<class>/<name of the member>`.

    Attributes:
        path: Shards of the test part: a tar file, a folder of tar files, or a path with ranges of numbers, such as
            `val-{000000..000009}.tar`; local, or in an object store.
        train: Shards of the training part; None if there is a test part only.
        validation: Shards of the validation part; None splits it off from the training part.
        validation_share: Share of the training part to split off for validation, at least 0 and below 1.
        classes: Names of the classes by number; or a text file with a name per line; or `imagenet`, the folder names of
            the 1,000 classes in the usual order. None takes the words, or the numbers.
        num_classes: Number of classes, at least 2; None takes it from the names, or the highest number + 1.
        label: Key of the class in JSON members.
        pixels: Width and height of the inputs.
        resize: Length in pixels of the shorter side before the centre crop, at least `pixels`; None does not resize.
        orientation: `apply` turns images upright as their EXIF orientation tag says; `ignore` reads them as stored.
        depth: Most bits per channel; of 16-bit images, 16 reads the upper 8 bits, and 8 rejects them.
        alpha: Background of transparent pixels.
        on_bad_image: `error` stops at an image that is damaged; `skip` leaves it out.

    Source:
        Aizman, Maltby, Breuel 2020, arXiv 2001.01858.
    """

    path: str
    train: str | None = None
    validation: str | None = None
    validation_share: Share = 0.1
    classes: tuple[str, ...] | str | None = None
    num_classes: NumClasses | None = None
    label: str = "label"
    pixels: PositiveInt = 224
    resize: PositiveInt | None = 256
    orientation: Orientation = "apply"
    depth: Depth = 8
    alpha: Alpha = "white"
    on_bad_image: OnBadImage = "error"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resize is not None and self.resize < self.pixels:
            raise InputError(f"{WHO}: resize must be at least pixels ({self.pixels}), got {self.resize}.")

    def load(self, part: Part) -> FileSplit:
        """Read the headers of the shards; images are read and decoded when fetched."""
        check_part(WHO, part)
        pattern = {"train": self.train, "validation": self.validation or self.train, "test": self.path}[part]
        if pattern is None:
            raise InputError(f"{WHO}: {self.path} can only serve as test part; name other shards with --data.train.")
        listing = self._list(pattern)
        names = self._names()
        ranked = listing
        if names is None and self.train not in (None, pattern):
            ranked = self._list(self.train)
        classes = self._classes(ranked, names)
        split, ranks = self._split(listing, classes)
        if part == "test" or self.validation is not None:
            return split
        return split.select(cut(ranks, validation=self.validation_share)[part])

    def _list(self, pattern: str) -> _Listing:
        shards = find_shards(WHO, pattern)
        with ThreadPoolExecutor(1 if isinstance(shards[0], Path) else THREADS, "shards") as pool:
            indices = list(pool.map(lambda each: ShardIndex.of(WHO, each, key=self.label), shards))
        images: list[_Image] = []
        for number, index in enumerate(indices):
            for name, start, size, label in index.images:
                folder, slash, _ = name.partition("/")
                if label is None and not slash:
                    raise InputError(
                        f"{WHO}: {shards[number]}: the class of {brief(as_text(name))} must be in a member of the same "
                        f"name with .cls or .json (key {self.label!r}), or in a folder, found none."
                    )
                own = folder if label is None else label
                images.append(_Image(own, number, name, start, size, label is None))
        if not images:
            raise InputError(f"{WHO}: expected images in {pattern}, found none.")
        return _Listing(pattern, shards, images, sum(each.num_others for each in indices))

    def _names(self) -> tuple[str, ...] | None:
        """Return the given names of the classes."""
        if self.classes is None:
            return None
        if self.classes == IMAGENET:
            found = ClassMap.read(WHO, IMAGENET).names
        elif isinstance(self.classes, str):
            try:
                text = read_bytes(place_of(self.classes), most=MOST_BYTES).decode("utf-8-sig")
            except (OSError, UnicodeDecodeError) as problem:
                raise InputError(
                    f"{WHO}: classes must be names, {IMAGENET} or a text file, got {brief(self.classes)} ({problem})."
                ) from problem
            found = tuple(each.strip() for each in text.splitlines() if each.strip())
        else:
            found = self.classes
        if len(found) < 2 or len(set(found)) < len(found):
            raise InputError(f"{WHO}: classes must be at least two names, all different, got {brief(found)}.")
        if self.num_classes not in (None, len(found)):
            raise InputError(f"{WHO}: num_classes must be {len(found):,}, the names, got {self.num_classes:,}.")
        return found

    def _classes(self, ranked: _Listing, names: tuple[str, ...] | None) -> _Classes:
        labels = {each.label for each in ranked.images}
        numbers = [each for each in labels if isinstance(each, int)]
        if numbers and len(numbers) < len(labels):
            word = next(each for each in labels if isinstance(each, str))
            raise InputError(
                f"{WHO}: {ranked.pattern} must hold classes of one kind, got the number {numbers[0]} and the word "
                f"{brief(word)}."
            )
        if numbers:
            count = len(names) if names else self.num_classes or min(max(numbers) + 1, MAX_CLASSES)
            names = names or tuple(map(str, range(count)))
            found = _Classes(names, {number: number for number in range(count)})
        else:
            words = names or tuple(sorted(each for each in labels if isinstance(each, str)))
            found = _Classes(tuple(map(as_text, words)), {word: number for number, word in enumerate(words)})
        if len(found.names) < 2 or self.num_classes not in (None, len(found.names)):
            expected = f"{self.num_classes:,}" if self.num_classes else "at least two"
            raise InputError(f"{WHO}: expected {expected} classes in {ranked.pattern}, got {len(found.names):,}.")
        return found

    def _split(self, listing: _Listing, classes: _Classes) -> tuple[FileSplit, torch.Tensor]:
        """Return the split, and the rank of the folder of each image."""
        found: dict[str, _Image] = {}
        for image in listing.images:
            if image.label not in classes.numbers:
                known = ", ".join(classes.names[:8]) + ", ..." * (len(classes.names) > 8)
                raise InputError(
                    f"{WHO}: {listing.shards[image.shard]}: the class {brief(image.label)} of {brief(image.name)} is "
                    f"not one of {len(classes.names):,} ({brief(known)})."
                )
            file = image.name if image.in_folder else f"{_folder(image.label, classes)}/{image.name}"
            check_below(f"{WHO}: {listing.shards[image.shard]}", file)
            if file in found:
                both = f"{listing.shards[found[file].shard]} and {listing.shards[image.shard]}"
                raise InputError(f"{WHO}: names must differ between shards, got {brief(file)} in {both}.")
            found[file] = image
        files = sorted(found, key=lambda each: each.partition("/")[::2])
        folders = [each.partition("/")[0] for each in files]
        rank = {folder: number for number, folder in enumerate(sorted(set(folders)))}
        split = FileSplit(
            WHO,
            folder=Shards(
                pattern=listing.pattern,
                shards=listing.shards,
                members={file: (each.shard, each.name, each.start, each.size) for file, each in found.items()},
            ),
            files=files,
            y=torch.tensor([classes.numbers[found[file].label] for file in files]),
            classes=classes.names,
            pixels=self.pixels,
            resize=self.resize,
            decoding=Decoding(orientation=self.orientation, depth=self.depth, alpha=self.alpha),
            on_bad_image=self.on_bad_image,
            notes=_notes(listing),
        )
        return split, torch.tensor([rank[each] for each in folders])


def _folder(label: Label, classes: _Classes) -> str:
    """Return the folder that images of a class have in a copy."""
    name = classes.names[label] if isinstance(label, int) else label
    return name.replace("/", "_")


def _notes(listing: _Listing) -> tuple[str, ...]:
    count = listing.num_others
    what = "files without a known image extension"
    return (f"{WHO}: left out in {as_text(listing.pattern)}: {count:,} {what}.",) if count else ()
