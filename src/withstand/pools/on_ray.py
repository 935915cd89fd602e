"""RayPool: blocks as tasks on a Ray cluster. Only this file imports Ray."""

import logging
import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from uuid import uuid4

from withstand.errors import InputError, brief
from withstand.files import write_whole
from withstand.pools.block import Block, Outcome, State, attempt_on, failed
from withstand.pools.pool import Pool

SECONDS_BETWEEN_COUNTS = 5.0
SECONDS_TO_ANSWER = 300
SECONDS_TO_CONNECT = 10
HANDED_ON = ("WITHSTAND_DATA", "WITHSTAND_OFFLINE")
# Otherwise Ray hides all other GPUs from a process permanently.
ALL_GPUS_SEEN = {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}
OBJECT_STORE_BYTES = 2**30  # of a cluster on this machine; it holds weights, but no data


class Place(NamedTuple):
    """Arguments of a task: folder of the results, a marker file that every node must see, working directory.

    Without a marker, results go to an object store.
    """

    root: Path
    marker: Path | None
    directory: Path


class RayPool(Pool):
    """A Ray cluster. A block is a task with one CPU and a share of a GPU; it is lost with its process or node.

    All nodes need the folder of the results under the same path, and the same version of this package.
    """

    def __init__(
        self,
        root: Path,
        *,
        address: str = "auto",
        gpus_per_task: float = 0.0,
        most: int | None = None,
        is_shared: bool = True,
    ) -> None:
        """Join a cluster, or start one on this machine.

        Args:
            root: Folder of the results.
            address: `auto` (the one this machine belongs to), `local` (a new one on this machine), `HOST:PORT`, or
                `ray://HOST:PORT`.
            gpus_per_task: Share of a GPU for each block, from 0 (CPUs alone) to 1.
            most: Maximum number of blocks at a time; None chooses by the cluster.
            is_shared: Whether nodes must see the folder; else results go to an object store.

        Raises:
            InputError: If Ray is missing, no cluster answers, none of its nodes fits a block, or a node fails.
        """
        if not 0 <= gpus_per_task <= 1:
            raise InputError(f"gpus_per_task: must be a share from 0 to 1, got {gpus_per_task:g}.")
        self.ray = import_ray()
        self.gpus, self.most = gpus_per_task, most
        self.at_work: dict[Any, tuple[str, Block]] = {}
        self.counted, self.places = 0.0, 0
        root = root.resolve()
        self.place = Place(root, root / f".seen-{uuid4().hex}" if is_shared else None, Path.cwd())
        self.joined = not self.ray.is_initialized()
        if self.joined:
            self._join(address)
        try:
            if self.place.marker is not None:
                write_whole(self.place.marker, b"")
            self._check()
        except BaseException:
            self.close()
            raise
        options = {"num_cpus": 1, "num_gpus": gpus_per_task, "max_retries": 0, "max_calls": 0}
        self.task = self.ray.remote(**options)(work)

    @property
    def free(self) -> int:
        """Number of blocks that can begin now; one more than fits, so that an autoscaling cluster grows."""
        if time.monotonic() - self.counted > SECONDS_BETWEEN_COUNTS:
            self.counted, self.places = time.monotonic(), sum(self._places(node) for node in self._nodes())
        room = self.places + 1 if self.most is None else min(self.places + 1, self.most)
        return max(0, room - len(self.at_work))

    def begin(self, key: str, block: Block) -> None:
        """Hand a block to the cluster."""
        self.at_work[self.task.remote(block, self.place, self.gpus)] = key, block

    def wait(self, seconds: float) -> list[tuple[str, Outcome]]:
        """Return the blocks that ended; a block whose process or node is gone is lost."""
        if not self.at_work:
            time.sleep(seconds)
            return []
        ended, _ = self.ray.wait(list(self.at_work), num_returns=1, timeout=seconds)
        if ended:
            ended, _ = self.ray.wait(list(self.at_work), num_returns=len(self.at_work), timeout=0)
        return [self._outcome(each, *self.at_work.pop(each)) for each in ended]

    def share(self, content: bytes, path: Path) -> "SharedObject":
        """Put content into the object store."""
        return SharedObject(self.ray.put(content), sha256(content).hexdigest())

    def close(self) -> None:
        """Stop the running tasks and disconnect; shut down a cluster that was started here."""
        for each in self.at_work:
            with suppress(Exception):  # the cluster may be gone
                self.ray.cancel(each, force=True)
        with suppress(OSError):
            if self.place.marker is not None:
                self.place.marker.unlink(missing_ok=True)
        if self.joined:
            self.ray.shutdown()

    def _join(self, address: str) -> None:
        handed = {name: os.environ[name] for name in HANDED_ON if name in os.environ}
        options: dict[str, Any] = {"runtime_env": {"env_vars": handed | ALL_GPUS_SEEN}}
        if address == "local":
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
            options |= {} if self.most is None else {"num_cpus": self.most}
        options |= {"log_to_driver": False, "logging_level": logging.ERROR}
        check_answer(address)
        before = signal.getsignal(signal.SIGTERM)
        try:
            self.ray.init(address=address, **options)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError, AssertionError) as problem:
            self.ray.shutdown()
            raise InputError(
                f"address: no Ray cluster answers at address {address} ({_first_line(problem)})."
            ) from None
        finally:
            with suppress(ValueError):  # not the main thread
                signal.signal(signal.SIGTERM, before)

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self.ray.nodes() if node["Alive"]]

    def _places(self, node: dict[str, Any]) -> int:
        """Return how many blocks fit on a node."""
        cpus, gpus = (node["Resources"].get(name, 0.0) for name in ("CPU", "GPU"))
        return int(cpus) if not self.gpus else min(int(cpus), int(gpus / self.gpus + 1e-9))

    def _check(self) -> None:
        """Reject a cluster that cannot do any block, or a node that does not see the folder of the results."""
        nodes = self._nodes()
        if not any(self._places(node) for node in nodes):
            gpus = f" and {self.gpus:g} of a GPU" if self.gpus else ""
            raise InputError(f"address: a task needs a CPU{gpus}; no node of the Ray cluster has this.")
        task = self.ray.remote(num_cpus=0, max_retries=0)(look)
        asked = []
        for node in nodes:
            here = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked.append((node["NodeManagerHostname"], task.options(scheduling_strategy=here).remote(self.place)))
        for name, answer in asked:
            try:
                sees, own = self.ray.get(answer, timeout=SECONDS_TO_ANSWER)
            except self.ray.exceptions.RayError as problem:
                raise InputError(f"address: node {name} cannot do tasks ({_first_line(problem)}).") from problem
            if not sees:
                raise InputError(
                    f"address: node {name} does not see {self.place.root}; choose an --output folder on a file system "
                    "that all nodes share."
                )
            if own != version("withstand"):
                raise InputError(f"address: node {name} has withstand {own}, expected {version('withstand')} as here.")

    def _outcome(self, ended: object, key: str, block: Block) -> tuple[str, Outcome]:
        try:
            return key, self.ray.get(ended)
        except self.ray.exceptions.RayTaskError as problem:  # before or after the attempt
            sentence = f"its task failed ({_first_line(problem.cause or problem)})."
            return key, failed(block, sentence, str(problem))
        except self.ray.exceptions.RayError as problem:
            return key, Outcome(State.LOST, f"its process or node is gone ({type(problem).__name__}).")


