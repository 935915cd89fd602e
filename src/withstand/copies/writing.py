"""Write a corrupted copy of a data set in the layout of ImageNet-C or CIFAR-10-C, or of its own."""

import json
import os
import platform
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from withstand.configuration import canonical, identity, to_plain
from withstand.copies.blocks import CopyBlock, Record, blocks_of, record
from withstand.copies.encoding import FORMATS, QUALITY, SUBSAMPLING
from withstand.copies.layout import (
    RECORDS,
    CorruptedCopy,
    Source,
    array_path,
    class_folders,
    file_name,
    load,
    make_arrays,
)
from withstand.copies.originals import Originals
from withstand.copies.unchanged import copy_unchanged, count_masks, digest_of
from withstand.data.base import TensorSplit
from withstand.data.images.class_map import MANIFEST
from withstand.data.images.file_split import FileSplit
from withstand.engine import Engine
from withstand.errors import BusyError, InputError, stop_if_asked
from withstand.files import LOCK, clear, hold, write_whole
from withstand.perturbations.base import Corruption, Pixels
from withstand.pools.work import OpenPool, finish
from withstand.study.contents import spared
from withstand.study.records import damaged, read_json, read_record, read_text

ELSEWHERE = "move the folder away or name another one, and run the same command again"
SUMS, BEGUN, WORKER = "SHA256SUMS", "configuration.json", "worker"


