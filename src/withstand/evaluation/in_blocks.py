"""Measuring block by block: what is done is kept, and a killed measurement goes on."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from withstand.data.base import Section, Split
from withstand.engine import Engine
from withstand.evaluation.base import Evaluation
from withstand.files import write_whole
from withstand.study.row import Row, add

# Few, since there may be very many conditions; later blocks follow the clock.
SAMPLES_OF_FIRST_BLOCK = 32


def measure_in_blocks(
    evaluation: Evaluation,
    model: nn.Module,
    split: Split,
    *,
    seed: int,
    engine: Engine,
    keep: Path,
    tell: Callable[[int], None] = lambda _: None,
) -> list[Row]:
    """Return the rows of an evaluation, whose sums are kept in a file about every `engine.checkpoint_seconds`.

    Rows of parts of a split add up to the rows of the whole, so nothing in the evaluation has to know.

    Args:
        evaluation: What is measured.
        model: Maps inputs to logits; on the engine's device.
        split: The samples.
        seed: Decides every draw.
        engine: Device and processes, the same number of which need not come back.
        keep: File of what is done so far; removing it is up to the caller, when the rows are safe elsewhere.
        tell: Is told the number of samples done, in the beginning and after every block.
    """
    done, rows = _kept(keep)
    engine.wait()
    size = SAMPLES_OF_FIRST_BLOCK * engine.world_size
    tell(done)
    while done < len(split) or not rows:
        stop, started = min(len(split), done + size), time.monotonic()
        part = list(evaluation.measure(model, Section(split, done, stop), seed=seed, engine=engine))
        rows, done = add(rows, part) if rows else part, stop
        if engine.is_first and done < len(split):
            content = {"samples": done, "rows": [asdict(each) for each in rows]}
            write_whole(keep, json.dumps(content).encode())
        tell(done)
        # Every process must come to the same size, so they agree on the time.
        seconds = engine.add_up(torch.tensor(time.monotonic() - started, device=engine.device)).item()
        wanted = engine.checkpoint_seconds * engine.world_size / max(seconds, 1e-3)
        size = int(size * min(4.0, max(0.25, wanted))) or 1
    return rows


def _kept(path: Path) -> tuple[int, list[Row]]:
    if not path.is_file():
        return 0, []
    content = json.loads(path.read_text())
    return content["samples"], [Row(**each) for each in content["rows"]]