@dataclass(frozen=True)
class SharedObject:
    """Content in the object store of Ray.

    Attributes:
        reference: Of the object.
        digest: SHA-256 of the content.
    """

    reference: Any = field(compare=False)
    digest: str

    def read(self) -> bytes:
        """Return the content."""
        return import_ray().get(self.reference)


def import_ray() -> ModuleType:
    """Return Ray.

    Raises:
        InputError: If it is not installed.
    """
    try:
        import ray
    except ModuleNotFoundError as problem:
        raise InputError("address: needs Ray; install it with pip install 'withstand[cluster]'.") from problem
    return ray


def check_answer(address: str) -> None:
    """Reject an address that is none, or whose port does not answer; Ray itself would retry for minutes."""
    if address in ("auto", "local"):
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        raise InputError(f"address: must be auto, local, HOST:PORT or ray://HOST:PORT, got {brief(address)}.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as problem:
        raise InputError(f"address: no Ray cluster answers at {address} ({_first_line(problem)}).") from problem


def look(place: Place) -> tuple[bool, str]:
    """Return whether this node sees the folder, and its version of this package."""
    return place.marker is None or place.marker.exists(), version("withstand")


def work(block: Block, place: Place, gpus: float) -> Outcome:
    """Do a block on this node."""
    if place.marker is not None and not place.marker.exists():  # a node that joined after the check
        return Outcome(State.FAILED, f"a node of the Ray cluster does not see {place.root}.")
    if place.directory.is_dir():
        os.chdir(place.directory)  # paths in the configuration are relative to it
    device = f"cuda:{number_of_gpu()}" if gpus else "cpu"
    return attempt_on(device, block)


def number_of_gpu() -> int:
    """Return the number that PyTorch gives to this task's GPU."""
    own = import_ray().get_runtime_context().get_accelerator_ids()["GPU"][0]
    seen = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    return seen.index(own) if own in seen else int(own)


def _first_line(problem: BaseException) -> str:
    lines = str(problem).strip().splitlines() or [type(problem).__name__]
    return lines[0].removesuffix(".")
