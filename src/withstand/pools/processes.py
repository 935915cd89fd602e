"""How worker processes start and end. On Linux they are copies of a server that has imported this package once."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import current_process, get_context, parent_process, resource_tracker
from multiprocessing.context import BaseContext
from multiprocessing.forkserver import _forkserver, ensure_running
from pathlib import Path
from threading import Thread, current_thread, main_thread
from typing import Any

# What the server imports. None of it starts threads, which its copies would lack, except OpenBLAS, which starts them
# again in a copy.
IMPORTED = ["withstand.copies.blocks", "withstand.measuring.blocks", "withstand.sweeps.run_block"]
SAFE_PATH = "PYTHONSAFEPATH"
UNGUARDED = 79  # exit code of a worker whose main script starts the work again
GUARD = 'worker processes run the script again; call withstand below `if __name__ == "__main__":`.'
SECONDS_BETWEEN_LOOKS = 0.5  # a worker checks whether its parent is alive


def worker_context(*imported: str) -> BaseContext:
    """Return how worker processes start: as copies of the server, or as new interpreters where that is not safe.

    Args:
        imported: Further modules that the server imports, if it does not run yet and they exist.
    """
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([*IMPORTED, *imported])
    return context


def start_server(*imported: str) -> None:
    """Start the server, which imports in parallel with this process; no-op if it runs, or on systems without it."""
    if worker_context(*imported).get_start_method() == "forkserver":
        with starting_workers():
            ensure_running()


def end_server() -> None:
    """End the server at once, even while it imports; its workers notice, and end."""
    if (server := getattr(_forkserver, "_forkserver_pid", None)) is not None:
        with suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)


def end_if_unguarded() -> None:
    """End a worker that is about to start the work of its parent again, since the main script has no guard."""
    if getattr(current_process(), "_inheriting", False):  # it imports the script
        os._exit(UNGUARDED)


def begin_work(environment: Mapping[str, str]) -> None:
    """Become a worker in the environment of the parent, which may have changed since the server started."""
    os.environ.clear()
    os.environ.update(environment)
    become_worker()


def become_worker() -> None:
    """Make this process a worker: it ends at once on SIGTERM, ignores Ctrl-C, and ends with its parent."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    sys.excepthook = partial(_report, sys.excepthook)
    Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()


@contextmanager
def starting_workers() -> Iterator[None]:
    """Block Ctrl-C in processes that are started within, until they call `become_worker`.

    They import nothing from the working folder, which may have a `random.py`, unless this process does.
    """
    end_if_unguarded()
    with _importing_safely(), _without_missing_script():
        if not hasattr(signal, "pthread_sigmask"):
            yield
            return
        resource_tracker.ensure_running()  # else the start of the first process starts it, and that unblocks SIGINT
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _importing_safely() -> Iterator[None]:
    """Start Python without the working folder, where `python -c` would look first; workers get the path of this one."""
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


@contextmanager
def _without_missing_script() -> Iterator[None]:
    """Spare workers the main script if there is no file of it, such as that of `python -`."""
    main = vars(sys.modules["__main__"])
    file = main.get("__file__")
    if file is None or Path(file).is_file():
        yield
        return
    del main["__file__"]
    try:
        yield
    finally:
        main["__file__"] = file


def _report(hook: Callable[..., None], kind: type[BaseException], *found: Any) -> None:
    """Report an uncaught exception, unless a thread that passes tensors on finds that the parent has left."""
    if current_thread() is main_thread() or not issubclass(kind, ConnectionError | EOFError):
        hook(kind, *found)


def _end_with_parent(first: int) -> None:
    if parent := parent_process():
        while parent.is_alive() and os.getppid() == first:
            parent.join(SECONDS_BETWEEN_LOOKS)
        os._exit(1)
