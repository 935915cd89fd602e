"""A corrupted copy of a data set on disk, in the layout of ImageNet-C or of CIFAR-10-C."""

import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import nn

from withstand.configuration import identity, to_plain
from withstand.data.base import Dataset, Split, TensorSplit
from withstand.data.file_split import FileSplit
from withstand.errors import InputError, TrainingError
from withstand.functional.random import RowStreams, derive_seed
from withstand.perturbations.base import Corruption, to_levels
from withstand.results.row import write_whole

MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
# Where the records of finished blocks lie until the copy is whole.
RECORDS = ".blocks"
QUALITY = 85
SUFFIX = {"jpeg": ".JPEG", "png": ".png"}
SAMPLES_PER_BLOCK = 64
SAMPLES_PER_BATCH = 16
MAX_RESTARTS = 2


@dataclass(frozen=True, kw_only=True)
class CorruptedCopy:
    """What is written.

    Attributes:
        data: Whose test part is corrupted; images.
        corruptions: Each becomes a folder `<name>/<severity>`, or a part of the array `<name>.npy`.
        seed: Decides every draw; an evaluation with the same seed meets the same noise.
        format: `jpeg` writes files of quality 85 as ImageNet-C has them, `png` files without loss, and `npy` one array
            per corruption as CIFAR-10-C has them.
    """

    data: Dataset
    corruptions: tuple[Corruption, ...]
    seed: int = 0
    format: Literal["jpeg", "png", "npy"] = "jpeg"

    def __post_init__(self) -> None:
        if not self.corruptions:
            raise InputError("corrupt: corruptions must name at least one, got none.")
        if self.seed < 0:
            raise InputError(f"corrupt: seed must be at least 0, got {self.seed}.")
        severities = {each.severity for each in self.corruptions}
        if self.format == "npy" and severities != {1, 2, 3, 4, 5}:
            raise InputError("corrupt: arrays hold all five severities; leave --severities out, or write jpeg or png.")


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
        tell: Is told the number of samples done.
        warn: Is told of a process that died, whose work is done again.

    Raises:
        InputError: If the folder holds something else, or the data cannot be written this way.
    """
    done = _manifest(copy, folder)
    if done is not None:
        return done
    split = _split(copy)
    _check(copy, split)
    records = folder / RECORDS
    records.mkdir(parents=True, exist_ok=True)
    write_whole(records / "identity", identity(copy).encode())
    if copy.format == "npy":
        _make_arrays(copy, folder, split)
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
    split = _split(copy)
    names = split.files if isinstance(split, FileSplit) else None
    arrays = _open_arrays(copy, folder) if copy.format == "npy" else {}
    lines: list[str] = []
    model = nn.Identity()
    with ThreadPoolExecutor(num_threads) as pool:
        for x, y, index in split.batches(torch.arange(start, stop).split(SAMPLES_PER_BATCH), device=device):
            places = [_places(copy)[number] for number in index.tolist()]
            targets = [_target(copy, split, names, *each) for each in zip(places, y.tolist(), strict=True)]
            for corruption in copy.corruptions if places else ():
                rng = RowStreams(derive_seed(copy.seed, corruption.noise), index, device=device)
                images = corruption.draw(x, y, model, num_draws=1, rng=rng).inputs[0]
                levels = to_levels(images).permute(0, 2, 3, 1).cpu().numpy()
                if copy.format == "npy":
                    rows = (corruption.severity - 1) * len(split) + np.asarray(places)
                    arrays[corruption.published_name()][rows] = levels
                    continue
                cell = folder / corruption.condition
                jobs = [(cell, target, copy.format) for target in targets]
                digests = pool.map(_save, levels, jobs)
                lines += [
                    f"{digest}  {corruption.condition}/{target}\n"
                    for digest, target in zip(digests, targets, strict=True)
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
    cell, target, kind = job
    path, buffer = cell / target, io.BytesIO()
    image = Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)
    if kind == "jpeg":
        image.save(buffer, "JPEG", quality=QUALITY, subsampling="4:2:0", optimize=True)
    else:
        image.save(buffer, "PNG")
    content = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
    return sha256(content).hexdigest()


def _target(copy: CorruptedCopy, split: Split, names: list[str] | None, place: int, label: int) -> str:
    if names is None:
        return f"{split.classes[label].replace('/', '_')}/{place:06d}{SUFFIX.get(copy.format, '')}"
    return str(PurePosixPath(names[place]).with_suffix(SUFFIX.get(copy.format, "")))


@lru_cache(maxsize=1)
def _split(copy: CorruptedCopy) -> Split:
    return copy.data.load("test")


@lru_cache(maxsize=1)
def _places(copy: CorruptedCopy) -> dict[int, int]:
    """Return the place in the split of each sample's number, which the noise is derived from."""
    split = _split(copy)
    assert isinstance(split, FileSplit | TensorSplit)
    return {number: place for place, number in enumerate(split.numbers.tolist())}


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
            target = str(PurePosixPath(name).with_suffix(""))
            if target in seen:
                raise InputError(f"corrupt: {seen[target]} and {name} would become one file; rename one of them.")
            seen[target] = name


