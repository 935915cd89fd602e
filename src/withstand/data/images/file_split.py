"""FileSplit: image files decoded batch by batch."""

import logging
import re
import signal
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Generator, Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as LoaderDataset

from withstand.data.base import Plan, Split, to_unit
from withstand.data.checks import as_plan, as_rows
from withstand.data.images.decoding import NOTES, Decoding
from withstand.data.images.files_below import as_text
from withstand.data.images.image_file import AS_STORED, ImagePath, explain, read_image
from withstand.data.sample import Sample
from withstand.errors import InputError, TrainingError
from withstand.functional.random import row_streams
from withstand.functional.tensors import Device
from withstand.pools.processes import become_worker, starting_workers

OnBadImage = Literal["error", "skip"]
MAX_RESTARTS = 2

log = logging.getLogger("withstand")


class Decoded(NamedTuple):
    """A batch decoded by a worker.

    Attributes:
        x: The readable images.
        rows: Their rows in the split.
        problems: Row and reason of each unreadable image.
        notes: Row and key in `decoding.NOTES` of anything to report.
        failure: Why no file can be read at all, such as a lost connection; None if all is well.
    """

    x: UInt8[Tensor, "image 3 pixels pixels"]
    rows: list[int]
    problems: list[tuple[int, str]]
    notes: list[tuple[int, str]]
    failure: str | None = None


class Folder(Protocol):
    """A place of image files: a folder, an address, or shards."""

    def __truediv__(self, file: str, /) -> ImagePath:
        """Return a file by its path below."""
        ...


class FileSplit(Split):
    """Image files decoded batch by batch, in this process or in workers.

    Attributes:
        bad: Reason by row of each unreadable file found so far.
    """

    def __init__(
        self,
        who: str,
        *,
        folder: Folder,
        files: list[str],
        y: Tensor,
        classes: tuple[str, ...],
        pixels: int,
        resize: int | None,
        decoding: Decoding = AS_STORED,
        on_bad_image: OnBadImage = "error",
        notes: tuple[str, ...] = (),
    ) -> None:
        """Keep the locations of the files.

        Args:
            who: Name of the data set, for messages.
            folder: Base of the relative paths.
            files: One path per sample.
            y: One label per sample.
            classes: Names of the classes.
            pixels: Width and height of the inputs.
            resize: Length of the shorter side before the centre crop; None does not resize.
            decoding: How pixels become RGB.
            on_bad_image: `error` stops at an unreadable file; `skip` leaves it out of its batch and warns once.
            notes: Sentences on files that are left out.
        """
        self.who, self.folder, self.files, self.y, self.classes = who, folder, files, y, classes
        self.pixels, self.resize, self.decoding = pixels, resize, decoding
        self.on_bad_image: OnBadImage = on_bad_image
        self.notes, self._listed = notes, notes
        self.numbers: Tensor = torch.arange(len(files))  # pyright: ignore[reportIncompatibleVariableOverride]
        self.shape, self.box = (3, pixels, pixels), (0.0, 1.0)
        self.bad: dict[int, str] = {}
        self._noted: dict[str, set[int]] = defaultdict(set)  # rows by key

    def __len__(self) -> int:
        return len(self.files)

    def identifiers(self) -> Mapping[int, str]:
        """Return the paths, relative to the folder."""
        return dict(zip(self.numbers.tolist(), map(as_text, self.files), strict=True))

    def select(self, rows: Tensor | Sequence[int]) -> "FileSplit":
        """Return the split with only these rows, such as `range(100)`."""
        rows = as_rows(rows, len(self))
        part = copy(self)
        part.files, part.y = [self.files[row] for row in rows.tolist()], self.y[rows]
        part.numbers, part.bad, part._noted = self.numbers[rows], {}, defaultdict(set)
        part.notes = self._listed
        return part

    def batches(
        self, plan: Plan, *, device: Device = "cpu", num_workers: int = 0, augmentation_seed: int | None = None
    ) -> Iterator[Sample]:
        """Decode the files; a batch without readable files is empty.

        Raises:
            InputError: If a file is unreadable and `on_bad_image` is `error`.
        """
        device = torch.device(device)
        images, before = _Images(self, augmentation_seed), {key: len(rows) for key, rows in self._noted.items()}
        try:
            for x, rows, problems, notes, failure in _decode(
                images, as_plan(plan, len(self)), num_workers, pin_memory=device.type == "cuda"
            ):
                if failure is not None:  # raised here, since a loader adds a traceback to what its workers raise
                    raise InputError(failure)
                for row, key in notes:
                    self._noted[key].add(row)
                for row, reason in problems:
                    self._report(row, reason)
                found = torch.tensor(rows, dtype=torch.int64)
                x = x if rows else torch.empty(0, *self.shape, dtype=torch.uint8)
                x, y, numbers = (each.to(device, non_blocking=True) for each in (x, self.y[found], self.numbers[found]))
                yield Sample(to_unit(x), y, numbers)
        finally:  # also when the caller takes no more batches
            for key, rows in self._noted.items():
                if len(rows) > before.get(key, 0):
                    log.warning("%s: %s.", self.who, NOTES[key].format(f"{len(rows):,} of {len(self):,} images"))

    def _report(self, row: int, reason: str) -> None:
        sentence = f"{self.who}: {self.folder / self.files[row]} cannot be read as an image ({reason})"
        if self.on_bad_image == "error":
            raise InputError(f"{sentence}.")
        if row not in self.bad:
            self.bad[row] = reason
            unread = f"{self.who}: left out: {len(self.bad):,} of {len(self):,} images, which cannot be read."
            self.notes = (*self._listed, unread)
            log.warning("%s; it is left out.", sentence)


