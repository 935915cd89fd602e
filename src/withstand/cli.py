"""Command-line entry point: help, version, dispatch to `commands`, exit codes."""

import errno
import gc
import importlib
import math
import os
import re
import signal
import sys
import threading
import time
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, TextIO

from withstand.errors import (
    InputError,
    Stopped,
    SweepError,
    TrainingError,
    asked,
    brief,
    in_one_line,
    nearest,
    stop_if_asked,
)
from withstand.pools import processes
from withstand.pools.memory import keep_freed_memory

COMMANDS = {
    "quickstart": "Train a small network in four ways, evaluate all four, and write a report.",
    "train": "Train a model and evaluate it.",
    "evaluate": "Measure runs or named models under noise and corruptions, side by side.",
    "corrupt": "Write a corrupted copy of images, or a preview.",
    "sweep": "Train and evaluate many settings and seeds, locally or on a cluster.",
    "report": "Write a report on runs or a sweep: HTML, figures, CSV, LaTeX.",
    "list": "List the names that options accept.",
}

SPREAD = ("corrupt", "evaluate", "sweep")  # work with several processes
ELSEWHERE = {"--address", "--slurm", "--dry-run", "--preview", "--help", "-h"}  # options with which they do not
IMPORTED = {"evaluate": ["torchvision.models"]}  # by most workers of a command
NO_MEMORY = "can't allocate memory"
GO_ON = "run the same command again to resume from the last checkpoint."
CLOSED = "standard output was closed before everything was written; finished work is kept."
NAMES: dict[int, str] = {signal.SIGINT: "stopped", signal.SIGTERM: "terminated"}
# Code that no exception may leave: the Rust of Polars prints a panic then. Multiprocessing makes and removes semaphores
# and shared memory in one step, reports it in another, and warns of leaks if only one of them is done.
FINISHES = ("polars", "multiprocessing.resource_tracker")
PAIRED = {
    "multiprocessing.synchronize": ("__init__", "_cleanup"),
    "multiprocessing.shared_memory": ("__init__", "unlink"),
}
SECONDS_OF_ONE = 0.2  # repeats within this time count once: `timeout` signals a process and its group


