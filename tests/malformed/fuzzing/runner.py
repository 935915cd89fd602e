"""Runs inputs, each in a process forked from one that has imported everything, and judges how it ended."""

import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fuzzing.case import Case, Door
from fuzzing.guard import Forbidden, Guard
from fuzzing.oracle import judge

CLOSE_LOOK = 0.02  # seconds between two looks at a process
MOST_ADDRESSES = 64 << 30  # bytes; memory that is used is limited by `Limits.memory`


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an input may use.

    Attributes:
        seconds: Limit of processor time, and of half the elapsed time.
        patience: Seconds after which an input that may be long is stopped.
        memory: Bytes of resident memory.
    """

    seconds: float = 30.0
    patience: float = 4.0
    memory: int = 4 << 30


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an input ended.

    Attributes:
        number: Number of the input.
        door: Name of its door.
        verdict: accepted, refused, or failed.
        why: Kind of failure and the place in the source; empty if there is none.
        damage: Description of the damage.
        command: The command line or code.
        seconds: Elapsed time.
        told: The end of what was printed on stderr.
    """

    number: int
    door: str
    verdict: str
    why: str
    damage: str
    command: list[str]
    seconds: float
    told: str


def generator_of(seed: int, number: int) -> random.Random:
    """Return the generator of an input, which depends on the seed and its number alone."""
    return random.Random(f"{seed}/{number}")


def chosen(doors: dict[str, tuple[int, Door]], rng: random.Random) -> str:
    """Return the name of a door, drawn by its weight."""
    return rng.choices(list(doors), [weight for weight, _ in doors.values()])[0]


def prepare(place: Path) -> tuple[Path, Path]:
    """Make the folder of an input, `inside`, beside one that must stay unchanged."""
    shutil.rmtree(place, ignore_errors=True)
    inside, outside = place / "inside", place / "outside"
    inside.mkdir(parents=True)
    outside.mkdir()
    (outside / "kept").write_text("kept")
    return inside, outside


class Runner:
    """Runs inputs one after the other; make it once per process, after all imports."""

    def __init__(self, fixtures: Path, work: Path, *, limits: Limits) -> None:
        """Name the folders; `work` is made and emptied for every input."""
        self.fixtures, self.work, self.limits = fixtures, work, limits
        self.guard = Guard()

    def run(self, doors: dict[str, tuple[int, Door]], *, seed: int, number: int) -> Outcome:
        """Make an input, run it, and judge it."""
        rng = generator_of(seed, number)
        name = chosen(doors, rng)
        inside, outside = prepare(self.work)
        reader, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            os.close(reader)
            self._child(doors[name][1], rng, inside, writer)
        os.close(writer)
        started = time.monotonic()
        case, reports, status, usage, stopped = self._watch(child, reader)
        seconds = time.monotonic() - started
        told = _text(self.work / "stderr")
        verdict, why = judge(
            case=case,
            reports=reports,
            status=status,
            stopped=stopped,
            told=told,
            peak=usage,
            limits=self.limits,
            outside=outside,
        )
        words = list(case.words) if case else []
        command = ["withstand", *words] if words else [case.code] if case else []
        damage = case.damage if case else "the input could not be made"
        return Outcome(
            number=number,
            door=name,
            verdict=verdict,
            why=why,
            damage=damage,
            command=command,
            seconds=round(seconds, 2),
            told=told[-2000:],
        )

    def _watch(self, child: int, reader: int) -> tuple[Case | None, list[dict[str, Any]], int, int, str]:
        os.set_blocking(reader, False)
        begun, content, stopped, peak = time.monotonic(), b"", "", 0
        started: float | None = None
        while True:
            with suppress(BlockingIOError):
                content += os.read(reader, 1 << 20)
            ended, status, usage = os.wait4(child, os.WNOHANG)
            peak = max(peak, resident(child))
            if ended:
                break
            if started is None and b'"case"' in content and content.count(b"\n"):
                started = time.monotonic()
            # On a busy machine, the clock runs ahead of the process.
            used = max((time.monotonic() - (started or begun + 60)) / 2, computed(child))
            case = json.loads(content.splitlines()[0])["case"] if started else {}
            limit = self.limits.patience if case.get("may_be_long") else self.limits.seconds
            stopped = "memory" if peak > self.limits.memory else "time" if used > limit else ""
            if stopped:
                _, status, usage = self._end(child)
                break
            time.sleep(CLOSE_LOOK)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        with suppress(BlockingIOError):
            while more := os.read(reader, 1 << 20):
                content += more
        os.close(reader)
        lines = [json.loads(each) for each in content.splitlines()]
        found = next((each["case"] for each in lines if "case" in each), None)
        case = Case(**{k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}) if found else None
        return case, [each for each in lines if "case" not in each], status, max(peak, usage.ru_maxrss * 1024), stopped

    def _end(self, child: int) -> tuple[int, int, Any]:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        return os.wait4(child, 0)

    def _child(self, door: Door, rng: random.Random, inside: Path, report: int) -> None:
        os.setsid()
        code = 70
        try:
            case = door(rng, inside, self.fixtures)
            os.write(report, json.dumps({"case": asdict(case)}).encode() + b"\n")
            _redirect(inside.parent)
            os.chdir(inside)
            resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESSES, MOST_ADDRESSES))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            self.guard.arm(inside, report)
            code = run_case(case)
        except BaseException as problem:
            self.guard.disarm()
            os.write(report, json.dumps({"raised": describe(problem)}).encode() + b"\n")
            traceback.print_exc()
            code = 71
        finally:
            self.guard.disarm()
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


def run_case(case: Case) -> int:
    """Run a command line or Python code, and return the exit code."""
    if case.words:
        from withstand.cli import main

        try:
            return main(list(case.words))
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else 1
    from withstand.errors import InputError, TrainingError

    try:
        exec(compile(case.code, "<input>", "exec"), {"__name__": "__input__"})  # the code is this suite's own
    except InputError as problem:
        sys.stderr.write(f"withstand: {problem}\n")
        return 2
    except TrainingError as problem:
        sys.stderr.write(f"withstand: {problem}\n")
        return 1
    except Exception as problem:
        if type(problem).__name__ not in case.errors:
            raise
        return 2
    return 0


def describe(problem: BaseException) -> str:
    """Return the type of an exception, and the last line of the package on its way."""
    if isinstance(problem, Forbidden):
        return f"forbidden {problem}"
    frames = traceback.extract_tb(problem.__traceback__)
    own = [each for each in frames if "/withstand/" in each.filename and "site-packages" not in each.filename]
    last = own[-1] if own else frames[-1]
    where = last.filename.partition("/withstand/")[2] or last.filename
    return f"{type(problem).__name__} at {where}:{last.name}: {str(problem)[:160]}"


def resident(process: int) -> int:
    """Return the resident memory of a process in bytes; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def computed(process: int) -> float:
    """Return the processor time of a process in seconds; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return 0.0


def _redirect(place: Path) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="backslashreplace") if path.is_file() else ""
