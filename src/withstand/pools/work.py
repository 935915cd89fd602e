"""Work through a list of blocks."""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TypeVar

from withstand.engine import Engine
from withstand.errors import TrainingError, stop_if_asked
from withstand.pools.block import Block, Outcome, State, failed
from withstand.pools.pool import Pool

Kind = TypeVar("Kind", bound=Block)
OpenPool = Callable[[int], Pool]
MOST_LOSSES = 3
SECONDS_BETWEEN_LOOKS = 1.0


def work(
    blocks: Mapping[str, Block],
    pool: Pool,
    *,
    on_begin: Callable[[str], None] = lambda _: None,
    on_loss: Callable[[str], None] = lambda _: None,
) -> Iterator[tuple[str, Outcome]]:
    """Do blocks, and yield the key of each with how it ended: done or failed.

    A block whose process or machine is lost is done again; after three losses it has failed. Blocks that other
    processes work on are waited for. Failed blocks are not repeated; the others continue.

    Args:
        blocks: By their keys.
        pool: Does them.
        on_begin: Receives the key of a block that begins.
        on_loss: Receives the key of a block that is lost and will be done again.
    """
    waiting = deque(blocks)
    losses = dict.fromkeys(waiting, 0)
    at_work: set[str] = set()
    elsewhere: dict[str, float] = {}
    while waiting or at_work or elsewhere:
        stop_if_asked()
        now = time.monotonic()
        for key in [key for key, due in elsewhere.items() if due <= now]:
            del elsewhere[key]
            waiting.append(key)
        while waiting and pool.free:
            key = waiting.popleft()
            at_work.add(key)
            on_begin(key)
            pool.begin(key, blocks[key])
        for key, outcome in pool.wait(SECONDS_BETWEEN_LOOKS if at_work else SECONDS_BETWEEN_LOOKS / 4):
            at_work.discard(key)
            if outcome.state == State.LOST:
                losses[key] += 1
                if losses[key] < MOST_LOSSES:
                    waiting.append(key)
                    on_loss(key)
                    continue
                outcome = failed(blocks[key], f"lost {MOST_LOSSES} times; {outcome.problem}")
            if outcome.state == State.BUSY:
                elsewhere[key] = time.monotonic() + SECONDS_BETWEEN_LOOKS
                continue
            yield key, outcome


def finish(
    blocks: Sequence[Kind],
    *,
    who: str,
    engine: Engine,
    open_pool: OpenPool | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Generator[Kind]:
    """Do blocks of one task, and yield each that is done; the first failure ends the task.

    Args:
        blocks: What is missing.
        who: Name of the task, for messages.
        engine: Does them in this process, if there is no pool.
        open_pool: Opens a pool for a number of blocks; it is closed at the end.
        warn: Receives a sentence about lost processes.

    Raises:
        TrainingError: If a block is lost three times.
        Exception: That of the first block that fails.
    """
    if open_pool is None:
        for each in blocks:
            stop_if_asked()
            each.do(engine)
            yield each
        return
    if blocks:
        with open_pool(len(blocks)) as pool:
            yield from drain(blocks, pool, who=who, warn=warn)


def drain(
    blocks: Sequence[Kind], pool: Pool, *, who: str, warn: Callable[[str], None] = lambda _: None
) -> Generator[Kind]:
    """Do blocks of one task in a pool, and yield each that is done; see `finish`."""
    by_key = {str(number): each for number, each in enumerate(blocks)}

    def on_loss(_: str) -> None:
        warn(f"{who}: a worker process is lost; its work is repeated.")

    for key, outcome in work(by_key, pool, on_loss=on_loss):
        if outcome.state == State.FAILED:
            raise outcome.error or TrainingError(f"{who}: a part of the work failed: {outcome.problem}")
        yield by_key[key]
