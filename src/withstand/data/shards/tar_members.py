"""Members of a tar archive, found by reading its headers only."""

import re
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

BLOCK = 512
END = bytes(BLOCK)
REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
WITHOUT_CONTENT = (*b"123456",)  # links, devices, folders and pipes
GLOBAL, LOCAL = (tarfile.XGLTYPE,), (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
LONG_NAME, LONG_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
MOST_EXTENDED = 1 << 20  # bytes of a header with a long name or other attributes
ATTRIBUTE = re.compile(rb"([0-9]{1,9}) ([^=\n]+)=")
COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
}


class TarMember(NamedTuple):
    """A member of an archive.

    Attributes:
        name: Its path, as written; bytes that are not UTF-8 are escaped as in names of files.
        is_file: Whether it is a regular file.
        is_folder: Whether it is a folder.
        start: Position of its content in the archive, in bytes.
        size: Size of its content in bytes.
    """

    name: str
    is_file: bool
    is_folder: bool
    start: int
    size: int


def walk_members(file: BinaryIO, size: int) -> Iterator[TarMember]:
    """Yield the members of an archive in its order; the caller may read their content between two of them.

    Args:
        file: The archive.
        size: Its size in bytes.

    Raises:
        OSError: If it is compressed, damaged or incomplete.
    """
    start = _at(file, 0, 8)
    packed = next((name for mark, name in COMPRESSED.items() if start.startswith(mark)), None)
    if packed is not None:
        raise OSError(f"it is compressed by {packed}, and cannot be read in place; unpack it to a plain .tar")
    position, given = 0, dict[str, bytes]()
    while (block := _at(file, position, BLOCK)) != END:
        if len(block) < BLOCK:
            raise OSError("it is incomplete: it has no end mark")
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError) as problem:
            raise OSError(f"it is damaged, or no tar archive: {problem} at byte {position:,}") from problem
        content = position + BLOCK
        if info.type in (*GLOBAL, *LOCAL, LONG_NAME, LONG_LINK):
            given |= _extended(info, _at(file, content, _checked(info.size, MOST_EXTENDED)))
            position = content + _padded(info.size)
            continue
        length = _number(given["size"]) if "size" in given else info.size
        name = given["path"].decode("utf-8", "surrogateescape") if "path" in given else info.name
        if info.type == tarfile.GNUTYPE_SPARSE or any(each.startswith("GNU.sparse") for each in given):
            raise OSError("it holds sparse files; write it again without them")
        length = 0 if info.type[0] in WITHOUT_CONTENT else _checked(length, size - content)
        yield TarMember(name, info.type in REGULAR, info.isdir(), content, length)
        position, given = content + _padded(length), {}
    if given:
        raise OSError("it is damaged: a header says more of a member that is not there")


def _extended(info: tarfile.TarInfo, content: bytes) -> dict[str, bytes]:
    """Return what a header says of the member after it."""
    if len(content) < info.size:
        raise OSError("it is incomplete: a header ends after the archive")
    if info.type == LONG_NAME:
        return {"path": content.split(b"\0")[0]}
    found, position = dict[str, bytes](), 0
    while info.type in LOCAL and position < len(content):
        match = ATTRIBUTE.match(content, position)
        stop = position + int(match[1]) if match else 0
        if match is None or not match.end() < stop <= len(content):
            raise OSError("it is damaged: a header has invalid attributes")
        found[match[2].decode("utf-8", "replace")] = content[match.end() : stop - 1]
        position = stop
    return found


def _number(digits: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,18}", digits):
        raise OSError("it is damaged: a header has an invalid size")
    return int(digits)


def _checked(length: int, most: int) -> int:
    if not 0 <= length <= most:
        raise OSError(f"it is damaged or incomplete: a member has {length:,} bytes, expected at most {max(0, most):,}")
    return length


def _padded(length: int) -> int:
    return -(-length // BLOCK) * BLOCK


def _at(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)
