"""Blocks: ranges of rows of a copy, written in this process or in several."""

import json
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from hashlib import sha256
from multiprocessing import get_context
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
from withstand.engine import become_worker, starting_workers
from withstand.errors import InputError, TrainingError, stop_if_asked
from withstand.files import write_whole
from withstand.functional.levels import to_levels
from withstand.functional.random import RowStreams, derive_seed
from withstand.functional.tensors import Images
from withstand.perturbations.base import Corruption
from withstand.perturbations.corruptions.suites import nearest_pixels
from withstand.study.records import read_record

SAMPLES_PER_BLOCK = 64
ORIGINALS_PER_BLOCK = 16
SAMPLES_PER_BATCH = 16
MAX_RESTARTS = 2
MOST_WAITING = 4  # images per thread that wait to be encoded

Block = tuple[int, int]  # first row, and the one after the last


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


def blocks_of(copy: CorruptedCopy, source: Source) -> list[Block]:
    """Return the blocks of a copy."""
    size = ORIGINALS_PER_BLOCK if copy.keeps_sizes else SAMPLES_PER_BLOCK
    return [(start, min(start + size, len(source))) for start in range(0, len(source), size)]


def record(folder: Path, start: int) -> Path:
    """Return the path of the record of a finished block: checksums of its files, and images left out, as JSON."""
    return folder / RECORDS / f"{start:09d}.json"


class Record(NamedTuple):
    """The content of a record: pairs of checksum and name of a file, and names of images left out."""

    sums: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...]


def is_finished(folder: Path, start: int) -> bool:
    """Return whether a block has a record; one with a damaged record is written again."""
    path = record(folder, start)
    try:
        return path.is_file() and bool(read_record(path, Record, file_names=True))
    except InputError:
        return False


def write_block(copy: CorruptedCopy, folder: Path, start: int, stop: int, device: str, num_threads: int) -> None:
    """Write rows start to stop - 1 under every corruption, then their record."""
    source = load(copy)
    arrays = {name: np.load(array_path(folder, name), mmap_mode="r+") for name in copy.arrays}
    sums: list[tuple[str, str]] = []
    waiting: deque[tuple[Future[str], str]] = deque()
    with ThreadPoolExecutor(num_threads) as pool:
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
                    waiting.append((pool.submit(save, image, folder, file, batch.stored), file))
                    if len(waiting) > MOST_WAITING * num_threads:
                        digest, file = waiting.popleft()
                        sums.append((digest.result(), file))
        sums += [(digest.result(), file) for digest, file in waiting]
    for each in arrays.values():
        each.flush()
    bad = [] if isinstance(source, TensorSplit) else sorted(source.bad)
    left_out = [cast(Any, source).files[row] for row in bad if start <= row < stop]
    write_whole(record(folder, start), json.dumps({"sums": sums, "left_out": left_out}).encode())


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


def work(
    copy: CorruptedCopy,
    folder: Path,
    blocks: list[Block],
    device: torch.device | str,
    num_workers: int,
    warn: Callable[[str], None],
) -> Generator[Block]:
    """Write blocks in this process or in workers, and yield each finished one.

    Raises:
        TrainingError: If workers are killed again and again.
    """
    if num_workers == 0 or len(blocks) < 2:
        threads = os.cpu_count() or 1
        for start, stop in blocks:
            write_block(copy, folder, start, stop, str(device), threads)
            yield start, stop
        return
    remaining = list(blocks)
    for restart in range(MAX_RESTARTS + 1):
        pool = ProcessPoolExecutor(
            min(num_workers, len(remaining)), mp_context=get_context("spawn"), initializer=_start_worker
        )
        try:
            with starting_workers():
                futures = {pool.submit(write_block, copy, folder, *each, str(device), 1): each for each in remaining}
            for future in as_completed(futures):
                future.result()
                remaining.remove(futures[future])
                yield futures[future]
            return
        except BrokenProcessPool as problem:
            if restart == MAX_RESTARTS:
                raise TrainingError(
                    "corrupt: worker processes were killed again and again; check the available memory."
                ) from problem
            warn("corrupt: a worker process was killed; its work is repeated.")
        except BaseException:
            for each in list((pool._processes or {}).values()):  # otherwise they would finish their blocks first
                each.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    torch.set_num_threads(1)
    become_worker()
