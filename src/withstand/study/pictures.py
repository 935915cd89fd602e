"""Pictures: small JPEG copies of some samples under some conditions, saved next to the outcomes of a model."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from withstand.files import write_whole
from withstand.study.measures.outcome_files import read_parquet
from withstand.study.measures.outcomes import ConditionOutcomes, OutcomeTable
from withstand.study.picked_mistakes import COLUMNS, pick_mistakes
from withstand.study.records import damaged

THEN = "remove it and evaluate again"
PICTURES = "pictures.parquet"
SIDE = 96  # pixels on the longer side
MOST_EXAMPLES = 12  # samples that are pictured under every condition
MOST_BYTES = 1_700  # of a picture: the quality is lowered until it fits
QUALITIES = (92, 80, 65, 50, 35, 25, 15, 8)
JPEG_START = b"\xff\xd8"
SHARP = 32  # pixels up to which colours keep their full resolution


class Pictured(NamedTuple):
    """Which picture it is.

    Attributes:
        condition: As in rows, e.g. `fog/5`.
        outcomes: Name of the file with the outcomes under the condition; another file is another measurement.
        number: Number of the sample in its split.
    """

    condition: str
    outcomes: str
    number: int


Pictures = dict[Pictured, bytes]


def write_pictures(path: Path, pictures: Pictures) -> None:
    """Write pictures to a file, atomically; the same pictures give the same bytes."""
    import polars

    columns = list(zip(*sorted(pictures), strict=True)) or [(), (), ()]
    frame = polars.DataFrame(
        {
            "condition": polars.Series(columns[0], dtype=polars.String),
            "outcomes": polars.Series(columns[1], dtype=polars.String),
            "number": polars.Series(columns[2], dtype=polars.UInt32),
            "image": polars.Series([pictures[each] for each in sorted(pictures)], dtype=polars.Binary),
        }
    )
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    write_whole(path, buffer.getvalue())


def read_pictures(path: Path) -> Pictures:
    """Return the pictures in a file; none if there is no file.

    Raises:
        InputError: If it is damaged.
    """
    if not path.exists():
        return {}
    kinds = {"condition": "text", "outcomes": "text", "number": "whole"}
    frame = read_parquet(path, kinds, needed=(*kinds, "image"), then=THEN)
    found = {Pictured(*key): image for *key, image in frame.select(*kinds, "image").iter_rows()}
    if not all(isinstance(image, bytes) and image.startswith(JPEG_START) and _opens(image) for image in found.values()):
        raise damaged(path, "not all of its pictures are JPEG", THEN)
    return found


def _opens(image: bytes) -> bool:
    try:
        return max(size_of(image)) <= SIDE
    except Exception:  # decoders raise any exception
        return False


def pictures_of(table: OutcomeTable) -> Pictures:
    """Return the pictures that are saved next to a table of outcomes; none for a table in memory.

    Raises:
        InputError: If the file is damaged.
    """
    folders = {each.columns.parent.parent for each in table.conditions if isinstance(each.columns, Path)}
    return read_pictures(next(iter(folders)) / PICTURES) if folders else {}


def pictured(own: ConditionOutcomes, number: int) -> Pictured:
    """Return the key of a sample's picture under a condition."""
    return Pictured(own.condition, own.columns.name if isinstance(own.columns, Path) else "", number)


def wanted_pictures(table: OutcomeTable) -> dict[str, set[int]]:
    """Return the numbers of the samples that a report shows, by condition: examples and most confident mistakes."""
    known, mistakes = examples_of(table), pick_mistakes(table)
    found = {
        own.condition: set(known.get(own.source, {}).values())
        for own in table.conditions
        if set(own.frame.columns) >= COLUMNS
    }
    for own in mistakes.conditions if mistakes else ():
        found[own.condition] |= {each.index for each in own.worst}
    return found


def examples_of(table: OutcomeTable) -> dict[str, dict[int, int]]:
    """Return the numbers of the samples that are examples, by source and by the key that a sample has in all sources.

    They do not depend on the model.
    """
    import polars

    samples = table.samples.drop_nulls("label").select("source", "number", "label")
    if samples.is_empty():
        return {}
    samples = samples.join(table.keys, on=["source", "number"], how="left")
    first = samples.filter(polars.col("source") == table.samples["source"][0])
    keys = dict(first.select("number", "key").iter_rows())
    found: dict[str, dict[int, int]] = {}
    for key in (keys[number] for number in choose_examples(first)):
        for source, number in samples.filter(polars.col("key") == key).select("source", "number").iter_rows():
            found.setdefault(source, {})[key] = number
    return found


def choose_examples(samples: Any) -> list[int]:
    """Return the numbers of the samples that are examples.

    They are the first sample of each class, then the second ones; of many classes, some that are evenly spread.

    Args:
        samples: A frame with the columns `number` and `label`.
    """
    import polars

    labels = samples["label"].unique().sort().to_list()
    labels = (
        [labels[k * len(labels) // MOST_EXAMPLES] for k in range(MOST_EXAMPLES)]
        if len(labels) > MOST_EXAMPLES
        else labels
    )
    rank = polars.col("number").rank("ordinal").over("label")
    chosen = samples.filter(polars.col("label").is_in(labels)).sort(rank, "label").head(MOST_EXAMPLES)
    return chosen["number"].to_list()


def encoded(image: np.ndarray) -> bytes:
    """Return an image as JPEG, at the highest quality that keeps it small.

    Args:
        image: uint8 (height, width, 1 or 3).

    Example:
        >>> noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
        >>> len(encoded(noise)) < len(encoded(noise[:32, :32])) * 9
        True
    """
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    buffer = io.BytesIO()
    for quality in QUALITIES:
        buffer = io.BytesIO()
        sampling = 0 if max(picture.size) <= SHARP else 2
        picture.save(buffer, "JPEG", quality=quality, optimize=True, subsampling=sampling)
        if buffer.tell() <= MOST_BYTES:
            break
    return buffer.getvalue()


def size_of(image: bytes) -> tuple[int, int]:
    """Return the width and height of a picture, in pixels."""
    with Image.open(io.BytesIO(image)) as picture:
        return picture.size
