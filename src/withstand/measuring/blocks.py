"""Blocks of a pass: ranges of samples under all conditions, measured in this process or in many."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from withstand.data.base import Split
from withstand.engine import Engine
from withstand.evaluation.base import Evaluation
from withstand.evaluation.loop import blocks, samples_per_block
from withstand.measuring.parts import Parts, part_name
from withstand.pools.block import Block
from withstand.pools.pool import Pool
from withstand.pools.shared import Shared, on_cpu, packed, unpacked
from withstand.pools.work import drain

BLOCKS_PER_PROCESS = 4  # at least, so that all processes end at about the same time
MOST_BATCHES, MOST_OUTCOMES = 16, 4096  # of a block, which is lost if it is interrupted; one batch at least
SHARED = "work.pickle"


class Work(NamedTuple):
    """What all blocks of a pass share.

    Attributes:
        evaluations: Adapted to the samples.
        states: State of each of them, from `prepare`.
        model: The model.
        split: The samples.
        conditions: Of all evaluations, in the order of the parts.
        seed: Seed of every draw.
    """

    evaluations: Sequence[Evaluation]
    states: Sequence[Any]
    model: nn.Module
    split: Split
    conditions: Sequence[str]
    seed: int


@dataclass(frozen=True)
class Spread:
    """How to measure in many processes.

    Attributes:
        open_pool: Opens a pool, given the folder of a model's outcomes and the number of blocks.
        num_processes: How many blocks are done at a time, about.
        warn: Receives a sentence about lost processes.
    """

    open_pool: Callable[[Path, int], Pool]
    num_processes: int
    warn: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class SampleBlock(Block):
    """A range of samples, whose outcomes become a part.

    Attributes:
        work: Reads the work of the pass.
        folder: Of the parts.
        start: The first sample.
        stop: The sample after the last.
        batch_size: Samples per batch, the same on every machine.
    """

    work: Shared
    folder: Path
    start: int
    stop: int
    batch_size: int

    def do(self, engine: Engine) -> None:
        """Measure the samples and write their part."""
        work = loaded(self.work, str(engine.device))
        parts = Parts(self.folder, work.conditions, seconds=inf, writes=True)
        options = {"seed": work.seed, "engine": replace(engine, batch_size=self.batch_size)}
        for block in blocks(*work[:4], start=self.start, stop=self.stop, **options):
            parts.waiting.append(block)
        parts.flush()

    @property
    def marker(self) -> Path:
        """The part."""
        return self.folder / part_name(self.start, self.stop)


def measured(
    work: Work,
    parts: Parts,
    missing: Sequence[tuple[int, int]],
    *,
    engine: Engine,
    spread: Spread | None,
    home: Path | None,
) -> Iterator[int]:
    """Measure ranges of samples, add the outcomes to the parts, and yield the number of samples as it goes on.

    Args:
        work: The pass.
        parts: Receive the outcomes.
        missing: The ranges.
        engine: Device and processes.
        spread: Measures in many processes; None measures in this one, as for outcomes that are kept in memory.
        home: Folder of the model's outcomes.
    """
    if spread is None or home is None or parts.folder is None:
        for start, stop in missing:
            for block in blocks(*work[:4], seed=work.seed, engine=engine, start=start, stop=stop):
                parts.add(block)
                yield block.stop - block.start
        return
    size = samples_per_block(work.evaluations, work.split, engine)
    ranges = divided(missing, size, conditions=len(work.conditions), processes=spread.num_processes)
    if not ranges:
        return
    with spread.open_pool(home, len(ranges)) as pool:
        content = packed("evaluate", (work.evaluations, work.states, on_cpu(work.model)), work[3:])
        shared = pool.share(content, parts.folder / SHARED)
        each = [SampleBlock(shared, parts.folder.resolve(), *own, size) for own in ranges]
        with closing(drain(each, pool, who="evaluate", warn=spread.warn)) as done:
            for block in done:
                yield block.stop - block.start


def divided(missing: Sequence[tuple[int, int]], size: int, *, conditions: int, processes: int) -> list[tuple[int, int]]:
    """Divide ranges into blocks of whole batches.

    Args:
        missing: Ranges of samples, each with the one after its last.
        size: Samples of a batch.
        conditions: Of every sample; the more there are, the fewer batches has a block.
        processes: That share the work; each gets at least four blocks, if there are enough batches.

    Example:
        >>> divided([(0, 20), (30, 33)], 2, conditions=1, processes=1)
        [(0, 6), (6, 12), (12, 18), (18, 20), (30, 33)]
    """
    batches = sum(-(-(stop - start) // size) for start, stop in missing)
    most = min(MOST_BATCHES, MOST_OUTCOMES // (size * max(1, conditions)), batches // (processes * BLOCKS_PER_PROCESS))
    step = size * max(1, most)
    return [(first, min(first + step, stop)) for start, stop in missing for first in range(start, stop, step)]


@lru_cache(maxsize=1)
def loaded(shared: Shared, device: str) -> Work:
    """Return the work of a pass on a device, read once per process."""
    moved, kept = unpacked(shared, device)
    return Work(*moved, *kept)
