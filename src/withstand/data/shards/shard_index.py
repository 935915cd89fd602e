"""ShardIndex: the images of a tar shard with their positions and labels, made once per shard."""

import json
import re
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from withstand.data.images.files_below import is_image
from withstand.data.places import cache_folder
from withstand.data.shards.tar_members import TarMember, walk_members
from withstand.errors import InputError, brief, told
from withstand.files import write_whole
from withstand.reading.addresses import Address
from withstand.reading.listings import check_below, is_visible
from withstand.study.records import parse_json, read_record

VERSION = 1  # of the index in the cache
WINDOW = 1 << 16  # bytes that are read around a header
LEAST_SECONDS = 0.05  # that an index in the cache took to make
MOST_BYTES = 1 << 20  # of a label
MOST_WORD = 255  # characters of a label

Label = int | str
Image = tuple[str, int, int, Label | None]  # name, start and size of its content in bytes, and label


@dataclass(frozen=True, kw_only=True)
class ShardIndex:
    """The images of a shard.

    Attributes:
        images: Name, start and size in bytes, and label of each image; None without a label.
        num_others: Number of members that are neither images nor labels.
    """

    images: tuple[Image, ...]
    num_others: int

    @classmethod
    def of(cls, who: str, shard: Path | Address, *, key: str) -> "ShardIndex":
        """Return the index of a shard, from the cache if the shard has not changed.

        Args:
            who: Name of the data set, for messages.
            shard: The tar file.
            key: Key of the label in JSON members.

        Raises:
            InputError: If the shard is missing, compressed, damaged or incomplete.
        """
        try:
            if not shard.is_file():
                raise OSError("it is not a file" if shard.exists() else "there is no such file")
            cached = _cached(shard, key)
            with suppress(InputError):  # none, or a damaged one
                return read_record(cached, cls, file_names=True)
            before = time.monotonic()
            with shard.open("rb", buffering=WINDOW) as file:
                found = _read(file, shard.stat().st_size, f"{who}: {shard}", key)
        except OSError as problem:
            raise InputError(f"{who}: {shard} cannot be read ({problem.strerror or problem}).") from problem
        if time.monotonic() - before >= LEAST_SECONDS:
            with suppress(OSError, InputError):  # a cache that cannot be written is not used
                write_whole(cached, json.dumps(asdict(found)).encode())
        return found


def _cached(shard: Path | Address, key: str) -> Path:
    if isinstance(shard, Path):
        place, status = shard.resolve(), shard.stat()
        stamp = f"{status.st_size} {status.st_mtime_ns}"
    else:
        place, stamp = shard, shard.stamp()
    name = sha256(f"{VERSION}\n{place}\n{stamp}\n{key}".encode("utf-8", "surrogateescape")).hexdigest()
    return cache_folder() / "shards" / f"{name}.json"


def _read(file: BinaryIO, size: int, shard: str, key: str) -> ShardIndex:
    """Return the index of an opened shard, called `shard` in messages."""
    images, by_key, others = dict[str, TarMember](), dict[str, list[str]](), 0
    labels: tuple[dict[str, Label], dict[str, Label]] = {}, {}  # from JSON members, from .cls members
    for member in walk_members(file, size):
        name = _name(shard, member.name)
        if member.is_folder or not is_visible(name):
            continue
        stem, _, end = PurePosixPath(name).name.partition(".")
        sample = name.removesuffix(f".{end}") if end else name
        if member.is_file and is_image(name):
            if name in images:
                raise InputError(f"{shard} must hold each member once, got {brief(name)} twice.")
            images[name] = member
            by_key.setdefault(sample, []).append(name)
        elif member.is_file and stem and end.lower() in ("cls", "json"):
            is_number = end.lower() == "cls"
            label = _label(file, shard, member, None if is_number else key)
            if label is not None:
                labels[is_number][sample] = label
        else:
            others += 1
    merged = labels[0] | labels[1]
    for sample in merged:
        if len(by_key.get(sample, ())) > 1:
            two = " and ".join(map(brief, by_key[sample][:2]))
            raise InputError(f"{shard} must hold one image per label, got {two} for {brief(sample)}.")
    label_of = {name: merged.get(sample) for sample, names in by_key.items() for name in names}
    found = tuple((name, each.start, each.size, label_of[name]) for name, each in images.items())
    return ShardIndex(images=found, num_others=others)


def _name(shard: str, name: str) -> str:
    """Return the path of a member, without `./` at the start; `.` itself is empty."""
    name = re.sub(r"^(\./+)+", "", name).rstrip("/")
    if name in ("", "."):
        return ""
    check_below(shard, name)
    return name


def _label(file: BinaryIO, shard: str, member: TarMember, key: str | None) -> Label | None:
    """Return the label in a member: of a JSON object the value of `key`, None without one; else the text."""
    place = f"{shard}: {brief(member.name)}"
    if member.size > MOST_BYTES:
        raise InputError(f"{place} must have at most {MOST_BYTES:,} bytes, got {member.size:,}.")
    file.seek(member.start)
    try:
        text = file.read(member.size).decode("utf-8-sig").strip()
        content: Any = text if key is None else parse_json(text)
    except ValueError as problem:
        raise InputError(f"{place} cannot be read ({told(problem)}).") from problem
    if key is not None:
        content = content.get(key) if isinstance(content, dict) else None
        if content is None:
            return None
    elif re.fullmatch("[0-9]{1,9}", text):
        content = int(text)
    is_number = isinstance(content, int) and not isinstance(content, bool) and content >= 0
    if not is_number and not (isinstance(content, str) and 0 < len(content) <= MOST_WORD):
        raise InputError(f"{place} must hold a class as a whole number from 0 or a word, got {brief(content)}.")
    return content
