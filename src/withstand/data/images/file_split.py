"""FileSplit: image files, decoded batch by batch."""

import logging
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Generator, Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as LoaderDataset

from withstand.data.base import Split, to_unit
from withstand.data.images.image_file import explain, read_image
from withstand.data.sample import Sample
from withstand.errors import InputError
from withstand.functional.random import row_streams

OnBadImage = Literal["error", "skip"]
MAX_RESTARTS = 2

log = logging.getLogger("withstand")


class Decoded(NamedTuple):
    """A batch decoded by a worker.

    Attributes:
        x: The images that could be read.
        rows: Their numbers in the split.
        problems: Number in the split and reason, for the others.
    """

    x: UInt8[Tensor, "image 3 pixels pixels"]
    rows: list[int]
    problems: list[tuple[int, str]]


class FileSplit(Split):
    """Image files, decoded batch by batch, in this process or in others.

    Attributes:
        bad: Why files could not be read, by their number in the split: those met so far.
    """

    def __init__(
        self,
        who: str,
        *,
        folder: Path,
        files: list[str],
        y: Tensor,
        classes: tuple[str, ...],
        pixels: int,
        resize: int | None,
        on_bad_image: OnBadImage = "error",
        numbers: Tensor | None = None,
    ) -> None:
        """Keep the locations of the files.

        Args:
            who: Name of the data set, for messages.
            folder: Base of the relative paths.
            files: One path per sample.
            y: One label per sample.
            classes: Names of the classes.
            pixels: Width and height of the inputs.
            resize: Length of the shorter side before the centre is cut out; None does not resize.
            on_bad_image: `error` stops at a file that cannot be read; `skip` leaves it out of its batch,
                counts it and warns once.
            numbers: Number of each sample in the list it came from, if these are only some of it.
        """
        self.who, self.folder, self.files, self.y, self.classes = who, folder, files, y, classes
        self.pixels, self.resize = pixels, resize
        self.on_bad_image: OnBadImage = on_bad_image
        places = torch.arange(len(files))
        self.numbers: Tensor = places if numbers is None else numbers  # pyright: ignore[reportIncompatibleVariableOverride]
        self.shape, self.box = (3, pixels, pixels), (0.0, 1.0)
        self.bad: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.files)

    def identifiers(self) -> Mapping[int, str]:
        """Return the paths, relative to the folder."""
        return dict(zip(self.numbers.tolist(), self.files, strict=True))

    @property
    def num_bad(self) -> int:
        """Number of files so far that could not be read."""
        return len(self.bad)

    def select(self, rows: Tensor) -> "FileSplit":
        """Return the split with only these rows."""
        return FileSplit(
            self.who,
            folder=self.folder,
            files=[self.files[row] for row in rows.tolist()],
            y=self.y[rows],
            classes=self.classes,
            pixels=self.pixels,
            resize=self.resize,
            on_bad_image=self.on_bad_image,
            numbers=self.numbers[rows],
        )

    def batches(
        self,
        plan: Iterable[Tensor],
        *,
        device: torch.device | str = "cpu",
        num_workers: int = 0,
        augmentation_seed: int | None = None,
    ) -> Iterator[Sample]:
        """Decode the files; a batch without any readable file is empty.

        Raises:
            InputError: If a file cannot be read and `on_bad_image` is `error`.
        """
        device = torch.device(device)
        images = _Images(self, augmentation_seed)
        for x, rows, problems in _decode(images, plan, num_workers, pin_memory=device.type == "cuda"):
            for row, reason in problems:
                self._report(row, reason)
            found = torch.tensor(rows, dtype=torch.int64)
            x = x if rows else torch.empty(0, *self.shape, dtype=torch.uint8)
            x, y, numbers = (each.to(device, non_blocking=True) for each in (x, self.y[found], self.numbers[found]))
            yield Sample(to_unit(x), y, numbers)

    def _report(self, row: int, reason: str) -> None:
        sentence = f"{self.who}: {self.folder / self.files[row]} cannot be read as an image ({reason})"
        if self.on_bad_image == "error":
            raise InputError(f"{sentence}.")
        if row not in self.bad:
            self.bad[row] = reason
            log.warning("%s; it is left out.", sentence)


def check_images(who: str, *, pixels: int, resize: int | None, on_bad_image: str) -> None:
    """Reject settings with which no image can be read.

    Raises:
        InputError: If a size is not positive, `resize` is below `pixels`, or `on_bad_image` is unknown.
    """
    if pixels < 1:
        raise InputError(f"{who}: pixels must be at least 1, got {pixels}.")
    if resize is not None and resize < pixels:
        raise InputError(f"{who}: resize must be at least pixels ({pixels}), got {resize}.")
    if on_bad_image not in get_args(OnBadImage):
        raise InputError(f"{who}: on_bad_image must be {' or '.join(get_args(OnBadImage))}, got {on_bad_image!r}.")


class _Images(LoaderDataset[Decoded]):
    """Reads the files of a batch in a worker."""

    def __init__(self, split: FileSplit, augmentation_seed: int | None) -> None:
        self.split, self.augmentation_seed = split, augmentation_seed

    def __getitem__(self, rows: list[int]) -> Decoded:
        split, read, problems = self.split, [], []
        for row, generator in zip(rows, self._generators(rows), strict=True):
            path = split.folder / split.files[row]
            try:
                image = read_image(path, pixels=split.pixels, resize=split.resize, generator=generator)
            except Exception as error:  # decoders raise anything; the main process says it in one sentence
                problems.append((row, explain(path, error)))
            else:
                read.append((row, image))
        x = np.empty((len(read), *split.shape), dtype=np.uint8)
        for slot, (_, image) in zip(x, read, strict=True):
            slot[...] = image
        return Decoded(torch.from_numpy(x), [row for row, _ in read], problems)

    def _generators(self, rows: list[int]) -> list[Generator] | list[None]:
        if self.augmentation_seed is None:
            return [None] * len(rows)
        index = self.split.numbers[rows]
        return row_streams(self.augmentation_seed, "data/random crop", index=index).generators


def _as_it_is(decoded: Any) -> Any:
    return decoded


def _decode(images: _Images, plan: Iterable[Tensor], num_workers: int, *, pin_memory: bool) -> Iterator[Decoded]:
    """Yield the batches of a plan in order; work of a killed worker is repeated."""
    remaining, under_way = iter(plan), deque[Tensor]()

    def hand_out() -> Iterator[list[int]]:
        for rows in tuple(under_way):  # after a restart
            yield rows.tolist()
        for rows in remaining:
            under_way.append(rows)
            yield rows.tolist()

    for restarts in range(MAX_RESTARTS + 1):
        loader = DataLoader(
            images,
            batch_size=None,
            sampler=hand_out(),
            collate_fn=_as_it_is,
            num_workers=num_workers,
            pin_memory=pin_memory,
            generator=Generator(),  # else the loader would draw a seed from the global generator
        )
        try:
            for decoded in loader:
                under_way.popleft()
                yield decoded
            return
        except RuntimeError as error:
            if not re.match(r"DataLoader worker \(pid", str(error)) or restarts == MAX_RESTARTS:
                raise
            log.warning("%s: %s The batch is read again.", images.split.who, error)
