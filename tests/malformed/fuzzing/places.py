"""Damage to the file system: odd things in place of a file, and odd names."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from fuzzing.mutations import damaged

ODD_NAMES = (
    b"a\nb",
    b"-rf",
    b"--output",
    b"`touch executed`",
    b"$(touch executed)",
    b"'\"",
    b"\xff\xfe",
    b"a b",
    b"=1+1",
    b"<b>",
    b"\xf0\x9f\x8d\x85",
    b"x" * 200,
    b"a\\b",
    b"\x1b[31m",
)
MOST_BYTES = 64 << 20
SUFFIXES = (".png", ".jpg", ".json", ".npy", ".yaml", ".safetensors", ".pth", ".onnx", ".gz", ".parquet", "")


def fifo(rng: random.Random, path: Path) -> None:
    _clear(path)
    os.mkfifo(path)


def folder(rng: random.Random, path: Path) -> None:
    _clear(path)
    path.mkdir()
    (path / "file").write_bytes(b"x")


def loop(rng: random.Random, path: Path) -> None:
    _clear(path)
    path.symlink_to(path.name)


def loop_through_parent(rng: random.Random, path: Path) -> None:
    _clear(path)
    path.symlink_to("..", target_is_directory=True)


def dangling(rng: random.Random, path: Path) -> None:
    _clear(path)
    path.symlink_to("nowhere")


def link_outside(rng: random.Random, path: Path) -> None:
    _clear(path)
    path.symlink_to(outside(path) / "kept")


def device(rng: random.Random, path: Path) -> None:
    _clear(path)
    path.symlink_to(rng.choice(("/dev/null", "/dev/zero")))


def sparse(rng: random.Random, path: Path) -> None:
    if path.is_file() and path.suffix != ".csv":  # a table is as large in memory as in its file
        os.truncate(path, 6 << 30)


def missing(rng: random.Random, path: Path) -> None:
    _clear(path)


def other_suffix(rng: random.Random, path: Path) -> None:
    path.rename(path.with_suffix(rng.choice(SUFFIXES)))


def odd_name(rng: random.Random, path: Path) -> None:
    name = os.fsdecode(rng.choice(ODD_NAMES)) + path.suffix
    target = path.parent if rng.random() < 0.3 and path.parent.name != "inside" else path
    target.rename(target.parent / name)


def swapped(rng: random.Random, path: Path) -> None:
    """Put another file of the sandbox in this one's place."""
    other = rng.choice(files_below(inside(path)))
    if other != path and other.is_file():
        shutil.copyfile(other, path)


PLACES: tuple[Callable[[random.Random, Path], None], ...] = (
    fifo,
    folder,
    loop,
    loop_through_parent,
    dangling,
    link_outside,
    device,
    sparse,
    missing,
    other_suffix,
    odd_name,
    swapped,
)


def files_below(root: Path) -> list[Path]:
    """Return the files below a folder, in order, without huge ones that an earlier damage left."""
    found = (each for each in root.rglob("*") if not each.is_symlink() and each.is_file())
    return sorted(each for each in found if each.stat().st_size < MOST_BYTES)


def damage(rng: random.Random, path: Path, *, places: float = 0.2) -> str:
    """Damage one file, or what is in its place, and return how."""
    if rng.random() < places:
        way = rng.choice(PLACES)
        way(rng, path)
        return f"{way.__name__} {path.name!r}"
    others = [each.read_bytes() for each in files_below(path.parent)[:3]]
    path.write_bytes(damaged(rng, path.read_bytes(), path.suffix.lower(), others))
    return f"bytes of {path.name!r}"


def inside(path: Path) -> Path:
    """Return the folder in which an input may write."""
    return next(each for each in path.parents if each.name == "inside")


def outside(path: Path) -> Path:
    """Return the folder beside it, which must stay as it is."""
    return inside(path).parent / "outside"


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
