"""Runs at the start of every process of a command under test: counts its work, and makes the faults that FAULTS names.

FAULTS is JSON: the arguments of functions of this module by their names.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any

waiting: dict[str, list[Callable[[Any], None]]] = {}  # patches by the module that they change


def install() -> None:
    """Make the faults that the environment names."""
    for name, options in json.loads(os.environ.get("FAULTS", "{}")).items():
        globals()[name](**options)


def before(place: str, act: Callable[..., None]) -> None:
    """Call `act` with its arguments before every call of a function, such as `package.module:Class.method`."""
    module, _, path = place.partition(":")

    def patch(owner: Any) -> None:
        *parents, name = path.split(".")
        for each in parents:
            owner = getattr(owner, each)
        function = getattr(owner, name)

        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            act(*args, **kwargs)
            return function(*args, **kwargs)

        setattr(owner, name, wrapped)

    if module in sys.modules:
        patch(sys.modules[module])
    else:  # imported when the command does
        waiting.setdefault(module, []).append(patch)


class Later(MetaPathFinder):
    """Patches modules right after their import."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        patches = waiting.pop(fullname, None)
        spec = find_spec(fullname) if patches else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            for patch in patches or ():
                patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def count(path: str) -> None:
    """Append a line to a file before every piece of work: a step, a batch, a block, a figure."""

    def note(*words: object) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, (" ".join(map(str, words)).replace("\n", " ") + "\n").encode())
        os.close(handle)

    def step(trainer: Any, *_: Any, **__: Any) -> None:
        done = trainer.progress
        note("step", trainer.seed, trainer.objective, done["epoch"], done["step"])

    def batch(_engine: Any, work: Any) -> None:
        note("batch", int(work.args[0][0]))

    before("withstand.training.trainer:Trainer.do_step", step)
    before("withstand.evaluation.loop:_of_all_processes", batch)
    before("withstand.copies.blocks:write_rows", lambda _copy, _folder, start, *_: note("block", start))
    before("withstand.reports.report_folder:draw", lambda *_, prefix: note("figure", prefix))


def die(place: str, at: int, times: int, path: str) -> None:
    """Kill this process, a child, at a call of a function by its number; `times` in all, which the file counts."""
    calls = [0]

    def act(*_: Any, **__: Any) -> None:
        calls[0] += 1
        if os.getpid() == first or calls[0] < at or os.path.getsize(path) >= times:  # noqa: PTH202
            return
        handle = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.write(handle, b".")
        os.kill(os.getpid(), signal.SIGKILL)

    first = int(os.environ.setdefault("FAULTS_FIRST", str(os.getpid())))
    before(place, act)


def full(after: int) -> None:
    """Raise "no space left" at every fsync after some."""
    import errno

    left = [after]

    def act(_handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before("os:fsync", act)


def out_of_memory(most: int) -> None:
    """Raise "out of memory" where more than some images go through a convolution at once."""

    def act(_layer: Any, x: Any) -> None:
        if len(x) > most:
            raise sys.modules["torch"].OutOfMemoryError("out of memory")

    before("torch.nn.modules.conv:Conv2d.forward", act)


def little_memory(more: int) -> None:
    """Let the process take some bytes more, and no more than these."""
    import resource

    with open("/proc/self/statm") as file:  # noqa: PTH123
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + more, taken + more))


def clock_back(seconds: float, after: float) -> None:
    """Let the clock jump back after some seconds, once."""
    now, begun = time.time, time.monotonic()
    time.time = lambda: now() - (seconds if time.monotonic() - begun > after else 0)


sys.meta_path.insert(0, Later())
# A process that forks commands installs their faults in each.
if "FAULTS_LATER" not in os.environ:
    install()
