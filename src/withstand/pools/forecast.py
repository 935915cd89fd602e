"""Forecast: what long work will cost, before it begins."""

import resource
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from math import ceil, log10
from typing import TypeVar

import torch

from withstand.rendering.grid import Grid

Item = TypeVar("Item")
UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What long work will cost, estimated from its first samples.

    Attributes:
        title: The work.
        counts: What there is to do, by name, such as samples.
        blocks: Number of blocks.
        seconds: In total, if one process does all blocks.
        device: Where this was measured.
        processes: That share the work.
        start: Seconds until the first block begins: the start of the command, and of other processes meanwhile.
        disk: Bytes that are written.
        memory: Bytes of one process.
        notes: What is left out.
    """

    title: str
    counts: Mapping[str, int]
    blocks: int
    seconds: float
    device: str
    processes: int = 1
    start: float = 0.0
    disk: int = 0
    memory: int = field(default_factory=lambda: peak_memory())
    notes: tuple[str, ...] = ()

    def elapsed(self, machines: int = 1) -> float:
        """Return the seconds from the start of the command until the last block is done, on machines like this one."""
        places = max(1, min(self.processes * machines, self.blocks))
        turns = ceil(self.blocks / places)  # blocks of the process that has most
        return self.start + self.seconds * turns / max(1, self.blocks)

    def grid(self) -> Grid:
        """Return the forecast as a table."""
        whole, saved = self.elapsed(), self.elapsed() - self.elapsed(2)
        what = "core" if self.device == "cpu" else self.device
        lines = {name: f"{count:,}" for name, count in self.counts.items()}
        lines |= {
            "blocks": f"{self.blocks:,}",
            f"time on one {what}": duration(self.seconds),
            f"time with {self.processes} process{'es' if self.processes > 1 else ''}": duration(whole),
            "saved by a second machine": duration(max(0.0, saved)),
            "disk": size(self.disk),
            "memory": f"{self.processes} x {size(self.memory)}",
        }
        there = () if self.blocks else ("Nothing is missing.",)
        return Grid(title=self.title, columns=("", "forecast"), lines=tuple(lines.items()), notes=(*self.notes, *there))


@contextmanager
def one_thread(wanted: bool) -> Iterator[None]:
    """Use one thread within, as processes that share the work do, if wanted."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if wanted else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def in_turns(kinds: Iterable[list[Item]]) -> Iterator[Item]:
    """Yield the items of several kinds in turns, from the middle of each kind on.

    Example:
        >>> list(in_turns([["fog/1", "fog/2", "fog/3"], ["snow/1"]]))
        ['fog/2', 'snow/1', 'fog/3', 'fog/1']
    """
    middle_first = [own[len(own) // 2 :] + own[: len(own) // 2] for own in kinds]
    for turn in zip_longest(*middle_first):
        yield from (each for each in turn if each is not None)


def peak_memory() -> int:
    """Return the largest number of bytes of memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def size(number: float) -> str:
    """Return a number of bytes in a readable unit.

    Example:
        >>> size(512), size(1_450_000), size(2.3e13)
        ('512 B', '1.4 MB', '23 TB')
    """
    power = min(len(UNITS) - 1, int(log10(max(number, 1)) // 3))
    number, unit = number / 1000**power, UNITS[power]
    return f"{number:.0f} {unit}" if number >= 10 or unit == "B" else f"{number:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return a duration in a readable unit.

    Example:
        >>> duration(0.31), duration(45), duration(100), duration(60 * 50), duration(3600 * 7.3), duration(3600 * 73)
        ('0.3 s', '45 s', '1.7 min', '50 min', '7.3 h', '73 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.1f} min" if seconds < 60 * 9.95 else f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 3600 * 48 else f"{seconds / 3600:.0f} h"
