"""The evaluation loop: batches, devices and processes."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import ceil
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from withstand.data.base import Split
from withstand.engine import Engine
from withstand.errors import InputError, stop_if_asked
from withstand.evaluation.base import Columns, Evaluation, Outcomes
from withstand.functional.random import RowStreams
from withstand.models.frozen import blamed, evaluating, with_gradients
from withstand.study.measures.measure import NUMBER

RESERVED = ("number", "label", "identifier", "source", "model", "condition")


class Block(NamedTuple):
    """The outcomes of a range of samples, on the CPU.

    Attributes:
        start: Index of the first sample in the split.
        stop: Index after the last one.
        number: Number of each sample that could be read.
        label: Class of each of these samples.
        columns: By condition and column.
    """

    start: int
    stop: int
    number: Tensor
    label: Tensor
    columns: dict[str, Columns]


def prepare(evaluation: Evaluation, model: nn.Module, fit_on: Split, split: Split, *, seed: int, engine: Engine) -> Any:
    """Return the state of an evaluation; see `Evaluation.prepare`."""
    with evaluating(model), blamed(model, split.shape, engine.device):
        return evaluation.prepare(model, fit_on, space=split.space, seed=seed, engine=engine)


def blocks(
    evaluations: Sequence[Evaluation],
    states: Sequence[Any],
    model: nn.Module,
    split: Split,
    *,
    seed: int,
    engine: Engine,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[Block]:
    """Yield the outcomes of all evaluations block by block, in order, the same in every process.

    Each batch is fetched once and is one block. Batches depend on the batch size and the evaluations alone, so the
    values do not depend on the number of processes or on interruptions.

    Args:
        evaluations: Evaluations, adapted to the split.
        states: State of each of them, from `prepare`.
        model: Maps inputs to logits; on the engine's device.
        split: The samples.
        seed: Seed of every draw.
        engine: Device, processes and batch size.
        start: The first sample.
        stop: The sample after the last; None goes to the end.
    """
    size = samples_per_block(evaluations, split, engine)
    batches_of = torch.arange(start, len(split) if stop is None else stop).split(size)
    plan = [places for places in batches_of if len(places)]  # an empty tensor splits into one empty part
    share = plan[engine.rank :: engine.world_size]
    batches = iter(split.batches(share, device=engine.device, num_workers=engine.num_workers))
    first_names: dict[str, set[str]] = {}

    def work(places: Tensor) -> Block:
        x, y, number = next(batches)[:3]
        block = Block(int(places[0]), int(places[-1]) + 1, number.cpu(), y.cpu(), {})
        if len(x) == 0:  # none of the files could be read
            return block
        rng = RowStreams(seed, number, device=engine.device)
        for evaluation, state in zip(evaluations, states, strict=True):
            # Per batch, so that the model's mode is restored before a block is yielded.
            with torch.no_grad(), evaluating(model), blamed(model, split.shape, engine.device):
                found = evaluation.outcomes(model, x, y, space=split.space, state=state, rng=rng)
            block.columns.update(_checked(evaluation, found, len(x), len(split.classes)))
        _check_same(block, first_names)
        return block

    for turn in range(ceil(len(plan) / engine.world_size)):
        yield from _of_all_processes(engine, partial(work, share[turn]) if turn < len(share) else None)


def _check_same(block: Block, first_names: dict[str, set[str]]) -> None:
    """Reject a block with other columns than the first one."""
    names = {condition: set(columns) for condition, columns in block.columns.items()}
    if (before := first_names or names) != names:
        raise InputError(f"evaluation: columns must be the same in every batch, got {before} and {names}.")
    first_names.update(names)


def samples_per_block(evaluations: Sequence[Evaluation], split: Split, engine: Engine) -> int:
    """Return how many samples are measured together."""
    limits = [each.most_per_block for each in evaluations if each.most_per_block is not None]
    return min([engine.samples_per_batch(split.shape), *limits])


def _of_all_processes(engine: Engine, work: Callable[[], Block] | None) -> list[Block]:
    """Return the blocks of all processes that have one; an exception in one process is raised in all."""
    stop_if_asked()
    mine: Block | Exception | None = None
    try:
        mine = work() if work else None
    except (InputError, RuntimeError) as problem:
        if engine.world_size == 1:
            raise
        mine = problem
    found = engine.gather(mine)
    for each in found:
        if isinstance(each, Exception):
            raise each
    return [each for each in found if each is not None]


@with_gradients()
def measure_all(
    evaluation: Evaluation,
    model: nn.Module,
    split: Split,
    *,
    seed: int,
    engine: Engine,
    fit_on: Split | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> Outcomes:
    """Return the outcomes of all samples of a split; see `Evaluation.measure`."""
    evaluation = evaluation.adapted(split)
    state = prepare(evaluation, model, fit_on or split, split, seed=seed, engine=engine)

    def measured(state: Any) -> Outcomes:
        found: list[Block] = []
        for block in blocks([evaluation], [state], model, split, seed=seed, engine=engine):
            found.append(block)
            tell(block.stop)
        return joined(found)

    outcomes = measured(state)
    while (further := evaluation.further(outcomes.columns, state=state)) is not None:
        more = measured(further).columns
        outcomes = outcomes._replace(columns={name: own | more[name] for name, own in outcomes.columns.items()})
    numbers = evaluation.conclude(model, split, outcomes.columns, state=state, engine=engine)
    return outcomes._replace(numbers=numbers, notes=evaluation.remarks(outcomes.columns, state=state))


def joined(found: Sequence[Block]) -> Outcomes:
    """Return the outcomes of several blocks together, in the order of the samples' numbers."""
    number = torch.cat([each.number for each in found]) if found else torch.zeros(0, dtype=torch.int64)
    order = number.argsort(stable=True)
    filled = [each for each in found if len(each.number)]
    columns = {
        condition: {name: torch.cat([each.columns[condition][name] for each in filled])[order] for name in names}
        for condition, names in (filled[0].columns.items() if filled else ())
    }
    label = torch.cat([each.label for each in found]) if found else number
    return Outcomes(number[order], label[order], columns, {}, {})


