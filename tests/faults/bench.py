"""Commands on tiny data, the files of undisturbed runs, and the loop that disturbs them."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import yaml
from fault_suite import NEVER, Ended, Moment, Process, Server, contents, difference, units
from PIL import Image

SEED = int(os.environ.get("WITHSTAND_FAULTS_SEED", "0"))
MOST_LOOKS = 20  # at files that vanish
IS_FULL = os.environ.get("WITHSTAND_FAULTS") == "full"
FOLDER = "--data=image-folder --data.pixels=32 --data.resize=32 --root=../../images"
GAME = "--model.width=8 --objective=AdversarialNoise --objective.restart_steps=5"
CHANGES = "--corruptions gaussian_noise fog --frost procedural"
# Every command by name: its words, and the kind of its pieces of work.
COMMANDS = {
    "train": (
        f"train {FOLDER} {GAME} --epochs=3 --batch-size=8 --checkpoint-seconds=0.1 -j 2 --output=runs",
        "step",
    ),
    "evaluate": ("evaluate RUN --on clean noise contrast --batch-size=4 -j 2", "batch"),
    "corrupt to files": (f"corrupt ../../images copy {CHANGES} --size original --severities 1 -j 2", "block"),
    "corrupt to arrays": (f"corrupt ../../images/val copy {CHANGES} --to npy --size 32 --resize 32 -j 0", "block"),
    "sweep": ("sweep ../../try.yaml -j 2 --output=sweeps", "step"),
    "report": ("report sweeps/try", "figure"),
}
SWEEP = {"data": "toy", "data.num_train": 400, "data.num_test": 40, "model": "mlp", "epochs": 8}


class Whole(NamedTuple):
    """The files of an undisturbed command, its duration in seconds, and its pieces of work."""

    contents: dict[str, bytes | None]
    seconds: float
    units: list[str]


class Bench:
    """Commands that run in separate folders, forked by one server."""

    def __init__(self, root: Path) -> None:
        self.root, self.numbers, self._whole = root, count(), {}
        self.server = Server()
        rng = np.random.default_rng(0)
        for part, size in (("train", 16), ("val", 24)):
            for kind in "abc":
                folder = root / "images" / part / kind
                folder.mkdir(parents=True)
                for number in range(size):
                    image = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
                    Image.fromarray(image).save(folder / f"{number}.png")
        vary = {"objective.fold.temperature": [0.1, 1.0]}
        (root / "try.yaml").write_text(yaml.safe_dump({"set": SWEEP, "vary": vary, "seeds": 2}))

    def close(self) -> None:
        self.server.close()

    def place(self, name: str) -> Path:
        """Return a new working folder with what the command reads."""
        place = self.root / str(next(self.numbers)) / "work"
        place.mkdir(parents=True)
        self.furnish(name, place)
        return place

    def furnish(self, name: str, place: Path) -> None:
        """Put what the command reads into a working folder."""
        needed = {"evaluate": "train", "report": "sweep"}.get(name)
        if needed:
            self.whole(needed)
            shutil.copytree(self.root / f"after {needed}", place, dirs_exist_ok=True)

    def words(self, name: str, place: Path) -> list[str]:
        run = next((each.relative_to(place) for each in place.glob("runs/*")), "")
        return COMMANDS[name][0].replace("RUN", str(run)).split() + ([] if name == "report" else ["--device=cpu"])

    def moment(self, name: str, what: str) -> Moment:
        """Return a random moment of a command."""
        rng = np.random.default_rng((SEED, crc32(f"{name} {what}".encode())))
        return random_moment(rng, self.whole(name), is_real=False)

    def start(
        self,
        name: str,
        place: Path,
        *,
        real: bool = False,
        without: str | None = None,
        extra: Sequence[str] = (),
        **options: object,
    ) -> Process:
        """Start a command that records its pieces of work in the file `units` beside its folder."""
        faults = {"count": {"path": str(place.parent / "units")}, **options.pop("faults", {})}  # type: ignore[dict-item]
        server = None if real else self.server
        words = [each for each in self.words(name, place) if without is None or not each.startswith(without)]
        return Process([*words, *extra], place, server=server, faults=faults, **options)  # type: ignore[arg-type]

    def whole(self, name: str) -> Whole:
        """Return the outcome of an undisturbed command."""
        if name not in self._whole:
            place = self.place(name)
            process = self.start(name, place)
            ended = process.wait()
            assert ended.code == 0, ended.err
            seconds = time.monotonic() - process.begun
            assert not process.orphans()
            found = contents(place)
            assert not [each for each in found if each.endswith((".tmp", ".lock"))]
            shutil.copytree(place, self.root / f"after {name}")
            self._whole[name] = Whole(found, seconds, units(place.parent / "units"))
        return self._whole[name]

    def problems(self, name: str, place: Path, ended: Ended, orphans: list[str]) -> list[str]:
        """Return how a command that should have completed differs from an undisturbed one."""
        found = [f"orphan: {each}" for each in orphans]
        found += [f"traceback: {ended.err}"] if ended.has_traceback else []
        if ended.code:
            return [*found, f"exit code {ended.code}: {ended.err}"]
        return found + difference(contents(place), self.whole(name).contents)

    def has_completed(self, name: str, place: Path) -> bool:
        """Return whether all files are complete, so that a signal comes too late."""
        for _ in range(MOST_LOOKS):
            with suppress(OSError):  # a file vanished meanwhile: it may be the last that had to go
                return not difference(contents(place), self.whole(name).contents)
        return False

    def completes(self, name: str, place: Path) -> list[str]:
        """Run a command again, undisturbed, and return what is wrong afterwards."""
        process = self.start(name, place)
        ended = process.wait()
        return self.problems(name, place, ended, process.orphans())


class Disturbed(NamedTuple):
    """Number of disturbances, failures with how to repeat them, and the pieces of work that were repeated."""

    tried: int
    failures: list[str]
    lost: str


def random_moment(rng: np.random.Generator, whole: Whole, *, is_real: bool) -> Moment:
    """Return a moment of the whole duration, or of the work alone."""
    if is_real or rng.random() < 0.3:
        return Moment(rng.uniform(0, whole.seconds + (4 if is_real else 0)))
    number = len(whole.units)
    return Moment(rng.uniform(0, whole.seconds / (1 + number)), int(rng.integers(0, number + 1)))


def disturb(
    bench: Bench, name: str, fault: str, tries: int, end: Callable[[Process], list[str]], *, reals: int = 0
) -> Disturbed:
    """Start a command repeatedly, end it at random moments, and compare its files whenever it completes.

    Args:
        bench: The commands.
        name: The command.
        fault: Names the disturbance.
        tries: How often to end it.
        end: Ends a process and returns what was wrong.
        reals: How many of the tries start a separate process, whose start-up may be disturbed as well.
    """
    whole, kind = bench.whole(name), COMMANDS[name][1]
    each_takes = whole.seconds / max(1, sum(line.startswith(kind) for line in whole.units))
    tried, failures, lost, chain = 0, [], 0, 0
    while tried < tries:
        rng = np.random.default_rng((SEED, crc32(f"{name} {fault}".encode()), chain := chain + 1))
        place, moments, seen, wrong = bench.place(name), [], set[str](), list[str]()
        while not wrong:
            is_real = tried < reals
            moment = random_moment(rng, whole, is_real=is_real) if tried < tries else NEVER
            process = bench.start(name, place, real=is_real)
            is_over = process.is_over_at(moment, place.parent / "units")
            if is_over:
                wrong = bench.problems(name, place, process.wait(), process.orphans())
            else:
                moments.append(str(moment))
                wrong = end(process)
                tried += 1
            noted = {line for line in units(place.parent / "units") if line.startswith(kind)}
            lost = max(lost, len(noted & seen))
            seen |= noted
            (place.parent / "units").unlink(missing_ok=True)
            if is_over:
                break
        if wrong:
            how = f"WITHSTAND_FAULTS_SEED={SEED}, chain {chain}: {name}, {fault} after {', '.join(moments)}"
            failures.append("\n".join([how, f"in {place}", *wrong]))
        else:
            shutil.rmtree(place.parent)
    return Disturbed(tried, failures, f"{lost} x {kind}, {lost * each_takes:.1f} s" if lost else "nothing")
