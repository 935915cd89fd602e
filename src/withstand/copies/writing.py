"""Write a corrupted copy of a data set in the layout of ImageNet-C or CIFAR-10-C."""

import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from hashlib import file_digest, sha256
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import nn

from withstand.configuration import canonical, identity, to_plain
from withstand.copies.layout import (
    RECORDS,
    CorruptedCopy,
    array_name,
    array_path,
    class_folders,
    file_name,
    load,
    make_arrays,
)
from withstand.data.base import TensorSplit
from withstand.data.images.class_map import MANIFEST
from withstand.data.images.file_split import FileSplit
from withstand.errors import InputError, TrainingError
from withstand.files import write_whole
from withstand.functional.levels import to_levels
from withstand.functional.random import RowStreams, derive_seed

SUMS, BEGUN = "SHA256SUMS", "configuration.json"
QUALITY = 85
SAMPLES_PER_BLOCK = 64
SAMPLES_PER_BATCH = 16
MAX_RESTARTS = 2


def write_copy(
    copy: CorruptedCopy,
    folder: Path,
    *,
    device: torch.device | str = "cpu",
    num_workers: int = 0,
    tell: Callable[[int], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the copy, or resume an interrupted one, and return its manifest.

    Args:
        copy: The copy.
        folder: Target; new, empty, or begun by the same copy.
        device: Device of the corruptions.
        num_workers: Worker processes, one thread each; 0 works in this process.
        tell: Callback with the number of finished samples.
        warn: Callback with warnings, such as a killed worker whose work is repeated.

    Raises:
        InputError: If the folder holds something else, or the data cannot be written in this format.
    """
    done = _manifest(copy, folder)
    if done is not None:
        return done
    split = load(copy)
    _check(copy, split)
    records = folder / RECORDS
    records.mkdir(parents=True, exist_ok=True)
    write_whole(records / BEGUN, canonical(copy).encode())
    if copy.format == "npy":
        make_arrays(copy, folder, split)
    blocks = [(start, min(start + SAMPLES_PER_BLOCK, len(split))) for start in range(0, len(split), SAMPLES_PER_BLOCK)]
    missing = [each for each in blocks if not _record(folder, each[0]).exists()]
    finished = len(split) - sum(stop - start for start, stop in missing)
    tell(finished)
    for start, stop in _work(copy, folder, missing, device, num_workers, warn):
        finished += stop - start
        tell(finished)
    return _finish(copy, folder, split, blocks)


def write_block(copy: CorruptedCopy, folder: Path, start: int, stop: int, device: str, num_threads: int) -> None:
    """Write rows start to stop - 1 under every corruption, then their record."""
    split, model = load(copy), nn.Identity()
    row_of = {number: row for row, number in enumerate(split.numbers[start:stop].tolist(), start)}
    arrays = {name: np.load(array_path(folder, name), mmap_mode="r+") for name in copy.arrays}
    lines: list[str] = []
    with ThreadPoolExecutor(num_threads) as pool:
        for x, y, index, _ in split.batches(torch.arange(start, stop).split(SAMPLES_PER_BATCH), device=device):
            if not len(index):  # all files are unreadable
                continue
            rows = [row_of[number] for number in index.tolist()]
            names = [file_name(copy, split, *each) for each in zip(rows, y.tolist(), strict=True)]
            for corruption in copy.corruptions:
                rng = RowStreams(derive_seed(copy.seed, corruption.noise), index, device=device)
                images = corruption.draw(x, y, model, space=split.space, num_draws=1, rng=rng).inputs[0]
                levels = to_levels(images).permute(0, 2, 3, 1).cpu().numpy()
                if arrays:
                    first = (corruption.severity - 1) * len(split)
                    arrays[array_name(corruption)][first + np.asarray(rows)] = levels
                    continue
                files = [f"{corruption.condition}/{name}" for name in names]
                digests = pool.map(_save, levels, [folder / file for file in files], [copy.format] * len(files))
                lines += [f"{digest}  {file}\n" for digest, file in zip(digests, files, strict=True)]
    for each in arrays.values():
        each.flush()
    if isinstance(split, FileSplit):
        lines += [f"# left out: {split.files[row]}\n" for row in sorted(split.bad) if start <= row < stop]
    write_whole(_record(folder, start), "".join(lines).encode())


def _work(
    copy: CorruptedCopy,
    folder: Path,
    blocks: list[tuple[int, int]],
    device: torch.device | str,
    num_workers: int,
    warn: Callable[[str], None],
) -> Iterator[tuple[int, int]]:
    """Write blocks in this process or in workers, and yield each finished one."""
    if num_workers == 0 or len(blocks) < 2:
        threads = os.cpu_count() or 1
        for start, stop in blocks:
            write_block(copy, folder, start, stop, str(device), threads)
            yield start, stop
        return
    remaining = list(blocks)
    for restart in range(MAX_RESTARTS + 1):
        pool = ProcessPoolExecutor(
            min(num_workers, len(remaining)),
            mp_context=get_context("spawn"),
            initializer=torch.set_num_threads,
            initargs=(1,),
        )
        try:
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
        finally:
            pool.shutdown(cancel_futures=True)


def _save(levels: UInt8[np.ndarray, "height width channel"], path: Path, format: str) -> str:
    """Write an image file atomically and return its checksum."""
    image, buffer = Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels), io.BytesIO()
    if format == "jpeg":
        image.save(buffer, "JPEG", quality=QUALITY, subsampling="4:2:0", optimize=True)
    else:
        image.save(buffer, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")  # not synced: a copy has millions of files
    temporary.write_bytes(buffer.getvalue())
    temporary.replace(path)
    return sha256(buffer.getvalue()).hexdigest()


def _check(copy: CorruptedCopy, split: FileSplit | TensorSplit) -> None:
    if len(split.shape) != 3:
        raise InputError(f"corrupt: expected images, got inputs of shape {split.shape}.")
    if len(split) == 0:
        raise InputError("corrupt: expected images, got none.")
    if not isinstance(split, FileSplit):
        return
    if copy.format == "npy" and split.on_bad_image == "skip":
        raise InputError("corrupt: arrays need every image; leave --on-bad-image skip out, or write jpeg or png.")
    seen: dict[str, str] = {}
    for name in split.files if copy.format != "npy" else ():
        first = seen.setdefault(str(PurePosixPath(name).with_suffix("")), name)
        if first != name:
            raise InputError(f"corrupt: {first} and {name} would become one file; rename one of them.")


def _manifest(copy: CorruptedCopy, folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a complete copy; reject a folder that holds anything else."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"corrupt: expected a folder, found a file at {folder}.")
    if (folder / MANIFEST).is_file():
        manifest = json.loads((folder / MANIFEST).read_text())
        if canonical(manifest.get("configuration")) != canonical(copy):
            raise InputError(f"corrupt: {folder} holds a copy made with other options; name another folder.")
        return manifest
    begun = folder / RECORDS / BEGUN
    if begun.is_file():
        if begun.read_text() != canonical(copy):
            raise InputError(f"corrupt: {folder} holds an unfinished copy made with other options; name another.")
    elif folder.is_dir() and any(each.name != RECORDS for each in folder.iterdir()):
        raise InputError(f"corrupt: {folder} is not empty and was not begun by this command; name another folder.")
    return None


def _finish(
    copy: CorruptedCopy, folder: Path, split: FileSplit | TensorSplit, blocks: list[tuple[int, int]]
) -> dict[str, Any]:
    left_out: list[str] = []
    temporary = folder / RECORDS / SUMS
    with temporary.open("w") as sums:
        for start, _ in blocks:
            for line in _record(folder, start).read_text().splitlines(keepends=True):
                if line.startswith("#"):
                    left_out.append(line.removeprefix("# left out: ").strip())
                else:
                    sums.write(line)
        arrays = [*copy.arrays, "labels"] if copy.arrays else []
        sums.writelines(f"{_digest(array_path(folder, name))}  {name}.npy\n" for name in arrays)
    height, width = split.shape[1:]
    manifest = {
        "identity": identity(copy),
        "configuration": to_plain(copy),
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "data": to_plain(copy.data),
        "num_samples": len(split) - len(left_out),
        "left_out": left_out,
        "classes": split.classes,
        "class_folders": class_folders(split),
        "shape": split.shape,
        "seed": copy.seed,
        "format": copy.format,
        "jpeg": {"quality": QUALITY, "subsampling": "4:2:0"} if copy.format == "jpeg" else None,
        "corruptions": {
            each.condition: {"parameters": each.published(height, width), "for_pixels": each.pixels or height}
            for each in copy.corruptions
        },
        "versions": {name: version(name) for name in ("withstand", "torch", "numpy", "Pillow")},
        "sha256": {SUMS: _digest(temporary)},
    }
    temporary.replace(folder / SUMS)
    for name in arrays:
        array_path(folder, name).replace(folder / f"{name}.npy")
    if arrays:
        write_whole(folder / "classes.json", json.dumps(split.classes).encode())
    write_whole(folder / MANIFEST, json.dumps(manifest, indent=1).encode())
    shutil.rmtree(folder / RECORDS)
    return manifest


def _record(folder: Path, start: int) -> Path:
    return folder / RECORDS / f"{start:09d}.txt"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
