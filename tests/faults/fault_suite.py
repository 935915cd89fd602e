"""Commands under faults: started, killed, started again, and compared with an undisturbed run."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch

from withstand.training.checkpoint import DIGEST

HERE = Path(__file__).parent
SECONDS_TO_END = 5  # for children of a process that is gone, on a machine that is not busy
# Times differ between two runs, and so does the previous checkpoint of an interrupted one.
PROVENANCE = {"started", "made", "when", "time"}
NOT_COMPARED = ("previous.checkpoint",)


class Server:
    """A process that forks commands."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "inside" / "server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment() | {"FAULTS_LATER": "1"},
            start_new_session=True,
        )

    def ask(self, **request: Any) -> dict:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate()


def environment() -> dict[str, str]:
    paths = [str(HERE / "inside"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200"}


class Ended(NamedTuple):
    """How a process ended: its exit code as a shell reports it, and its standard error."""

    code: int
    err: str

    @property
    def is_one_sentence(self) -> bool:
        """Whether the errors are one line, without a traceback."""
        said = [line for line in self.err.splitlines() if line.startswith("withstand: ")]
        return len(said) == 1 and not self.has_traceback and self.err.splitlines()[-1] == said[0]

    @property
    def has_traceback(self) -> bool:
        return re.search(r"Traceback|Exception ignored|^\w*Error|Fatal|core dumped|leaked", self.err, re.M) is not None


class Moment(NamedTuple):
    """Some seconds after a number of pieces of work; after the start if this is 0."""

    seconds: float
    pieces: float = 0

    def __str__(self) -> str:
        return f"{self.seconds:.3f} s" + (f" after {self.pieces} pieces of work" if self.pieces else "")


NEVER = Moment(0, float("inf"))


class Process:
    """A command under way, in a session of its own."""

    def __init__(
        self,
        words: list[str],
        cwd: Path,
        *,
        server: Server | None = None,
        faults: dict[str, dict] | None = None,
        shell: str = 'exec "$@"',
        **variables: str,
    ) -> None:
        """Start `python -m withstand WORDS`, forked by a server if there is one, else from a line of shell."""
        self.server, self.cwd, self.begun = server, cwd, time.monotonic()
        self._code: int | None = None
        number = sum(1 for _ in cwd.parent.glob("*.err"))
        self.err, out = (cwd.parent / f"{number}.{end}" for end in ("err", "out"))
        own = {"FAULTS": json.dumps(faults or {})} | variables
        if server is not None:
            request = {"words": words, "cwd": str(cwd), "out": str(out), "err": str(self.err)}
            self.pid = server.ask(**request, environment=own)["pid"]
            while self.code is None and not alive(self.pid):
                time.sleep(0.001)
            return
        with out.open("ab") as out_file, self.err.open("ab") as err_file:
            self.process = subprocess.Popen(
                ["sh", "-c", shell, "sh", sys.executable, "-m", "withstand", *words],
                cwd=cwd,
                env=environment() | own,
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
                start_new_session=True,
            )
        self.pid = self.process.pid

    @property
    def code(self) -> int | None:
        """Exit code; None while it runs."""
        if self._code is None:
            self._code = self.process.poll() if self.server is None else self.server.ask(pid=self.pid)["code"]
        return self._code

    def send(self, number: int, *, to_all: bool = False) -> None:
        with suppress(ProcessLookupError):
            (os.killpg if to_all else os.kill)(self.pid, number)

    def wait(self, seconds: float = 120) -> Ended:
        """Return how it ended; after the given seconds, kill it and fail the test."""
        deadline = time.monotonic() + seconds
        while self.code is None:
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL, to_all=True)
                raise TimeoutError(f"not over after {seconds} s: {self.err.read_text()[-2000:]}")
            time.sleep(0.01)
        assert self._code is not None
        return Ended(self._code if self._code >= 0 else 128 - self._code, self.err.read_text(errors="replace"))

    def is_over_at(self, moment: Moment, noted: Path) -> bool:
        """Wait until a moment; return whether the command has ended before it."""
        begun = self.begun
        while len(units(noted)) < moment.pieces or time.monotonic() - begun < moment.seconds:
            if len(units(noted)) < moment.pieces:
                begun = time.monotonic()
            if self.code is not None:
                return True
            time.sleep(0.002)
        return self.code is not None

    def orphans(self) -> list[str]:
        """Return the processes of its session that outlive it by some seconds, and kill them."""
        busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        deadline = time.monotonic() + SECONDS_TO_END * busy
        while (left := alive(self.pid)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return list(left.values())


def alive(session: int) -> dict[int, str]:
    """Return the processes of a session, without zombies, with their command lines."""
    found = {}
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            state, _, _, own = (each / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(own) == session and state != "Z":
                found[int(each.name)] = (each / "cmdline").read_text().replace("\0", " ")
    return found


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return the files below a folder by name (folders are None), without the fields of provenance."""
    found: dict[str, bytes | None] = {}
    for path in sorted(folder.rglob("*")):
        if path.name not in NOT_COMPARED:
            found[path.relative_to(folder).as_posix()] = compared(path) if path.is_file() else None
    return found


def compared(path: Path) -> bytes:
    """Return what must be equal in a file: the values of JSON and of checkpoints, the bytes of all others."""
    content = path.read_bytes()
    with suppress(ValueError):
        if path.suffix == ".json":
            return repr(plain(json.loads(content))).encode()
        if path.suffix == ".checkpoint":  # equal texts may be one or several in a pickle
            return repr(plain(torch.load(io.BytesIO(content[DIGEST:]), weights_only=True))).encode()
    return content


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if key not in PROVENANCE}
    if isinstance(value, torch.Tensor):
        return str(value.dtype), value.tolist()
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def difference(one: dict[str, bytes | None], other: dict[str, bytes | None]) -> list[str]:
    """Return the names of what is not equal."""
    words = [f"only in one: {each}" for each in sorted(one.keys() ^ other.keys())]
    return words + [f"differs: {each}" for each in sorted(one.keys() & other.keys()) if one[each] != other[each]]


def units(path: Path) -> list[str]:
    """Return the pieces of work that a command noted."""
    return path.read_text().splitlines() if path.exists() else []


def refusal(ended: Ended, *, codes: tuple[int, ...] = (1, 2)) -> list[str]:
    """Return what is wrong with the end of a command that could not complete."""
    wrong = [] if ended.code in codes else [f"exit code {ended.code}, expected {codes}"]
    return wrong if ended.is_one_sentence and not wrong else [*wrong, f"not one sentence: {ended.err}"]


def failed(how: str, wrong: list[str]) -> list[str]:
    """Return a failure, with how to repeat it, unless nothing is wrong."""
    return ["\n".join([how, *wrong])] if wrong else []