def write_copy(
    copy: CorruptedCopy,
    folder: Path,
    *,
    engine: Engine | None = None,
    open_pool: OpenPool | None = None,
    tell: Callable[[int], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the copy, or resume an interrupted one, and return its manifest.

    Args:
        copy: The copy.
        folder: Target; new, empty, or begun by the same copy.
        engine: Device of the corruptions.
        open_pool: Opens a pool that writes the blocks; None writes them in this process.
        tell: Callback with the number of finished samples.
        warn: Callback with warnings, such as a killed worker whose work is repeated.

    Raises:
        InputError: If the folder holds something else, or the data cannot be written in this format.
        BusyError: If another process writes the copy.
    """
    manifest = manifest_of(copy, folder)
    if manifest is not None:
        if (folder / RECORDS).exists():  # left by a killed process, or being removed by another
            with suppress(BusyError), _alone(folder):
                _forget(folder)
        return manifest
    source = load(copy)
    _check(copy, source)
    sizes = source.survey() if isinstance(source, Originals) else None
    do = partial(finish, who="corrupt", engine=engine or Engine(), open_pool=open_pool, warn=warn)
    with _alone(folder):
        # Another process may have completed it in the meantime.
        manifest = manifest_of(copy, folder) or _write(copy, folder, source, sizes, do, tell)
        _forget(folder)
    return manifest


def _write(
    copy: CorruptedCopy,
    folder: Path,
    source: Source,
    sizes: dict[Pixels, int] | None,
    do: Callable[[list[CopyBlock]], Generator[CopyBlock]],
    tell: Callable[[int], None],
) -> dict[str, Any]:
    write_whole(folder / RECORDS / BEGUN, canonical(copy).encode())
    if copy.format == "npy" and not isinstance(source, Originals):
        make_arrays(copy, folder, source)
    blocks = blocks_of(copy, folder.resolve(), source)
    missing = [each for each in blocks if not each.is_done()]
    finished = len(source) - sum(each.stop - each.start for each in missing)
    tell(finished)
    with closing(do(missing)) as done:
        for each in done:
            stop_if_asked()
            finished += each.stop - each.start
            tell(finished)
    left_out = _write_sums(copy, folder, source, blocks)
    manifest = _describe(copy, source, sizes, left_out, sums=digest_of(folder / RECORDS / SUMS))
    (folder / RECORDS / SUMS).replace(folder / SUMS)
    if copy.arrays:
        for name in (*copy.arrays, "labels"):
            array_path(folder, name).replace(folder / f"{name}.npy")
        write_whole(folder / "classes.json", json.dumps(source.classes).encode())
    write_whole(folder / MANIFEST, json.dumps(manifest, indent=1).encode())
    return manifest


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a copy; if another process does, its error names that process."""
    worker = folder / RECORDS / WORKER
    with ExitStack() as stack:
        try:
            stack.enter_context(hold(folder / RECORDS, leaves_lock=False))
        except BusyError as problem:
            who = spared(lambda: read_text(worker), "another process", {})
            raise BusyError(
                f"corrupt: {folder} is being written by {who}; wait for it or stop it, then run the same command again."
            ) from problem
        clear(folder)
        for each in (folder / RECORDS).glob("*.tmp"):
            each.unlink()
        write_whole(worker, f"process {os.getpid()} on {platform.node()}".encode())
        yield


def _forget(folder: Path) -> None:
    """Remove the records of a complete copy; the holder of their lock removes the lock."""
    for each in (folder / RECORDS).iterdir():
        if each.name != LOCK:
            each.unlink()


def _check(copy: CorruptedCopy, source: Source) -> None:
    if not isinstance(source, Originals) and len(source.shape) != 3:
        raise InputError(f"corrupt: expected images, got inputs of shape {source.shape}.")
    if len(source) == 0:
        masks = f"only masks ({len(source.masks):,})" if isinstance(source, Originals) and source.masks else "none"
        raise InputError(f"corrupt: expected images, got {masks}.")
    if isinstance(source, TensorSplit):
        return
    if isinstance(source, FileSplit) and copy.format == "npy":
        if source.on_bad_image == "skip":
            raise InputError("corrupt: arrays need every image; leave --on-bad-image skip out, or write jpeg or png.")
        return
    # A name that every cell holds, or that another image gets, is taken.
    seen = {name: name for name in (*source.masks, *source.others)} if isinstance(source, Originals) else {}
    for row, name in enumerate(source.files):
        target = file_name(copy, source, row, 0)
        if PurePosixPath(target).suffix.lower() not in FORMATS:
            raise InputError(
                f"corrupt: {name} cannot be written as {PurePosixPath(target).suffix} without further loss of quality; "
                "choose --to png or jpeg."
            )
        first = seen.setdefault(target, name)
        if first != name:
            raise InputError(f"corrupt: {first} and {name} would become one file; rename one of them.")


def manifest_of(copy: CorruptedCopy, folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a complete copy; None if it is not complete.

    Raises:
        InputError: If the folder holds anything else.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"corrupt: expected a folder, found a file at {folder}.")
    # The order matters: another process writes the configuration first and the manifest last, and then cleans up.
    is_empty = not folder.is_dir() or all(each.name == RECORDS for each in folder.iterdir())
    begun = folder / RECORDS / BEGUN
    configuration = _unless_gone(begun) if begun.is_file() or begun.is_dir() else None
    if (folder / MANIFEST).exists():
        manifest = read_json(folder / MANIFEST, then=ELSEWHERE, file_names=True)
        if not _is_manifest(manifest, copy):
            raise damaged(folder / MANIFEST, "it is no manifest of a copy", ELSEWHERE)
        if canonical(manifest["configuration"]) != canonical(copy):
            raise InputError(
                f"corrupt: {folder} holds a copy made with other options, according to {MANIFEST}; name another folder."
            )
        return manifest
    if configuration is not None:
        if configuration != canonical(copy):
            raise InputError(
                f"corrupt: {folder} holds an unfinished copy made with other options, according to {RECORDS}/{BEGUN}; "
                "name another folder."
            )
    elif not is_empty:
        raise InputError(f"corrupt: {folder} is not empty and was not begun by this command; name another folder.")
    return None


def _is_manifest(content: Any, copy: CorruptedCopy) -> bool:
    """Return whether the content of a file has what commands read from a manifest."""
    known = {"configuration": dict, "num_samples": int, "left_out": list}
    if copy.keeps_sizes:
        known |= {"masks": dict, "nearest_sizes": dict, "num_other_files": int}
    if not isinstance(content, dict) or not all(isinstance(content.get(name), kind) for name, kind in known.items()):
        return False
    counts = [*content["masks"].values(), *content["nearest_sizes"].values()] if copy.keeps_sizes else []
    return all(isinstance(each, int) for each in counts)


def _unless_gone(begun: Path) -> str | None:
    """Return the configuration of an unfinished copy; None if there is none, or another process has just removed it."""
    try:
        return read_text(begun, then=ELSEWHERE)
    except InputError:
        if begun.exists():
            raise
        return None


def _write_sums(copy: CorruptedCopy, folder: Path, source: Source, blocks: list[CopyBlock]) -> list[str]:
    """Copy unchanged files, write the checksums of all files among the records, and return the images left out."""
    left_out: list[str] = []
    with (folder / RECORDS / SUMS).open("wb") as sums:
        for each in blocks:
            path = record(folder, each.start)
            found = read_record(path, Record, then="remove it, and run the same command again", file_names=True)
            left_out += found.left_out
            sums.writelines(_line(digest, file) for digest, file in found.sums)
        if isinstance(source, Originals):
            for digest, file in copy_unchanged(source, folder, [each.condition for each in copy.corruptions]):
                sums.write(_line(digest, file))
        arrays = [*copy.arrays, "labels"] if copy.arrays else []
        sums.writelines(_line(digest_of(array_path(folder, name)), f"{name}.npy") for name in arrays)
    return left_out


def _line(digest: str, file: str) -> bytes:
    """Return a line of `sha256sum`, which marks names with escapes by a backslash in front."""
    escaped = file.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "" if escaped == file else "\\"
    return f"{mark}{digest}  ".encode() + os.fsencode(escaped) + b"\n"


def _describe(
    copy: CorruptedCopy, source: Source, sizes: dict[Pixels, int] | None, left_out: list[str], *, sums: str
) -> dict[str, Any]:
    """Return the manifest of a complete copy."""
    has_jpeg = copy.format in ("jpeg", "same")
    manifest = {
        "identity": identity(copy),
        "configuration": to_plain(copy),
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "data": to_plain(copy.data),
        "num_samples": len(source) - len(left_out),
        "left_out": left_out,
        "classes": source.classes,
        "class_folders": class_folders(source),
        "shape": None if isinstance(source, Originals) else source.shape,
        "seed": copy.seed,
        "format": copy.format,
        "jpeg": {"quality": QUALITY, "subsampling": SUBSAMPLING} if has_jpeg else None,
        "corruptions": {each.condition: _parameters(each, source, sizes) for each in copy.corruptions},
        "versions": {name: version(name) for name in ("withstand", "torch", "numpy", "Pillow")},
        "sha256": {SUMS: sums},
    }
    if isinstance(source, Originals):
        # Images by the published size nearest to them, whose parameters they have unless the corruption names a size.
        manifest |= {"nearest_sizes": sizes, "masks": count_masks(source), "num_other_files": len(source.others)}
    return manifest


def _parameters(corruption: Corruption, source: Source, sizes: dict[Pixels, int] | None) -> dict[str, Any]:
    if isinstance(source, Originals):
        used = [corruption.pixels] if corruption.pixels else list(sizes or {})
        # A corruption without parameters for one of these sizes takes others, which depend on each image.
        used = used if set(used) <= set(corruption.tables) else list(corruption.tables)
        return {
            "parameters_for_pixels": {size: replace(corruption, pixels=size).published(size, size) for size in used}
        }
    height, width = source.shape[1:]
    return {"parameters": corruption.published(height, width), "for_pixels": corruption.pixels or height}
