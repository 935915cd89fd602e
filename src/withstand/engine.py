"""Devices, processes and workers; does not affect results."""

import atexit
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from withstand.errors import InputError

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Devices and processes that share the work.

    Attributes:
        device: The device of this process.
        num_workers: Processes that decode files, per process of the engine.
        rank: Number of this process.
        world_size: Number of processes.
        batch_size: Samples per batch and process in evaluation; None chooses by the size of the inputs.
        checkpoint_seconds: Minimum seconds between two checkpoints of a training, and between two parts of an
            evaluation.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    num_workers: int = 0
    rank: int = 0
    world_size: int = 1
    batch_size: int | None = None
    checkpoint_seconds: float = 10.0

    @classmethod
    def start(cls, *, device: str = "auto", num_workers: int = 0, batch_size: int | None = None) -> "Engine":
        """Return the engine for this process, joining the others if there are any.

        Several processes are those that `accelerate launch` or `torchrun` started.

        Args:
            device: `auto` (CUDA, else the Apple GPU, else the CPU), `cpu`, `cuda`, `cuda:1`, `mps`.
            num_workers: Processes that decode files.
            batch_size: Samples per batch and process in evaluation; None chooses by the size of the inputs.

        Raises:
            InputError: If there is no such device.
        """
        check_device(device)
        if batch_size is not None and batch_size < 1:
            raise InputError(f"batch_size: expected a number of samples >= 1, got {batch_size}.")
        if num_workers < 0:
            raise InputError(f"workers: expected a number of processes >= 0, got {num_workers}.")
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            kind = "cuda" if torch.cuda.is_available() else "mps" if mps_available() else "cpu"
            chosen = torch.device(kind if device == "auto" else device)
            return cls(device=chosen, num_workers=num_workers, batch_size=batch_size)
        from accelerate import PartialState

        state = PartialState(cpu=device == "cpu" or not torch.cuda.is_available())
        # Otherwise communication threads outlive the interpreter and abort the process on exit.
        atexit.register(leave_group)
        return cls(
            device=torch.device(state.device or "cpu"),
            num_workers=num_workers,
            rank=state.process_index,
            world_size=state.num_processes,
            batch_size=batch_size,
        )

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def place(self, model: nn.Module) -> nn.Module:
        """Move a model to the device, with the channels of its convolutions' weights last in memory, and return it.

        Convolutions follow the layout of their weights, and most are much faster with this one, on CPUs too.
        """
        if any(each.ndim == 5 for each in model.parameters()):
            return model.to(self.device)
        return model.to(self.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def share(self, total: int) -> tuple[int, int, float]:
        """Return start and stop of this process's share of a batch, and the share's weight.

        Where there are fewer rows than processes, a process without any borrows the first one with weight 0.

        Example:
            >>> Engine(rank=1, world_size=2).share(10)
            (5, 10, 0.5)
        """
        start, stop = total * self.rank // self.world_size, total * (self.rank + 1) // self.world_size
        return (start, stop, (stop - start) / total) if stop > start else (0, 1, 0.0)

    def samples_per_batch(self, shape: tuple[int, ...]) -> int:
        """Return the number of samples in an evaluation batch: as given, else by the size of the inputs.

        At most 32 MB of inputs and 4096 rows of a table, or 1024 images; on a CPU 128 images, whose activations then
        fit its caches.
        """
        most = 4096 if len(shape) < 3 else 128 if self.device.type == "cpu" else 1024
        return self.batch_size or max(1, min(most, 2**23 // math.prod(shape)))

    def add_up(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes; the tensor itself may be changed."""
        return sum_over_processes(tensor)

    def gather(self, value: Any) -> list[Any]:
        """Return a value of every process, in their order, in every process."""
        if self.world_size == 1:
            return [value]
        found: list[Any] = [None] * self.world_size
        dist.all_gather_object(found, value)
        return found

    def of_first(self, value: Any) -> Any:
        """Return the value that the first process has, in every process."""
        if self.world_size == 1:
            return value
        found = [value]
        dist.broadcast_object_list(found, 0)
        return found[0]

    def first(self, work: Callable[[], Result]) -> Result:
        """Return what some work gives that only the first process does; a problem there is raised in every process."""
        if self.world_size == 1:
            return work()
        found: tuple[Any, Exception | None] = (None, None)
        if self.is_first:
            try:
                found = (work(), None)
            except Exception as problem:  # whatever it is, the others must not wait for it
                found = (None, problem)
        value, problem = self.of_first(found)
        if problem is not None:
            raise problem
        return value

    def seed_global_generators(self, seed: int) -> None:
        """Seed the global generators of the CPU and this device, for dropout and similar layers."""
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def copy_first(self, tensors: Iterator[Tensor]) -> None:
        """Overwrite tensors by the first process's."""
        if self.world_size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def wait(self) -> None:
        """Wait until every process has come here."""
        if self.world_size > 1:
            dist.barrier()


def sum_over_processes(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor over the processes; the tensor itself may be changed."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(tensor)
    return tensor


def leave_group() -> None:
    """Leave the process group."""
    if dist.is_initialized():
        dist.destroy_process_group()


def mps_available() -> bool:
    """Return whether an Apple GPU can be used."""
    return torch.backends.mps.is_available()


def check_device(device: str) -> None:
    """Reject a device that does not exist.

    Raises:
        InputError: If the name is unknown or the machine lacks the device.
    """
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (number and not number.isdigit()):
        raise InputError(f"device: expected auto, cpu, cuda, cuda:N or mps, got {device}.")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device: {device} was asked for, but PyTorch sees {torch.cuda.device_count()} CUDA devices here."
        )
    if kind == "mps" and not mps_available():
        raise InputError("device: mps was asked for, but PyTorch sees no Apple GPU here.")
