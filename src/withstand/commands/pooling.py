"""Options for where long work is done, shared by commands, and the pool that they describe."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser

from withstand.console import Console
from withstand.engine import Engine, check_device
from withstand.errors import InputError, brief
from withstand.limits import PositiveInt
from withstand.measuring.blocks import Spread
from withstand.pools.local_pool import LocalPool
from withstand.pools.mirror import Mirror, StoringPool, Wanted, mirrored
from withstand.pools.pool import Pool
from withstand.reading.addresses import Address
from withstand.reading.places import place_of

PER_JOB = 10  # blocks
MOST_AT_ONCE = 16  # blocks of an evaluation, on a cluster of unknown size


def add_pool_options(parser: ArgumentParser) -> None:
    """Add the options of a cluster."""
    add = parser.add_argument_group("cluster (default: -j processes on this machine)").add_argument
    add("--address", type=str, help="Ray cluster: auto, local, HOST:PORT or ray://HOST:PORT")
    add("--gpus_per_task", type=float, default=0.0, metavar="SHARE", help="with --address: GPUs per task, such as 0.25")
    add("--slurm", action="store_true", help="submit Slurm jobs, at most -j at a time")
    add("--chunk", type=PositiveInt, default=PER_JOB, help="with --slurm: runs or blocks per job")
    add("--slurm_options", type=str, default="", help="with --slurm: options such as partition=gpu,timeout_min=120")


def is_on_cluster(found: Any) -> bool:
    """Return whether the options name a cluster."""
    return found.address is not None or found.slurm


def check_pool_options(command: str, found: Any) -> None:
    """Reject conflicting options, devices that this machine lacks, and clusters that do not answer.

    Args:
        command: Its name, for messages.
        found: The parsed options.
    """
    if found.address is not None and found.slurm:
        raise InputError(f"{command}: --address and --slurm cannot be combined.")
    if found.gpus_per_task and found.address is None:
        raise InputError(f"{command}: --gpus-per-task needs a Ray cluster; add --address.")
    if found.slurm_options and not found.slurm:
        raise InputError(f"{command}: --slurm-options needs --slurm.")
    if found.chunk != PER_JOB and not found.slurm:
        raise InputError(f"{command}: --chunk needs --slurm.")
    if found.address is not None and found.device != "auto":
        raise InputError(f"{command}: --device cannot be combined with --address; use --gpus-per-task.")
    if found.slurm:
        from withstand.pools.slurm import check_options

        check_options(found.slurm_options, submits=not found.dry_run)
        return
    check_device(found.device)
    if found.address is not None and not found.dry_run:
        from withstand.pools.on_ray import check_answer

        check_answer(found.address)


def make_pool(
    found: Any, folder: Path, count: int, *, mirrors: Sequence[Mirror] = (), logs: Path | None = None
) -> Pool:
    """Return the pool that the options describe.

    Args:
        found: The parsed options.
        folder: Folder of the results.
        count: Number of blocks.
        mirrors: Of object stores; blocks with paths in one of their folders store their files there.
        logs: Folder for the logs of jobs; None takes that of the results. With an object store, the current folder is
            taken in any case.
    """
    for each in mirrors:
        if folder.resolve().is_relative_to(each.folder):
            return StoringPool(_pool(found, folder, count, is_shared=False, logs=Path.cwd()), each)
    return _pool(found, folder, count, is_shared=True, logs=logs or folder)


def _pool(found: Any, folder: Path, count: int, *, is_shared: bool, logs: Path) -> Pool:
    most = found.workers or None
    if found.address is not None:
        from withstand.pools.on_ray import RayPool

        gpus = found.gpus_per_task
        return RayPool(folder, address=found.address, gpus_per_task=gpus, most=most, is_shared=is_shared)
    if found.slurm:
        from withstand.pools.slurm import SlurmPool, read_options

        options = read_options(found.slurm_options)
        return SlurmPool(logs, chunk=found.chunk, most=most, options=options, device=found.device)
    return LocalPool(min(most or 1, count), devices=devices_of(found.device))


@contextmanager
def stored(text: str, wanted: Wanted = lambda _: True) -> Iterator[tuple[Path, tuple[Mirror, ...]]]:
    """Yield a folder for results that a user named, and the mirror of an object store if it is an address.

    Args:
        text: Path or address.
        wanted: Returns whether a file that is stored there, given by its name, is needed.
    """
    place = place_of(text)
    if not isinstance(place, Address):
        yield place, ()
        return
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        raise InputError(f"output: processes of torchrun need a folder that all see, got {brief(text)}.")
    with mirrored(place, wanted) as mirror:
        yield mirror.folder, (mirror,)


def spread_of(found: Any, mirrors: Sequence[Mirror], *, engine: Engine, console: Console) -> Spread | None:
    """Return how to measure in many processes: on a cluster, or with several processes on CPUs; else None."""
    if engine.world_size > 1 or not (is_on_cluster(found) or (engine.device.type == "cpu" and found.workers > 1)):
        return None
    most = found.workers or MOST_AT_ONCE
    if engine.compile:
        raise InputError("evaluate: --compile needs one process, got -j, --address or --slurm; leave one of them out.")
    return Spread(partial(make_pool, found, mirrors=mirrors), most, warn=console.say)


def names_of(mirrors: Sequence[Mirror]) -> dict[str, str]:
    """Return what is shown instead of the temporary folders of mirrors."""
    return {str(each.folder): str(each.address) for each in mirrors}


def devices_of(device: str) -> list[str]:
    """Return the devices that the processes share."""
    if device in ("auto", "cuda") and torch.cuda.is_available():
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu" if device == "auto" and not torch.backends.mps.is_available() else device]