class Signals:
    """Handler of SIGINT and SIGTERM: the first one is recorded and raises `Stopped`, a later one ends the process.

    Other code may drop the exception or turn it into another one; the record remains.
    """

    def __init__(self, *, ends: bool) -> None:
        """Handle the signals from now on.

        Args:
            ends: Whether the first one ends the process, since no work has started; else it is recorded only. `work`
                changes this.
        """
        self.ends, self.raises, self.since, self.owner = ends, False, -math.inf, os.getpid()
        asked.clear()
        is_main = threading.current_thread() is threading.main_thread()  # others receive no signals
        self.before = {each: signal.signal(each, self) for each in NAMES} if is_main else {}
        self.hook, sys.unraisablehook = sys.unraisablehook, self.on_unraisable
        self.except_hook, sys.excepthook = sys.excepthook, self.on_exception

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Receive a signal."""
        if os.getpid() != self.owner:  # a forked worker: Ctrl-C is for its parent
            if number == signal.SIGTERM:
                os._exit(128 + number)
            return
        if time.monotonic() - self.since < SECONDS_OF_ONE:
            return
        if asked or self.ends:
            try:
                _fail(*_end_of(number))
                processes.end_server()
            finally:
                os._exit(128 + number)  # workers end with their parent
        self.since = time.monotonic()
        asked.append(number)
        if self.raises and not _must_finish(frame):
            raise Stopped

    def work(self) -> None:
        """From now on, raise `Stopped` at the first signal."""
        self.ends, self.raises = False, True
        stop_if_asked()

    def record(self, problem: BaseException) -> None:
        """Record the interrupt that other code raised itself before this handler ran, as the Rust of Polars does."""
        if isinstance(problem, KeyboardInterrupt) and not asked:
            self.since = time.monotonic()
            asked.append(signal.SIGINT)

    def on_unraisable(self, found: Any) -> None:
        """Hide exceptions that Python ignores after a signal, such as `Stopped` itself in a finalizer."""
        if not asked:
            self.hook(found)

    def on_exception(self, *found: Any) -> None:
        """Hide exceptions of other threads after a signal, such as those whose workers have ended."""
        if not asked or threading.current_thread() is threading.main_thread():
            self.except_hook(*found)

    def end(self) -> None:
        """Ignore signals from now on: the work is done, and Python restores the default actions before it exits."""
        for each in self.before:
            signal.signal(each, signal.SIG_IGN)

    def restore(self) -> None:
        """Restore the previous handlers."""
        for each, handler in self.before.items():
            signal.signal(each, handler)
        sys.unraisablehook, sys.excepthook = self.hook, self.except_hook
        asked.clear()


def _must_finish(frame: FrameType | None) -> bool:
    """Return whether a frame belongs to code that an exception would break: `FINISHES`."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(FINISHES) or (module in PAIRED and frame.f_code.co_name in PAIRED[module]):
            return True
        frame = frame.f_back
    return False


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return the exit code.

    Args:
        arguments: Command-line arguments; None takes `sys.argv`.

    Returns:
        0 success, 1 failure, 2 invalid input, 3 a sweep with failed runs, 130 Ctrl-C, 143 SIGTERM.
    """
    if arguments is not None:
        return _dispatch(arguments)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed: otherwise the next opened file would get its number
            setattr(sys, name, Path(os.devnull).open("w"))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that its encoding lacks
    code = 0
    try:
        code = _dispatch(sys.argv[1:], is_process=True)
        sys.stdout.flush()
    except OSError:
        code = code or _fail(CLOSED, 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush on exit
    if os.environ.get("WORLD_SIZE", "1") != "1":
        # Communication threads may outlive the interpreter and abort it on exit.
        sys.stderr.flush()
        os._exit(code)
    gc.freeze()  # else exit takes most of a second, to look for garbage among all classes
    return code


def _dispatch(words: list[str], *, is_process: bool = False) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        _write(_help(), sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] in ("-V", "--version", "version"):
        from importlib.metadata import version

        _write(f"withstand {version('withstand')}", sys.stdout)
        return 0
    if words[0] not in COMMANDS:
        _write(f"withstand: {brief(words[0])} is not a command; {nearest(words[0], COMMANDS)}", sys.stderr)
        return 2
    processes.end_if_unguarded()
    signals = Signals(ends=is_process)
    try:
        return _run(words[0], words[1:], signals)
    finally:
        if is_process:
            signals.end()
            processes.end_server()  # else it holds the standard streams open until it has imported
        else:
            signals.restore()


def _run(command: str, words: list[str], signals: Signals) -> int:
    code, sentence = 0, ""
    try:
        try:
            code, sentence = _outcome(command, words, signals)
        finally:
            signals.ends = signals.raises = False
    except BaseException as problem:
        signals.record(problem)
        if not asked:
            raise
    if asked:
        sentence, code = _end_of(asked[0])
    return _fail(sentence, code) if sentence else code


def _outcome(command: str, words: list[str], signals: Signals) -> tuple[int, str]:
    """Return the exit code of a command, and its error, if any."""
    try:
        try:
            Path.cwd()
        except FileNotFoundError:
            raise InputError("the working folder no longer exists; change to another folder.") from None
        if _needs_processes(command, words):
            processes.start_server(*IMPORTED.get(command, ()))  # which imports while this process does
        module = _imported(command, is_process=signals.ends)  # an import may lose an exception
        if signals.ends:  # the process is ours
            keep_freed_memory()
        signals.work()
        return module.main(words) or 0, ""
    except (InputError, TrainingError, SweepError) as problem:
        return 2 if isinstance(problem, InputError) else 3 if isinstance(problem, SweepError) else 1, str(problem)
    except BrokenPipeError:
        return 1, CLOSED
    except OSError as problem:
        if problem.errno is None:
            raise
        where = f" ({problem.filename})" if problem.filename else ""
        code = 2 if problem.errno in (errno.ENAMETOOLONG, errno.ELOOP) else 1
        return code, f"cannot read or write: {problem.strerror}{where}; finished work is kept."
    except (MemoryError, RuntimeError) as problem:
        # PyTorch raises OutOfMemoryError on a GPU, but a plain RuntimeError on a CPU.
        if type(problem).__name__ not in ("MemoryError", "OutOfMemoryError") and NO_MEMORY not in str(problem):
            raise
        return 1, "out of memory; use smaller batches or fewer --workers, or free memory; finished work is kept."


def _imported(command: str, *, is_process: bool) -> ModuleType:
    """Import a command. No garbage is looked for in the meantime, nor afterwards among what was imported."""
    if not is_process:
        return importlib.import_module(f"withstand.commands.{command}")
    gc.disable()
    try:
        return importlib.import_module(f"withstand.commands.{command}")
    finally:
        gc.freeze()
        gc.enable()


def _needs_processes(command: str, words: list[str]) -> bool:
    """Return whether a command will, as it seems before its options are read, work with several processes here."""
    options = {each.partition("=")[0].replace("_", "-") for each in words}
    if command not in SPREAD or not ELSEWHERE.isdisjoint(options):
        return False
    number = re.search(r"(?:^| )(?:-j|--workers)[ =]?(\d+)(?: |$)", " ".join(words))
    return int(number[1]) > 1 if number else command == "corrupt" and (os.cpu_count() or 1) > 1


def _end_of(number: int) -> tuple[str, int]:
    return f"{NAMES[number]}; {GO_ON}", 128 + number


def _fail(sentence: str, code: int) -> int:
    process = os.environ.get("RANK", "0")
    with suppress(OSError):  # it is closed
        _write(f"withstand{'' if process == '0' else f' (process {process})'}: {in_one_line(sentence)}", sys.stderr)
    return code


def _help() -> str:
    width = max(len(each) for each in COMMANDS)
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: withstand COMMAND [OPTIONS]",
            "",
            "Train robust classifiers, and measure robustness to noise, corruptions and shift.",
            "",
            *lines,
            "",
            "Run train, evaluate, corrupt or sweep again to resume it.",
            "`withstand COMMAND --help` shows the options of a command.",
        ]
    )


def _write(text: str, file: TextIO) -> None:
    file.write(text + "\n")
