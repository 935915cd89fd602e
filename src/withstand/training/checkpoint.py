"""Atomic checkpoints, read without running code."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import torch

from withstand.errors import InputError, told
from withstand.files import check_no_folder, check_no_link, sync_folder, write_whole
from withstand.limits import NonNegativeInt
from withstand.models.weights import check_buffers
from withstand.reading.places import is_file
from withstand.study.records import built

LAST, PREVIOUS = "last.checkpoint", "previous.checkpoint"
DIGEST = 32


def save(folder: Path, content: dict[str, Any], *, identity: str) -> None:
    """Write a checkpoint atomically; the folder holds a complete checkpoint at every moment.

    Args:
        folder: Holds the two checkpoints and at most one temporary file.
        content: Tensors and plain values, nested.
        identity: Identity of the configuration; another one cannot resume from the checkpoint.
    """
    buffer = io.BytesIO()
    torch.save({"identity": identity, "content": content}, buffer)
    body = buffer.getvalue()
    folder.mkdir(parents=True, exist_ok=True)
    for name in (LAST, PREVIOUS):
        check_no_folder(folder / name)
    if (folder / LAST).exists():
        (folder / LAST).replace(folder / PREVIOUS)
        sync_folder(folder)
    # The leading hash detects any damage.
    write_whole(folder / LAST, sha256(body).digest() + body)


def load(folder: Path, *, identity: str) -> dict[str, Any] | None:
    """Return the newest checkpoint that can be read, or None if there is none.

    Raises:
        InputError: If the checkpoint belongs to another configuration, or checkpoints exist but none can be read.
    """
    problems = []
    for name in (LAST, PREVIOUS):
        path = folder / name
        if not path.exists():
            continue
        whole = read(path)
        if whole is None:
            problems.append(str(path))
            continue
        if whole["identity"] != identity:
            raise InputError(
                f"checkpoint: {path} was made by configuration {whole['identity']}, expected {identity}; "
                "give the same configuration, or another output folder."
            )
        return whole["content"]
    if problems:
        raise InputError(
            f"checkpoint: none can be read: {', '.join(problems)}; remove them to start from the beginning."
        )
    return None


def read(path: Path) -> dict[str, Any] | None:
    """Return the content of a checkpoint file, or None if it is damaged; never runs code in it."""
    try:
        content = path.read_bytes() if is_file(path) else b""  # no pipe
        digest, body = content[:DIGEST], content[DIGEST:]
        if sha256(body).digest() != digest:
            return None
        check_buffers(io.BytesIO(body))
        whole = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except Exception:  # a damaged pickle can end in almost any error
        return None
    kinds = {"identity": str, "content": dict} if isinstance(whole, dict) else {}
    return whole if kinds and all(isinstance(whole.get(name), kind) for name, kind in kinds.items()) else None


def clear(folder: Path) -> None:
    """Remove temporary files of a killed process."""
    check_no_link(folder)
    for path in folder.glob("*.checkpoint*.tmp"):
        path.unlink()


class _Progress(NamedTuple):
    """Progress of a training."""

    epoch: NonNegativeInt
    step: NonNegativeInt
    rows: NonNegativeInt
    loss_sum: float
    history: tuple[dict[str, float], ...]


class _Best(NamedTuple):
    """The best epoch so far."""

    value: float
    epoch: int
    model: dict | None


class _State(NamedTuple):
    """The state of a trainer."""

    update: dict
    objective: dict
    progress: _Progress
    best: _Best


def check_state(content: dict[str, Any]) -> None:
    """Refuse content that is not the state of a trainer.

    Raises:
        ValueError: If something is missing or of another kind.
    """
    built(_State, content)


@contextmanager
def refused(folder: Path) -> Iterator[None]:
    """Turn any error of loading a state into one that names the checkpoint, since its content may be arbitrary.

    Raises:
        InputError: If anything within fails.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as problem:
        raise InputError(
            f"checkpoint: {folder / LAST} does not fit this training ({told(problem)}), it may be of another version; "
            f"remove {folder} to start from the beginning."
        ) from problem


class Keeper:
    """Saves the checkpoints of a run at intervals that bound both lost work and overhead."""

    def __init__(self, folder: Path | None, *, identity: str, writes: bool = True, seconds: float = 10.0) -> None:
        """Configure the folder and the interval.

        Args:
            folder: None keeps nothing.
            identity: Identity of the configuration.
            writes: Whether this process is the one that writes.
            seconds: Minimum time between two checkpoints; increased so that saving takes at most 5 % of the time.
        """
        self.folder, self.identity, self.writes, self.seconds = folder, identity, writes, seconds
        self.saved, self.cost = time.monotonic(), 0.0

    def resume(self, load_state_dict: Callable[[dict[str, Any]], None]) -> None:
        """Pass the newest checkpoint, if any, to a function.

        Raises:
            InputError: If none can be read, or the function cannot use it, such as one of another version.
        """
        if self.folder is None:
            return
        if self.writes:
            clear(self.folder)
        content = load(self.folder, identity=self.identity)
        if content is not None:
            with refused(self.folder):
                check_state(content)
                load_state_dict(content)

    def save_now_and_then(self, content: Callable[[], dict[str, Any]]) -> None:
        """Save if enough time has passed."""
        if self.folder and self.writes and time.monotonic() - self.saved > max(self.seconds, 20 * self.cost):
            self.save(content)

    def save(self, content: Callable[[], dict[str, Any]]) -> None:
        """Save the checkpoint."""
        if self.folder and self.writes:
            begun = time.monotonic()
            save(self.folder, content(), identity=self.identity)
            self.saved, self.cost = time.monotonic(), time.monotonic() - begun
