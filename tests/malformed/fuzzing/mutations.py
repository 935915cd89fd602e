"""Damage to bytes: the same generator gives the same damage."""

import gzip
import io
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import yaml

DEPTH = 20_000
BOMB = 6 << 30  # bytes of zeros: more than a process may use

# What a reader that builds objects would run. The guard sees each of them.
CANARIES = (
    b"cos\nsystem\n(S'touch executed'\ntR.",
    b'cbuiltins\nexec\n(S\'open("executed","w")\'\ntR.',
    b"!!python/object/apply:os.system ['touch executed']\n",
)


def flip_bits(rng: random.Random, content: bytes) -> bytes:
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 3, 20))):
        place = int(rng.random() * len(found) * rng.choice((1, 0.02))) if found else 0
        if found:
            found[place] ^= 1 << rng.randrange(8)
    return bytes(found)


def truncate(rng: random.Random, content: bytes) -> bytes:
    return content[: int(rng.random() * len(content))]


def splice(rng: random.Random, content: bytes, other: bytes = b"\0\xff" * 40) -> bytes:
    return content[: int(rng.random() * len(content))] + other[int(rng.random() * len(other)) :]


def remove_piece(rng: random.Random, content: bytes) -> bytes:
    start = int(rng.random() * len(content))
    return content[:start] + content[start + rng.choice((1, 4, 100)) :]


def repeat_piece(rng: random.Random, content: bytes) -> bytes:
    start = int(rng.random() * len(content))
    return content[:start] + content[start : start + 64] * rng.choice((2, 1000)) + content[start + 64 :]


def huge_length(rng: random.Random, content: bytes) -> bytes:
    kind = rng.choice(("<I", ">I", "<Q", ">Q"))
    values = (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000) if kind[1] == "I" else (2**64 - 1, 2**63 - 1, 2**40)
    written = struct.pack(kind, rng.choice(values))
    start = int(rng.random() * min(len(content), 200))
    return content[:start] + written + content[start + len(written) :]


def huge_number(rng: random.Random, content: bytes) -> bytes:
    places = list(re.finditer(rb"\d+(\.\d+)?", content[:100_000]))
    if not places:
        return huge_length(rng, content)
    chosen = places[int(rng.random() * len(places))]
    value = rng.choice((b"9" * 23, b"9" * 5000, b"-1", b"1e400", b"NaN", b"null", b"0.5", b"99999999999999", b"true"))
    return content[: chosen.start()] + value + content[chosen.end() :]


def no_utf8(rng: random.Random, content: bytes) -> bytes:
    start = int(rng.random() * len(content))
    return content[:start] + rng.choice((b"\xff\xfe", b"\xc3\x28", b"\x00", b"\xed\xa0\x80")) + content[start:]


def replace_all(rng: random.Random, content: bytes) -> bytes:
    nested = rng.choice((b"[" * DEPTH, b'{"a":' * DEPTH, b"- " * DEPTH, b"[" * DEPTH + b"]" * DEPTH))
    return rng.choice((b"", b"\n", b"\0" * 5000, b"null", b"[]", b"{}", b"3", b'"text"', b"{" * 9, nested, *CANARIES))


def deeper_text(rng: random.Random, content: bytes) -> bytes:
    """Put something nested, recursive or tagged where a value was."""
    ends = list(re.finditer(rb": ?[^\s{\[,]+", content[:100_000]))
    depth = rng.choice((3, DEPTH))
    laughs = b"&b [&a [1,1,1,1,1,1,1,1],*a,*a,*a,*a,*a,*a,*a,*a]"
    for name in b"cdefghijk":
        inner = bytes([name - 1])
        laughs = b"&%c [%b%b]" % (name, laughs, b"".join(b",*" + inner for _ in range(8)))
    value = rng.choice((b"[" * depth + b"]" * depth, b"&a [*a]", b"&a {b: *a}", laughs, CANARIES[2].strip()))
    if not ends:
        return b"a: " + value + b"\n" + content
    chosen = ends[int(rng.random() * len(ends))]
    return content[: chosen.start()] + b": " + value + content[chosen.end() :]


