"""Forecast of a corrupted copy."""

import time
from collections.abc import Iterator
from dataclasses import replace
from math import prod
from pathlib import Path, PurePosixPath

from withstand.copies.blocks import batches, blocks_of, corrupted
from withstand.copies.encoding import encode
from withstand.copies.layout import CorruptedCopy, Source, array_name, file_name, load
from withstand.copies.writing import manifest_of
from withstand.engine import Engine
from withstand.functional.levels import to_levels
from withstand.perturbations.base import Corruption
from withstand.pools.forecast import Forecast, in_turns, one_thread

SECONDS = 2.0
FEW = 8  # images


def forecast(copy: CorruptedCopy, folder: Path, *, engine: Engine, processes: int, start: float) -> Forecast:
    """Return what the missing part of a copy will cost, from about two seconds of it; nothing is written.

    Args:
        copy: The copy.
        folder: Its target.
        engine: Device of the corruptions.
        processes: That share the work.
        start: Seconds until the first block begins.
    """
    source = load(copy)
    blocks = (
        [] if manifest_of(copy, folder) else [each for each in blocks_of(copy, folder, source) if not each.is_done()]
    )
    count = sum(each.stop - each.start for each in blocks)
    with one_thread(True):
        seconds, disk = _of_one(copy, source, engine) if blocks else (0.0, 0.0)
    return Forecast(
        title="Copy",
        counts={
            "images": count,
            "corruptions and severities": len(copy.corruptions),
            "files": count * len(copy.corruptions),
        },
        blocks=len(blocks),
        seconds=seconds * count,
        device=engine.device.type,
        processes=processes,
        start=start,
        disk=round(disk * count),
    )


def _of_all_kinds(copy: CorruptedCopy) -> Iterator[Corruption]:
    """Yield the corruptions, of different kinds first; the first one twice."""
    kinds: dict[str, list[Corruption]] = {}
    for each in copy.corruptions:
        kinds.setdefault(array_name(each), []).append(each)
    yield copy.corruptions[0]
    yield from in_turns(kinds.values())


def _of_one(copy: CorruptedCopy, source: Source, engine: Engine) -> tuple[float, float]:
    """Return the seconds and bytes that an image takes under all corruptions."""
    count = min(FEW, len(source))
    begun = time.perf_counter()
    read = list(batches(source, 0, count, str(engine.device)))
    decoding = (time.perf_counter() - begun) / count
    seconds: list[float] = []
    sizes: list[int] = []
    first = time.perf_counter()
    for number, corruption in enumerate(_of_all_kinds(copy)):
        for batch in read:
            begun = time.perf_counter()
            ((_, images),) = corrupted(replace(copy, corruptions=(corruption,), format="png"), batch.sample)
            levels = to_levels(images).permute(0, 2, 3, 1).cpu().numpy()
            if copy.arrays:
                sizes += [prod(each.shape) for each in levels]
            else:
                names = [
                    file_name(copy, source, *each) for each in zip(batch.rows, batch.sample.y.tolist(), strict=True)
                ]
                for image, name in zip(levels, names, strict=True):
                    sizes.append(len(encode(image, PurePosixPath(name).suffix.lower(), **batch.stored)))
            if number:  # the first one is slower
                seconds.append((time.perf_counter() - begun) / len(levels))
        if number and time.perf_counter() - first > SECONDS:
            break
    if not sizes:  # none of them could be read
        return decoding, 0.0
    cells = len(copy.corruptions)
    return decoding + cells * sum(seconds) / max(1, len(seconds)), cells * sum(sizes) / len(sizes)
