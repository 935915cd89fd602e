"""Command-line entry point: help, version, dispatch to `commands`, exit codes."""

import importlib
import os
import signal
import sys
from types import FrameType

COMMANDS = {
    "quickstart": "Train a small network in four ways, evaluate all four, and write a report.",
    "train": "Train a model and evaluate it.",
    "evaluate": "Measure runs or named models under noise and corruptions, side by side.",
    "corrupt": "Write a corrupted copy of images, or a preview.",
    "sweep": "Train and evaluate many settings and seeds, locally or on a cluster.",
    "report": "Write a report on runs or a sweep: HTML, figures, CSV, LaTeX.",
    "list": "List the names that options accept.",
}

GO_ON = "run the same command again to resume from the last checkpoint."


class Terminated(BaseException):
    """SIGTERM was received."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return the exit code.

    Args:
        arguments: Command-line arguments; None takes `sys.argv`.

    Returns:
        0 success, 1 failure, 2 invalid input, 3 a sweep with failed runs, 130 Ctrl-C, 143 SIGTERM.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help", "help"):
        _write(_help(), sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] in ("-V", "--version", "version"):
        from importlib.metadata import version

        _write(f"withstand {version('withstand')}", sys.stdout)
        return 0
    if words[0] not in COMMANDS:
        from withstand.errors import brief, nearest

        _write(f"withstand: {brief(words[0])} is not a command; {nearest(words[0], COMMANDS)}", sys.stderr)
        return 2
    code = _run(words[0], words[1:])
    if arguments is None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        # Communication threads may outlive the interpreter and abort it on exit.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _run(command: str, words: list[str]) -> int:
    from withstand.errors import InputError, SweepError, TrainingError

    def on_sigterm(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, on_sigterm)
    try:
        return importlib.import_module(f"withstand.commands.{command}").main(words) or 0
    except (InputError, TrainingError, SweepError) as problem:
        code = 2 if isinstance(problem, InputError) else 3 if isinstance(problem, SweepError) else 1
        return _fail(str(problem), code)
    except OSError as problem:
        if problem.errno is None:
            raise
        where = f" ({problem.filename})" if problem.filename else ""
        return _fail(f"cannot read or write: {problem.strerror}{where}; finished work is kept.", 1)
    except KeyboardInterrupt:
        return _fail(f"stopped; {GO_ON}", 130)
    except Terminated:
        return _fail(f"terminated; {GO_ON}", 143)
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(sentence: str, code: int) -> int:
    process = os.environ.get("RANK", "0")
    _write(f"withstand{'' if process == '0' else f' (process {process})'}: {sentence}", sys.stderr)
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


def _write(text: str, file: object) -> None:
    file.write(text + "\n")  # type: ignore[attr-defined]