def bomb(rng: random.Random, content: bytes) -> bytes:
    """Compress far more zeros than a process may hold, in members of a few kilobytes."""
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as old:
            names = old.namelist()
        return zip_bomb(names[int(rng.random() * len(names))] if names else "arr_0.npy")
    member = gzip.compress(bytes(64 << 20), 9, mtime=0)
    return member * (BOMB // (64 << 20))


def zip_bomb(name: str) -> bytes:
    """Return an archive whose only file unpacks to `BOMB` zeros after the head of an array of bytes."""
    head = b"\x93NUMPY\x01\x00v\x00" + f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({BOMB},), }}".encode()
    head = head.ljust(127) + b"\n"
    press = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = press.compress(head) + press.flush(zlib.Z_FULL_FLUSH)
    block = press.compress(bytes(64 << 20)) + press.flush(zlib.Z_FULL_FLUSH)
    data = first + block * (BOMB // (64 << 20)) + press.flush(zlib.Z_FINISH)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"")  # without the time of day
    size = min(len(head) + BOMB, 2**32 - 1)
    written = bytearray(file.getvalue())
    start = 30 + len(name.encode())
    for place, (at, kind) in {8: (8, "<H"), 18: (len(data), "<I"), 22: (size, "<I")}.items():
        struct.pack_into(kind, written, place, at)
    middle = written.index(b"PK\x01\x02")
    for place, (at, kind) in {10: (8, "<H"), 20: (len(data), "<I"), 24: (size, "<I")}.items():
        struct.pack_into(kind, written, middle + place, at)
    struct.pack_into("<I", written, len(written) - 6, middle + len(data))
    return bytes(written[:start]) + data + bytes(written[start:])


BYTES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    flip_bits,
    flip_bits,
    truncate,
    splice,
    remove_piece,
    repeat_piece,
    huge_length,
    replace_all,
    no_utf8,
)
TEXT = (huge_number, deeper_text, no_utf8, truncate, replace_all, remove_piece, repeat_piece)

ODD: tuple[Any, ...] = (
    None,
    "",
    "text",
    "../../outside/kept",
    "a\nb`touch executed`",
    "=1+1",
    "<script>alert(1)</script>",
    -1,
    0,
    1,
    0.5,
    10**23,
    2**63,
    99999999999999,
    float("nan"),
    float("inf"),
    True,
    [],
    {},
    [None],
    [[["a"]]],
    {"a": {"b": None}},
    {"class_path": "os.system", "init_args": {"command": "touch executed"}},
)


def _parents(node: Any) -> list[tuple[Any, Any]]:
    """Return every place below a node as its container and key."""
    pairs = list(node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ())
    return [place for key, inner in pairs for place in ((node, key), *_parents(inner))]


def change_node(rng: random.Random, content: Any) -> Any:
    """Change one value, key or item of plain content, which is changed in place."""
    places = _parents(content)
    if not places or rng.random() < 0.05:
        return rng.choice(ODD)
    inside, key = places[int(rng.random() * len(places))]
    way = rng.random()
    if way < 0.7:
        inside[key] = rng.choice(ODD)
    elif way < 0.85:
        del inside[key]
    elif isinstance(inside, dict):
        inside[rng.choice((key, "unknown", 3, None, True)) if way < 0.95 else f"{key} "] = inside.pop(key)
    else:
        inside += [inside[key]] * 3
    return content


def change_json(rng: random.Random, content: bytes) -> bytes:
    """Change one value of one document, or repeat a key."""
    lines = content.split(b"\n") if _is_lines(content) else [content]
    chosen = int(rng.random() * len(lines))
    found = json.loads(lines[chosen] or b"{}")
    if rng.random() < 0.1 and isinstance(found, dict) and found:
        key = rng.choice(list(found))
        lines[chosen] = lines[chosen].replace(b"{", b"{" + json.dumps(key).encode() + b": 3, ", 1)
    else:
        changed = change_node(rng, found)
        lines[chosen] = json.dumps(
            {str(k): v for k, v in changed.items()} if isinstance(changed, dict) else changed
        ).encode()
    return b"\n".join(lines)


def _is_lines(content: bytes) -> bool:
    return len(content.split(b"\n")) > 1 and content.split(b"\n")[0].rstrip().endswith(b"}")


def change_yaml(rng: random.Random, content: bytes) -> bytes:
    """Change one value of a document, or repeat a key."""
    if rng.random() < 0.1:
        lines = content.split(b"\n")
        return content + lines[int(rng.random() * len(lines))] + b"\n"
    return yaml.safe_dump(change_node(rng, yaml.safe_load(content)), sort_keys=False).encode()


def damaged(rng: random.Random, content: bytes, suffix: str, others: list[bytes]) -> bytes:
    """Return a file's content with one damage that fits its kind."""
    if suffix in (".gz", ".npz", ".zip") and rng.random() < 0.1:
        return bomb(rng, content)
    structured = {".json": change_json, ".jsonl": change_json, ".yaml": change_yaml, ".yml": change_yaml}
    if suffix in structured and rng.random() < 0.6:
        with suppress(ValueError, yaml.YAMLError, RecursionError):  # it was damaged before
            return structured[suffix](rng, content)
    if others and rng.random() < 0.1:
        return splice(rng, content, rng.choice(others))
    is_text = suffix in (*structured, ".csv", ".txt", ".md", ".tex", ".html")
    return rng.choice(TEXT if is_text and rng.random() < 0.7 else BYTES)(rng, content)