def _checked(
    evaluation: Evaluation, found: dict[str, dict[str, Tensor]], count: int, num_classes: int
) -> dict[str, Columns]:
    """Return the outcomes of a batch on the CPU, in small types.

    Raises:
        InputError: If they differ from what the evaluation declares.
    """
    who = type(evaluation).__name__
    if not isinstance(found, dict) or set(found) != set(evaluation.conditions):
        given = list(found) if isinstance(found, dict) else type(found).__name__
        raise InputError(
            f"{who}: outcomes must be given for the conditions {list(evaluation.conditions)}, got {given}."
        )
    there = {name for columns in found.values() for name in columns}
    for measure in evaluation.measures:
        if measure.reduction != NUMBER and measure.column not in there:
            raise InputError(
                f"{who}: the measure {measure.name} needs the column {measure.column}, got {sorted(there)}."
            )
    return {
        condition: {name: _column(who, name, each, count, num_classes) for name, each in columns.items()}
        for condition, columns in found.items()
    }


def _column(who: str, name: str, column: Tensor, count: int, num_classes: int) -> Tensor:
    """Return a column on the CPU, in a small type."""
    who = f"{who}: column {name}"
    if name in RESERVED or not name:
        raise InputError(f"{who} has a reserved name; choose another one.")
    if not isinstance(column, Tensor):
        raise InputError(f"{who} must be a tensor, got {type(column).__name__}.")
    if column.shape != (count,) or column.is_complex():
        raise InputError(
            f"{who} must hold one value per sample ({count}), got shape {tuple(column.shape)} of {column.dtype}."
        )
    column = column.detach().cpu()
    if column.is_floating_point():
        if column.isnan().any():
            raise InputError(f"{who} must hold numbers, got NaN.")
        column = column.float() if column.dtype in (torch.float16, torch.bfloat16) else column
    elif column.dtype == torch.int64 and column.abs().max() < 2**31:
        column = column.int()
    if name in ("prediction", "confidence"):
        least, most = (-1, num_classes - 1) if name == "prediction" else (0, 1)
        if column.is_floating_point() == (name == "prediction") or column.min() < least or column.max() > most:
            raise InputError(
                f"{who} must hold {'classes' if name == 'prediction' else 'probabilities'} from {least} to {most}, got "
                f"{column.min().item():g} to {column.max().item():g} of {column.dtype}."
            )
    return column
