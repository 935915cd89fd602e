"""Random numbers from named streams of one seed."""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import torch
from torch import Generator, Tensor

from withstand.errors import InputError, told
from withstand.functional.tensors import Device
from withstand.limits import Seed, checked


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a seed below 2^63 that depends on the seed and every name, in order.

    Example:
        >>> derive_seed(0, "data/order", 1) == derive_seed(0, "data/order", 1) != derive_seed(0, "data/order", 2)
        True
    """
    text = json.dumps([seed, *names]).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


@checked
def stream(seed: Seed, *names: str | int, device: Device = "cpu") -> Generator:
    """Return the generator for one purpose; the same seed and names give the same numbers.

    Args:
        seed: The seed of the experiment.
        names: What the numbers are for, e.g. `"data/order", epoch`.
        device: Device on which the numbers are drawn. Different devices agree only in distribution.

    Raises:
        InputError: If the seed is not a whole number from 0 to 2^63 - 1, or the device is unknown.

    Example:
        >>> a, b = stream(0, "noise", 3), stream(0, "noise", 3)
        >>> torch.equal(torch.rand(4, generator=a), torch.rand(4, generator=b))
        True
    """
    try:
        return Generator(device).manual_seed(derive_seed(seed, *names))
    except RuntimeError as problem:
        raise InputError(f"stream: device must be one of PyTorch, got {device} ({told(problem)}).") from problem


def seeded_globally(device: Device = "cpu") -> Generator:
    """Return a generator seeded by PyTorch's global generator; for transforms outside the package's loops.

    Example:
        >>> seeded_globally().device
        device(type='cpu')
    """
    seed = int(torch.randint(2**62, (), generator=torch.default_generator))
    return Generator(device).manual_seed(seed)


class BatchStream:
    """One source for a batch of `total` rows, in a process that holds the rows from `start` to `stop`.

    Every process draws for the whole batch and keeps its rows, so noise does not depend on the number of processes.
    """

    def __init__(
        self,
        make: Callable[[], Generator],
        *,
        start: int = 0,
        stop: int | None = None,
        total: int,
        weight: float | None = None,
    ) -> None:
        """Store a factory of the generator, which is called when the first number is drawn.

        Args:
            make: The factory.
            start: First row held here.
            stop: The row after the last.
            total: Number of rows of the batch.
            weight: Share of the batch that the rows held here count for; None goes by their number.
        """
        self.make, self.start, self.stop, self.total = make, start, total if stop is None else stop, total
        self.weight = (self.stop - start) / max(1, total) if weight is None else weight

    @cached_property
    def generator(self) -> Generator:
        """The generator, made at first use."""
        return self.make()

    def subset(self, chosen: Tensor, seed: int) -> "BatchStream":
        """Return the stream for the chosen rows of the whole batch (a boolean per row of `total`)."""
        before, upto, total = (int(chosen[:end].sum()) for end in (self.start, self.stop, self.total))
        make = partial(Generator(self.generator.device).manual_seed, seed)
        return BatchStream(make, start=before, stop=upto, total=total)


class RowStreams:
    """One source per row: a row's noise depends on (base, the row's index), not on its neighbours or the batch size."""

    def __init__(self, base: int, index: Tensor, *, device: Device = "cpu") -> None:
        """Store the seeds of the generators, which are made when the first number is drawn."""
        self.base, self.index, self.device = base, index, device

    @cached_property
    def generators(self) -> list[Generator]:
        """One generator per row, made at first use."""
        seeds = [_mix(self.base, each) for each in self.index.tolist()]
        return [Generator(self.device).manual_seed(seed) for seed in seeds]

    def named(self, *names: str | int) -> "RowStreams":
        """Return fresh streams of the same rows for one purpose: those of `row_streams` for this seed and the names."""
        return RowStreams(derive_seed(self.base, *names), self.index, device=self.device)

    def subset(self, rows: Tensor) -> "RowStreams":
        """Return the streams of some rows (indices), in their present state."""
        chosen = RowStreams(self.base, self.index[rows.to(self.index.device)], device=self.device)
        chosen.generators = [self.generators[i] for i in rows.tolist()]
        return chosen


class TrialStreams:
    """One source per trial, for a batch in which row i belongs to trial i modulo the number of trials.

    Each trial draws what it would draw alone for its own rows.
    """

    def __init__(self, makes: Sequence[Callable[[], Generator]]) -> None:
        """Store a factory per trial, called when the first number is drawn."""
        self.makes = makes

    @cached_property
    def generators(self) -> list[Generator]:
        """One generator per trial, made at first use."""
        return [make() for make in self.makes]

    def rows(self, batch: int) -> int:
        """Return how many of `batch` rows each trial has."""
        rows, left = divmod(batch, len(self.makes))
        assert left == 0, f"{batch} rows are not equally many for {len(self.makes)} trials"
        return rows


# The source of a perturbation: one generator for the whole batch, or one of the classes above.
Rng = Generator | BatchStream | RowStreams | TrialStreams


def row_streams(seed: int, *names: str | int, index: Tensor, device: Device = "cpu") -> RowStreams:
    """Return one stream per row, from (seed, names, the row's index in its data set).

    Args:
        seed: The seed of the evaluation.
        names: What the numbers are for, e.g. a condition.
        index: Integer per row.
        device: Where the numbers are drawn.
    """
    return RowStreams(derive_seed(seed, *names), index, device=device)


def uniform(shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Tensor:
    """Return float32 numbers uniform in [0, 1); the first axis of the shape is the batch.

    Example:
        >>> uniform((2, 3), rng=stream(0, "x")).shape
        torch.Size([2, 3])
    """
    return _fill(shape, torch.float32, rng, device, lambda out, g: out.uniform_(generator=g))


def normal(shape: Sequence[int], *, rng: Rng, device: Device | None = None) -> Tensor:
    """Return float32 standard normal numbers; the first axis of the shape is the batch."""
    return _fill(shape, torch.float32, rng, device, lambda out, g: out.normal_(generator=g))


def integers(shape: Sequence[int], low: int, high: int, *, rng: Rng, device: Device | None = None) -> Tensor:
    """Return int64 numbers uniform in low, ..., high - 1; the first axis of the shape is the batch."""
    return _fill(shape, torch.int64, rng, device, lambda out, g: out.random_(low, high, generator=g))


def choice(count: int, num: int, *, rng: Rng) -> list[int]:
    """Return up to `num` different numbers below `count`, in random order; the same in every process of a batch.

    Example:
        >>> sorted(choice(3, 5, rng=stream(0, "x")))
        [0, 1, 2]
    """
    generator = generator_of(rng)
    return torch.randperm(count, generator=generator, device=generator.device)[:num].tolist()


def new_seed(rng: Rng) -> int:
    """Return a seed drawn from a source; the same in every process of a batch."""
    generator = generator_of(rng)
    return int(torch.randint(2**62, (), generator=generator, device=generator.device))


def by_row(rng: Rng, batch: int) -> RowStreams:
    """Return a source for each of the rows held here, from any source."""
    if isinstance(rng, RowStreams):
        return rng
    if isinstance(rng, TrialStreams):
        seeds, rows = [new_seed(each) for each in rng.generators], torch.arange(batch)
        index = [_mix(seeds[row % len(seeds)], row // len(seeds)) for row in rows.tolist()]
        return RowStreams(0, torch.tensor(index, dtype=torch.int64), device=rng.generators[0].device)
    start, seed = (rng.start if isinstance(rng, BatchStream) else 0), new_seed(rng)
    return RowStreams(seed, torch.arange(start, start + batch), device=generator_of(rng).device)


def branches(rng: Rng) -> Callable[[int], Rng]:
    """Return sources by number; the same number gives the same draws again.

    Example:
        >>> branch = branches(stream(0, "x"))
        >>> torch.equal(uniform((2, 3), rng=branch(1)), uniform((2, 3), rng=branch(1)))
        True
    """
    if isinstance(rng, RowStreams):
        bases = torch.tensor([new_seed(each) for each in rng.generators])
        return lambda number: RowStreams(derive_seed(number, "branch"), bases, device=rng.device)
    if isinstance(rng, TrialStreams):
        each = [branches(generator) for generator in rng.generators]
        return lambda number: TrialStreams([partial(generator_of, own(number)) for own in each])
    seed = new_seed(rng)
    if isinstance(rng, Generator):
        return lambda number: stream(seed, "branch", number, device=rng.device)
    device = rng.generator.device

    def shared(number: int) -> BatchStream:
        make = partial(stream, seed, "branch", number, device=device)
        return BatchStream(make, start=rng.start, stop=rng.stop, total=rng.total, weight=rng.weight)

    return shared


def generator_of(rng: Rng) -> Generator:
    """Return the generator of a source; of a source per row, that of the first."""
    if isinstance(rng, TrialStreams):
        raise InputError("random: stacked trials cannot share one random number; train them one by one.")
    return rng if isinstance(rng, Generator) else rng.generator if isinstance(rng, BatchStream) else rng.generators[0]


def _fill(
    shape: Sequence[int],
    dtype: torch.dtype,
    rng: Rng,
    device: Device | None,
    fill: Callable[[Tensor, Generator], Tensor],
) -> Tensor:
    if isinstance(rng, Generator):
        numbers = fill(torch.empty(tuple(shape), dtype=dtype, device=rng.device), rng)
    elif isinstance(rng, BatchStream):
        whole = torch.empty((rng.total, *shape[1:]), dtype=dtype, device=rng.generator.device)
        numbers = fill(whole, rng.generator)[rng.start : rng.stop]
    elif isinstance(rng, TrialStreams):
        own = (rng.rows(shape[0]), *shape[1:])
        parts = [fill(torch.empty(own, dtype=dtype, device=each.device), each) for each in rng.generators]
        numbers = torch.stack(parts, dim=1).flatten(0, 1)
    else:
        numbers = torch.empty(tuple(shape), dtype=dtype, device=rng.device)
        for row, generator in zip(numbers, rng.generators, strict=True):
            fill(row, generator)
    return numbers if device is None else numbers.to(device)


def _mix(base: int, index: int) -> int:
    # The finaliser of splitmix64 (Steele, Lea, Flood 2014): one bit of difference in goes to half of the bits out.
    z = (base + (index + 1) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (z ^ (z >> 31)) >> 1
