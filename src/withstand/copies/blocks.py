"""Blocks of a copy: ranges of its rows."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import UInt8
from torch import nn

from withstand.copies.encoding import encode
from withstand.copies.layout import RECORDS, CorruptedCopy, Source, array_name, array_path, file_name, load, placed
from withstand.copies.originals import Originals
from withstand.data.base import TensorSplit, to_unit
from withstand.data.sample import Sample
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError, stop_if_asked
from withstand.files import write_whole
from withstand.functional.levels import to_levels
from withstand.functional.random import RowStreams, derive_seed
from withstand.functional.tensors import Images
from withstand.perturbations.base import Corruption
from withstand.perturbations.corruptions.suites import nearest_pixels
from withstand.pools.block import Block
from withstand.study.records import read_record

SAMPLES_PER_BLOCK = 64
ORIGINALS_PER_BLOCK = 16
SAMPLES_PER_BATCH = 16
MOST_WAITING = 4  # images per thread that wait to be encoded


class Batch(NamedTuple):
    """Images that are corrupted together.

    Attributes:
        sample: The images.
        rows: Their rows in the source.
        stored: Options of `encode` for how the files were stored.
    """

    sample: Sample
    rows: list[int]
    stored: dict[str, Any]


@dataclass(frozen=True)
class CopyBlock(Block):
    """Rows of a copy under every corruption.

    Attributes:
        copy: The copy.
        folder: Where it is written.
        start: First row.
        stop: The row after the last.
    """

    copy: CorruptedCopy
    folder: Path
    start: int
    stop: int

    def do(self, engine: Engine) -> None:
        """Write the rows, then their record."""
        (self.folder / RECORDS).mkdir(parents=True, exist_ok=True)
        write_rows(self.copy, self.folder, self.start, self.stop, str(engine.device), torch.get_num_threads())

    @property
    def marker(self) -> Path:
        """The record."""
        return record(self.folder, self.start)

    def is_done(self) -> bool:
        """Return whether there is a record; a block with a damaged record is written again."""
        try:
            return self.marker.is_file() and bool(read_record(self.marker, Record, file_names=True))
        except InputError:
            return False


def blocks_of(copy: CorruptedCopy, folder: Path, source: Source) -> list[CopyBlock]:
    """Return the blocks of a copy."""
    size = ORIGINALS_PER_BLOCK if copy.keeps_sizes else SAMPLES_PER_BLOCK
    starts = range(0, len(source), size)
    return [CopyBlock(copy, folder, start, min(start + size, len(source))) for start in starts]


def record(folder: Path, start: int) -> Path:
    """Return the path of the record of a finished block: checksums of its files, and images left out, as JSON."""
    return folder / RECORDS / f"{start:09d}.json"


class Record(NamedTuple):
    """The content of a record: pairs of checksum and name of a file, and names of images left out."""

    sums: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...]


def write_rows(copy: CorruptedCopy, folder: Path, start: int, stop: int, device: str, num_threads: int) -> None:
    """Write rows start to stop - 1 under every corruption, then their record."""
    source = load(copy)
    arrays = {name: np.load(array_path(folder, name), mmap_mode="r+") for name in copy.arrays}
    sums: list[tuple[str, str]] = []
    waiting: deque[tuple[Future[str], str]] = deque()
    with ThreadPoolExecutor(num_threads) if num_threads > 1 else nullcontext() as pool:
        submit = pool.submit if pool else finished
        for batch in batches(source, start, stop, device):
            labels = batch.sample.y.tolist()
            names = [file_name(copy, source, *each) for each in zip(batch.rows, labels, strict=True)]
            for corruption, images in corrupted(copy, batch.sample):
                levels = to_levels(images).permute(0, 2, 3, 1).cpu().numpy()
                if arrays:
                    first = (corruption.severity - 1) * len(source)
                    arrays[array_name(corruption)][first + np.asarray(batch.rows)] = levels
                    continue
                for image, name in zip(levels, names, strict=True):
                    file = f"{corruption.condition}/{name}"
                    waiting.append((submit(save, image, folder, file, batch.stored), file))
                    if len(waiting) > MOST_WAITING * num_threads:
                        digest, file = waiting.popleft()
                        sums.append((digest.result(), file))
        sums += [(digest.result(), file) for digest, file in waiting]
    for each in arrays.values():
        each.flush()
    bad = [] if isinstance(source, TensorSplit) else sorted(source.bad)
    left_out = [cast(Any, source).files[row] for row in bad if start <= row < stop]
    write_whole(record(folder, start), json.dumps({"sums": sums, "left_out": left_out}).encode())


def finished(function: Callable[..., str], *arguments: Any) -> Future[str]:
    """Call a function, and return its result as a future: with one thread, nothing is done in another."""
    future = Future[str]()
    future.set_result(function(*arguments))
    return future


def batches(source: Source, start: int, stop: int, device: str) -> Iterator[Batch]:
    """Yield the readable images of some rows: one by one if they keep their sizes."""
    if isinstance(source, Originals):
        for row in range(start, stop):
            stop_if_asked()
            found = source.read(row)
            if found is not None:
                x, index = to_unit(found.levels[None].to(device)), torch.tensor([row], device=device)
                stored = {"tag": found.tag, "is_turned": found.is_turned}
                yield Batch(Sample(x, source.y[row : row + 1].to(device), index), [row], stored)
        return
    numbers = torch.arange(len(source)) if source.numbers is None else source.numbers
    row_of = {number: row for row, number in enumerate(numbers[start:stop].tolist(), start)}
    for sample in source.batches(torch.arange(start, stop).split(SAMPLES_PER_BATCH), device=device):
        stop_if_asked()
        if len(sample.number):  # else all files are unreadable
            yield Batch(sample, [row_of[number] for number in sample.number.tolist()], {})


def corrupted(copy: CorruptedCopy, sample: Sample) -> Iterator[tuple[Corruption, Images]]:
    """Yield every corruption with the corrupted images of a batch."""
    x, y, index, _ = sample
    model, space = nn.Identity(), Space(shape=tuple(x.shape[1:]), box=(0.0, 1.0))
    for corruption in copy.corruptions:
        fitted = corruption
        if copy.keeps_sizes and corruption.pixels is None:
            fitted = replace(cast(Any, corruption), pixels=nearest_pixels(*x.shape[2:], among=corruption.tables))
        rng = RowStreams(derive_seed(copy.seed, corruption.noise), index, device=x.device)
        yield corruption, fitted.draw(x, y, model, space=space, num_draws=1, rng=rng).inputs[0]


def save(levels: UInt8[np.ndarray, "height width channel"], folder: Path, file: str, stored: dict[str, Any]) -> str:
    """Write an image file of a copy atomically and return its checksum."""
    content = encode(levels, PurePosixPath(file).suffix.lower(), **stored)
    with placed(folder, folder / file) as temporary:  # not synced: a copy has millions of files
        temporary.write_bytes(content)
    return sha256(content).hexdigest()
