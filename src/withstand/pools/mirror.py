"""Mirror: a folder on this machine whose files are kept in an object store, and blocks that write there."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from withstand.engine import Engine
from withstand.files import LOCK, TEMPORARY
from withstand.pools.block import Block, Outcome, State
from withstand.pools.pool import Pool
from withstand.pools.shared import Shared, checked
from withstand.reading.addresses import Address

Wanted = Callable[[str], bool]
MOST = 1 << 34  # bytes of a file that is copied
LEFT_OUT = ("checkpoints",)  # folders
PROBE = ".probe"


class Mirror:
    """A folder on this machine, and the same files in an object store.

    Only storing one object is atomic there, and nothing is locked. Files are stored in the order in which they were
    written, so those that say that others are complete come last.
    """

    def __init__(self, folder: Path, address: Address) -> None:
        """Name both places; nothing is copied yet.

        Args:
            folder: On this machine.
            address: In the object store.
        """
        self.folder, self.address = folder.resolve(), address
        self.known: dict[str, tuple[int, int]] = {}  # what both places hold: size and time here

    def pull(self, wanted: Wanted = lambda _: True) -> None:
        """Copy files from the object store: those whose names are wanted, without checkpoints and temporary files."""
        for name in self.address.all_files():
            *folders, own = name.split("/")
            if wanted(name) and not TEMPORARY.fullmatch(own) and not any(each in LEFT_OUT for each in folders):
                self.pull_file(self.folder / name)

    def pull_file(self, path: Path) -> None:
        """Copy one file from the object store."""
        name = path.relative_to(self.folder).as_posix()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((self.address / name).read_bytes(most=MOST))
        self.known[name] = _state(path)

    def push(self, *, last: Path | None = None) -> None:
        """Store what was written here since, and remove there what was removed here.

        Args:
            last: A file that is stored after all others, since it says that they are complete.
        """
        found = files_below(self.folder)
        if last is not None and (name := last.relative_to(self.folder).as_posix()) in found:
            found[name] = found.pop(name)
        for name, path in found.items():
            if self.known.get(name) != _state(path):
                (self.address / name).write_bytes(path.read_bytes())
                self.known[name] = _state(path)
        for name in [each for each in self.known if each not in found]:
            (self.address / name).remove()
            del self.known[name]


@contextmanager
def pulled(address: Address, wanted: Wanted = lambda _: True) -> Iterator[Mirror]:
    """Yield a mirror in a temporary folder of the address's name.

    Args:
        address: A folder in an object store.
        wanted: Returns whether a file, given by its name below the folder, is copied from there.
    """
    with TemporaryDirectory(prefix="withstand-") as place:
        mirror = Mirror(Path(place) / address.name, address)
        mirror.folder.mkdir()
        mirror.pull(wanted)
        yield mirror


@contextmanager
def mirrored(address: Address, wanted: Wanted = lambda _: True) -> Iterator[Mirror]:
    """Yield a mirror as `pulled` does; changes are stored at the end.

    Raises:
        InputError: If nothing can be written there.
    """
    (address / PROBE).write_bytes(b"")  # refused now rather than at the end
    (address / PROBE).remove()
    with pulled(address, wanted) as mirror:
        try:
            yield mirror
        finally:
            mirror.push()


@dataclass(frozen=True)
class StoredBlock(Block):
    """A block whose files are written in a temporary folder and then stored in an object store.

    Attributes:
        block: The block, with paths below `folder`.
        folder: The mirror's folder on the machine that plans the work.
        address: The object store.
    """

    block: Block
    folder: Path
    address: Address

    @property
    def marker(self) -> Path:
        """The marker of the block."""
        return self.block.marker

    def do(self, engine: Engine) -> None:
        """Do the block in a temporary folder, and store its files."""
        with self._elsewhere() as block:
            block.do(engine)

    def is_done(self) -> bool:
        """Return whether the marker is stored."""
        return (self.address / self.marker.relative_to(self.folder).as_posix()).exists()

    def record(self, sentence: str, trace: str) -> None:
        """Store why the block failed."""
        with self._elsewhere() as block:
            block.record(sentence, trace)

    @contextmanager
    def _elsewhere(self) -> Iterator[Block]:
        with TemporaryDirectory(prefix="withstand-") as place:
            mirror = Mirror(Path(place), self.address)
            block = moved(self.block, self.folder, mirror.folder)
            yield block
            mirror.push(last=block.marker)


@dataclass(frozen=True)
class StoredContent:
    """Shared content in an object store.

    Attributes:
        address: Of the content.
        digest: SHA-256 of the content, which comes with the block.
    """

    address: Address
    digest: str

    def read(self) -> bytes:
        """Return the content.

        Raises:
            InputError: If it is not what was stored.
        """
        return checked(self.address.read_bytes(most=MOST), self.digest, self.address)


class StoringPool(Pool):
    """A pool whose blocks store their files in an object store; of each block that is done, the marker is copied."""

    def __init__(self, pool: Pool, mirror: Mirror) -> None:
        """Wrap a pool.

        Args:
            pool: Does the blocks.
            mirror: Of the folder in which their paths lie.
        """
        self.pool, self.mirror = pool, mirror
        self.blocks: dict[str, Block] = {}

    @property
    def free(self) -> int:
        """Number of blocks that can begin now."""
        return self.pool.free

    def begin(self, key: str, block: Block) -> None:
        """Begin a block."""
        self.blocks[key] = block
        self.pool.begin(key, StoredBlock(block, self.mirror.folder, self.mirror.address))

    def wait(self, seconds: float) -> list[tuple[str, Outcome]]:
        """Return the blocks that ended."""
        ended = []
        for key, outcome in self.pool.wait(seconds):
            block = self.blocks.pop(key)
            if outcome.state == State.DONE:
                try:
                    self.mirror.pull_file(block.marker)
                except FileNotFoundError:
                    outcome = Outcome(State.LOST, f"{block.marker.name} is gone; another command removed it.")
            ended.append((key, outcome))
        return ended

    def share(self, content: bytes, path: Path) -> Shared:
        """Store content where all blocks can read it."""
        # Another command may share something in this folder, and removes the folder when it ends.
        own = path.with_name(f".{path.name}.{uuid4().hex[:12]}.tmp")
        address = self.mirror.address / own.resolve().relative_to(self.mirror.folder).as_posix()
        address.write_bytes(content)
        self.mirror.known[address.relative_to(self.mirror.address).as_posix()] = (0, 0)  # removed at the end
        return StoredContent(address, sha256(content).hexdigest())

    def close(self) -> None:
        """Close the pool."""
        self.pool.close()


def moved(block: Block, old: Path, new: Path) -> Block:
    """Return a block whose paths lie below another folder."""
    own: Any = block
    values = {each.name: getattr(own, each.name) for each in fields(own)}
    paths = {name: each for name, each in values.items() if isinstance(each, Path) and each.is_relative_to(old)}
    return replace(own, **{name: new / each.relative_to(old) for name, each in paths.items()})


def files_below(folder: Path) -> dict[str, Path]:
    """Return the files below a folder by their relative names, in the order in which they were written."""
    found: list[tuple[int, str, Path]] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each not in LEFT_OUT]
        for path in (Path(place) / each for each in names if each != LOCK and not TEMPORARY.fullmatch(each)):
            found.append((path.stat().st_mtime_ns, path.relative_to(folder).as_posix(), path))
    return {name: path for _, name, path in sorted(found)}


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