def _manifest(copy: CorruptedCopy, folder: Path) -> dict[str, Any] | None:
    """Return the manifest if the copy is whole; refuse a folder that holds anything else."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"corrupt: expected a folder, found a file at {folder}.")
    if (folder / MANIFEST).is_file():
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest.get("identity") != identity(copy):
            raise InputError(f"corrupt: {folder} holds a copy made with other options; name another folder.")
        return manifest
    begun = folder / RECORDS / "identity"
    if begun.is_file():
        if begun.read_text() != identity(copy):
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
            for name in [*_kinds(copy), "labels"]:
                sums.write(f"{_digest(_array(folder, name))}  {name}.npy\n")
    height, width = split.shape[1:]
    manifest = {
        "identity": identity(copy),
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "data": to_plain(copy.data),
        "num_samples": len(split) - len(left_out),
        "left_out": left_out,
        "classes": split.classes,
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
        for name in [*_kinds(copy), "labels"]:
            _array(folder, name).replace(folder / f"{name}.npy")
        write_whole(folder / "classes.json", json.dumps(split.classes).encode())
    write_whole(folder / MANIFEST, json.dumps(manifest, indent=1).encode())
    shutil.rmtree(folder / RECORDS)
    return manifest


def _record(folder: Path, start: int) -> Path:
    return folder / RECORDS / f"{start:09d}.txt"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        total = sha256()
        while piece := file.read(1 << 20):
            total.update(piece)
    return total.hexdigest()


def _kinds(copy: CorruptedCopy) -> list[str]:
    return list(dict.fromkeys(each.published_name() for each in copy.corruptions))


def _array(folder: Path, name: str) -> Path:
    """Return where an array is: at its place when the copy is whole, among the records before."""
    place = folder / f"{name}.npy"
    return place if place.exists() else folder / RECORDS / place.name


def _make_arrays(copy: CorruptedCopy, folder: Path, split: Split) -> None:
    channels, height, width = split.shape
    for name in _kinds(copy):
        if not _array(folder, name).exists():
            temporary = _array(folder, name).with_suffix(".tmp")
            shape = (5 * len(split), height, width, channels)
            np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape).flush()
            temporary.replace(_array(folder, name))
    assert isinstance(split, FileSplit | TensorSplit)  # by `_check`
    buffer = io.BytesIO()
    np.save(buffer, np.tile(split.y.numpy().astype(np.int64), 5))
    write_whole(_array(folder, "labels"), buffer.getvalue())


def _open_arrays(copy: CorruptedCopy, folder: Path) -> dict[str, Any]:
    return {name: np.load(_array(folder, name), mmap_mode="r+") for name in _kinds(copy)}
