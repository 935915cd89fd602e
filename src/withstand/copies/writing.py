"""Writing a corrupted copy of a data set, in the layout of ImageNet-C or of CIFAR-10-C."""

import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, ThreadPoolExecutor, wait
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
    array_path,
    class_folders,
    kind,
    kinds,
    load,
    make_arrays,
    open_arrays,
    places,
    target,
)
from withstand.data.base import Split, TensorSplit
from withstand.data.images.file_split import FileSplit
from withstand.errors import InputError, TrainingError
from withstand.files import write_whole
from withstand.functional.levels import to_levels
from withstand.functional.random import RowStreams, derive_seed

MANIFEST, SUMS, BEGUN = "manifest.json", "SHA256SUMS", "configuration.json"
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
    """Write the copy, or go on where an earlier call stopped, and return its manifest.

    Args:
        copy: What is written.
        folder: Where; empty, not there yet, or begun by the same copy.
        device: Where images are corrupted.
        num_workers: Processes with one thread each that share the work; 0 works in this one.
        tell: Callback for the number of samples done.
        warn: Callback for warnings, such as a worker that died and whose work is repeated.

    Raises:
        InputError: If the folder holds something else, or the data cannot be written this way.
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
    """Write the samples from one number up to another under every corruption, then the record that says so."""
    split = load(copy)
    names = split.files if isinstance(split, FileSplit) else None
    arrays = open_arrays(copy, folder) if copy.format == "npy" else {}
    lines: list[str] = []
    model = nn.Identity()
    with ThreadPoolExecutor(num_threads) as pool:
        for x, y, index, _ in split.batches(torch.arange(start, stop).split(SAMPLES_PER_BATCH), device=device):
            rows = [places(copy)[number] for number in index.tolist()]
            targets = [target(copy, split, names, *each) for each in zip(rows, y.tolist(), strict=True)]
            for corruption in copy.corruptions if rows else ():
                rng = RowStreams(derive_seed(copy.seed, corruption.noise), index, device=device)
                images = corruption.draw(x, y, model, space=split.space, num_draws=1, rng=rng).inputs[0]
                levels = to_levels(images).permute(0, 2, 3, 1).cpu().numpy()
                if copy.format == "npy":
                    first = (corruption.severity - 1) * len(split)
                    arrays[kind(corruption)][first + np.asarray(rows)] = levels
                    continue
                cell = folder / corruption.condition
                jobs = [(cell, each, copy.format) for each in targets]
                digests = pool.map(_save, levels, jobs)
                lines += [
                    f"{digest}  {corruption.condition}/{each}\n" for digest, each in zip(digests, targets, strict=True)
                ]
    for each in arrays.values():
        each.flush()
    bad = split.bad if isinstance(split, FileSplit) else {}
    lines += [f"# left out: {split.files[row]}\n" for row in sorted(bad) if start <= row < stop]  # pyright: ignore
    write_whole(_record(folder, start), "".join(lines).encode())


def _work(
    copy: CorruptedCopy,
    folder: Path,
    blocks: list[tuple[int, int]],
    device: torch.device | str,
    num_workers: int,
    warn: Callable[[str], None],
) -> Iterator[tuple[int, int]]:
    """Write blocks here or in several processes, and yield each one when it is done."""
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
            pending = set(futures)
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    remaining.remove(futures[future])
                    yield futures[future]
            return
        except BrokenProcessPool as problem:
            if restart == MAX_RESTARTS:
                raise TrainingError(
                    "corrupt: processes were killed again and again; is there enough memory?"
                ) from problem
            warn("corrupt: a process was killed; its work is done again.")
        finally:
            pool.shutdown(cancel_futures=True)


def _save(levels: UInt8[np.ndarray, "height width channel"], job: tuple[Path, str, str]) -> str:
    cell, name, format = job
    path, buffer = cell / name, io.BytesIO()
    image = Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)
    if format == "jpeg":
        image.save(buffer, "JPEG", quality=QUALITY, subsampling="4:2:0", optimize=True)
    else:
        image.save(buffer, "PNG")
    content = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
    return sha256(content).hexdigest()


def _check(copy: CorruptedCopy, split: Split) -> None:
    if not isinstance(split, FileSplit | TensorSplit):
        raise InputError(f"corrupt: {type(copy.data).__name__} cannot be copied.")
    if len(split.shape) != 3:
        raise InputError(f"corrupt: expected images, got inputs of shape {split.shape}.")
    if len(split) == 0:
        raise InputError("corrupt: the data have no images.")
    if isinstance(split, FileSplit) and copy.format == "npy" and split.on_bad_image == "skip":
        raise InputError("corrupt: arrays need every image; leave --on-bad-image skip out, or write jpeg or png.")
    if isinstance(split, FileSplit) and copy.format != "npy":
        seen: dict[str, str] = {}
        for name in split.files:
            stem = str(PurePosixPath(name).with_suffix(""))
            if stem in seen:
                raise InputError(f"corrupt: {seen[stem]} and {name} would become one file; rename one of them.")
            seen[stem] = name


def _manifest(copy: CorruptedCopy, folder: Path) -> dict[str, Any] | None:
    """Return the manifest if the copy is whole; refuse a folder that holds anything else."""
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
            raise InputError(f"corrupt: {folder} holds the beginning of a copy made with other options; name another.")
    elif folder.is_dir() and any(each.name != RECORDS for each in folder.iterdir()):
        raise InputError(f"corrupt: {folder} is not empty and was not begun by this command; name another folder.")
    return None


def _finish(copy: CorruptedCopy, folder: Path, split: Split, blocks: list[tuple[int, int]]) -> dict[str, Any]:
    left_out: list[str] = []
    temporary = folder / RECORDS / SUMS
    with temporary.open("w") as sums:
        for start, _ in blocks:
            for line in _record(folder, start).read_text().splitlines(keepends=True):
                if line.startswith("#"):
                    left_out.append(line.removeprefix("# left out: ").strip())
                else:
                    sums.write(line)
        if copy.format == "npy":
            for name in [*kinds(copy), "labels"]:
                sums.write(f"{_digest(array_path(folder, name))}  {name}.npy\n")
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
    if copy.format == "npy":
        for name in [*kinds(copy), "labels"]:
            array_path(folder, name).replace(folder / f"{name}.npy")
        write_whole(folder / "classes.json", json.dumps(split.classes).encode())
    write_whole(folder / MANIFEST, json.dumps(manifest, indent=1).encode())
    shutil.rmtree(folder / RECORDS)
    return manifest


def _record(folder: Path, start: int) -> Path:
    return folder / RECORDS / f"{start:09d}.txt"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