class _Images(LoaderDataset[Decoded]):
    """Reads the files of a batch in a worker."""

    def __init__(self, split: FileSplit, augmentation_seed: int | None) -> None:
        self.split, self.augmentation_seed = split, augmentation_seed

    def __getitem__(self, rows: list[int]) -> Decoded:
        try:
            return self._decoded(rows)
        except InputError as error:
            return Decoded(torch.empty(0, *self.split.shape, dtype=torch.uint8), [], [], [], str(error))

    def _decoded(self, rows: list[int]) -> Decoded:
        split, read, problems, notes = self.split, [], [], []
        for row, generator in zip(rows, self._generators(rows), strict=True):
            path = split.folder / split.files[row]
            options = {"pixels": split.pixels, "resize": split.resize, "decoding": split.decoding}
            try:
                image = read_image(
                    path, **options, generator=generator, note=lambda key, row=row: notes.append((row, key))
                )
            except InputError:  # no file can be read
                raise
            except Exception as error:  # decoders raise any exception
                problems.append((row, explain(path, error)))
            else:
                read.append((row, image))
        x = np.empty((len(read), *split.shape), dtype=np.uint8)
        for slot, (_, image) in zip(x, read, strict=True):
            slot[...] = image
        return Decoded(torch.from_numpy(x), [row for row, _ in read], problems, notes)

    def _generators(self, rows: list[int]) -> list[Generator] | list[None]:
        if self.augmentation_seed is None:
            return [None] * len(rows)
        index = self.split.numbers[rows]
        return row_streams(self.augmentation_seed, "data/random crop", index=index).generators


def _without_handler(loader: DataLoader) -> Iterator[Any]:
    """Return the iterator of a loader, without PyTorch's handler of the signal that a worker has ended.

    The handler raises wherever the main thread is, and so outside of the loader, too. Without it, the loader notices a
    dead worker when it has waited for it, after at most 5 s.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGCHLD) if is_main else None
    with starting_workers():
        found = iter(loader)
    if before is not None:
        signal.signal(signal.SIGCHLD, before)
    return found


def _become_worker(_number: int) -> None:
    become_worker()


def _decode(images: _Images, plan: Iterable[Tensor], num_workers: int, *, pin_memory: bool) -> Iterator[Decoded]:
    """Yield the batches of a plan in order; if a worker is killed, its batches are decoded again."""
    remaining, pending = iter(plan), deque[Tensor]()

    def next_rows() -> Iterator[list[int]]:
        for rows in tuple(pending):  # after a restart
            yield rows.tolist()
        for rows in remaining:
            pending.append(rows)
            yield rows.tolist()

    for restarts in range(MAX_RESTARTS + 1):
        loader = DataLoader(
            images,
            batch_size=None,
            sampler=next_rows(),
            num_workers=num_workers,
            pin_memory=pin_memory,
            generator=Generator(),  # else the loader draws a seed from the global generator
            worker_init_fn=_become_worker,
        )
        try:
            for decoded in _without_handler(loader):
                pending.popleft()
                yield decoded
            return
        except RuntimeError as error:
            if not re.match(r"DataLoader worker \(pid", str(error)):
                raise
            if restarts == MAX_RESTARTS:
                raise TrainingError(
                    f"{images.split.who}: worker processes were killed again and again; check the available memory and "
                    "shared memory (/dev/shm), or read without workers (-j 0)."
                ) from error
            log.warning("%s: %s The batch is read again.", images.split.who, error)
