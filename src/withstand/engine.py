"""Devices, processes and workers."""

import atexit
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from withstand.errors import InputError, brief
from withstand.limits import NonNegativeInt, PositiveInt, Workers, check_fields, checked

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Devices and processes that share the work. Does not affect results.

    Attributes:
        device: The device of this process.
        num_workers: Processes that decode files, per process of the engine.
        rank: Index of this process, from 0.
        world_size: Number of processes.
        batch_size: Samples per batch and process in evaluation; None chooses by the size of the inputs.
        checkpoint_seconds: Minimum number of seconds between two checkpoints in training, and between two saved parts
            in an evaluation.
        compile: Whether models are compiled by `torch.compile`; changes outputs by rounding.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    num_workers: Workers = 0
    rank: NonNegativeInt = 0
    world_size: PositiveInt = 1
    batch_size: PositiveInt | None = None
    checkpoint_seconds: float = 10.0
    compile: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    @classmethod
    @checked
    def start(
        cls,
        *,
        device: str | torch.device = "auto",
        num_workers: Workers = 0,
        batch_size: PositiveInt | None = None,
        compile: bool = False,
    ) -> "Engine":
        """Return the engine for this process, and join the process group if there are several processes.

        Processes are started by `torchrun`, or by any launcher that sets the same environment variables.

        Args:
            device: `auto` (CUDA, else the Apple GPU, else the CPU), `cpu`, `cuda`, `cuda:1`, `mps`.
            num_workers: Processes that decode files.
            batch_size: Samples per batch and process in evaluation; None chooses by the size of the inputs.
            compile: Whether models are compiled by `torch.compile`.

        Raises:
            InputError: If the device does not exist, or the launcher's environment variables are incomplete.
        """
        device = str(device)
        check_device(device)
        world_size = from_launcher("WORLD_SIZE", least=1)
        if world_size == 1:
            kind = "cuda" if torch.cuda.is_available() else "mps" if mps_available() else "cpu"
            chosen = torch.device(kind if device == "auto" else device)
            return cls(device=chosen, num_workers=num_workers, batch_size=batch_size, compile=compile)
        if not {"RANK", "LOCAL_RANK"} <= os.environ.keys():
            raise InputError(f"processes: WORLD_SIZE is {world_size}, but RANK or LOCAL_RANK is not set; use torchrun.")
        chosen = join_group("cpu" if device == "cpu" or not torch.cuda.is_available() else "cuda")
        own = {"num_workers": num_workers, "batch_size": batch_size, "compile": compile}
        return cls(device=chosen, rank=dist.get_rank(), world_size=world_size, **own)

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def share(self, total: int) -> tuple[int, int, float]:
        """Return the start and stop of this process's share of a batch, and the weight of the share.

        If there are fewer rows than processes, a process without rows takes the first row, with weight 0.

        Example:
            >>> Engine(rank=1, world_size=2).share(10)
            (5, 10, 0.5)
        """
        start, stop = total * self.rank // self.world_size, total * (self.rank + 1) // self.world_size
        return (start, stop, (stop - start) / total) if stop > start else (0, 1, 0.0)

    def samples_per_batch(self, shape: tuple[int, ...]) -> int:
        """Return the number of samples in an evaluation batch: `batch_size`, or a number chosen by input size.

        At most 4,096 rows of a table or 1,024 images, and 32 MB of inputs. On a CPU at most 128 images and 5 MB, which
        is 8 images of 224 pixels, so that activations fit in its caches.
        """
        on_cpu, is_table = self.device.type == "cpu", len(shape) < 3
        most = 4096 if is_table else 128 if on_cpu else 1024
        values = 5 * 2**18 if on_cpu and not is_table else 2**23
        return self.batch_size or max(1, min(most, values // math.prod(shape)))

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, by rank, in every process."""
        if self.world_size == 1:
            return [value]
        found: list[Any] = [None] * self.world_size
        dist.all_gather_object(found, value)
        return found

    def of_first(self, value: Any) -> Any:
        """Return the value of the first process in every process."""
        if self.world_size == 1:
            return value
        found = [value]
        dist.broadcast_object_list(found, 0)
        return found[0]

    def first(self, work: Callable[[], Result]) -> Result:
        """Call a function in the first process; return its result, or raise its exception, in every process."""
        if self.world_size == 1:
            return work()
        found: tuple[Any, Exception | None] = (None, None)
        if self.is_first:
            try:
                found = (work(), None)
            except Exception as problem:  # the others wait for the result, whatever it is
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
        """Overwrite tensors with those of the first process."""
        if self.world_size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def wait(self) -> None:
        """Wait for all processes."""
        if self.world_size > 1:
            dist.barrier()


def sum_over_processes(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor over the processes; the tensor itself may be changed."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(tensor)
    return tensor


def join_group(kind: str) -> torch.device:
    """Join the processes described by the launcher's environment variables, and return this process's device.

    Args:
        kind: `cuda` takes the GPU of the local rank and NCCL; `cpu` takes Gloo.
    """
    device = torch.device(kind)
    rank, local_rank = from_launcher("RANK"), from_launcher("LOCAL_RANK")
    if rank >= (world_size := from_launcher("WORLD_SIZE", least=1)):
        raise InputError(f"processes: RANK must be below WORLD_SIZE ({world_size}), got {rank}.")
    if kind == "cuda":
        device = torch.device(kind, local_rank)
        check_device(str(device))
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        # NCCL needs to know the device before the first barrier.
        dist.init_process_group("nccl" if kind == "cuda" else "gloo", device_id=device if kind == "cuda" else None)
        # Otherwise communication threads outlive the interpreter and abort the process on exit.
        atexit.register(leave_group)
    return device


def from_launcher(name: str, *, least: int = 0) -> int:
    """Return a number that the launcher of several processes set in the environment; `least` if it is not set.

    Raises:
        InputError: If it is not a number, or smaller.
    """
    text = os.environ.get(name, "").strip() or str(least)
    if not text.isdecimal() or int(text) < least:
        raise InputError(f"processes: {name} must be a number of at least {least}, got {brief(text)}; use torchrun.")
    return int(text)


def leave_group() -> None:
    """Leave the process group."""
    if dist.is_initialized():
        dist.destroy_process_group()


def mps_available() -> bool:
    """Return whether an Apple GPU can be used."""
    return torch.backends.mps.is_available()


@checked
def check_device(device: str) -> None:
    """Reject a device that does not exist.

    Raises:
        InputError: If the name is unknown or the machine lacks the device.
    """
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (number and not number.isdigit()):
        raise InputError(f"device: expected auto, cpu, cuda, cuda:N or mps, got {brief(device)}.")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise InputError(f"device: {device} is not available: PyTorch finds {torch.cuda.device_count()} CUDA devices.")
    if kind == "mps" and not mps_available():
        raise InputError("device: mps is not available: PyTorch finds no Apple GPU.")
