"""Origin: where the numbers of a combination come from: command, configuration, versions, dates."""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import yaml

from withstand.study.combination import Combination
from withstand.study.provenance import PROVENANCE, read_known
from withstand.study.runs import CONFIG, EVALUATIONS, evaluations_of
from withstand.study.study import Study
from withstand.study.sweep import PLAN

OWN_LINES = re.compile(r"^(seed|name): .*\n", re.MULTILINE)
EVALUATED = re.compile(r"^experiment:", re.MULTILINE)  # in the configuration of an evaluation
MOST_LINES = 40


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the numbers of a combination come from.

    Attributes:
        commands: That made its runs, or their sweep; empty if they came from Python or nothing is known.
        measured: Commands that measured them later; empty if this was done from Python, or nothing was.
        again: Command that makes its first run again from its configuration; None without one.
        config: Configuration of its first run; None if there is none.
        evaluations: Configurations of what was measured of that run later.
        notes: Sentences about how its runs were measured.
        differing: Lines in which the other runs' configurations differ from it, besides seed and name.
        started: First and last day, or one.
        identities: By run.
        versions: Versions of the software, a text per set of versions.
        classes: Number of them; None if it is not known.
        shape: Shape of an input.
    """

    commands: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()
    again: str | None = None
    config: str | None = None
    evaluations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    started: str = ""
    identities: dict[str, str]
    versions: tuple[str, ...] = ()
    classes: int | None = None
    shape: tuple[int, ...] = ()

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The configuration as data; empty if there is none. Of an evaluation by name: model and data, nothing more."""
        found = yaml.safe_load(self.config) if self.config else {}
        found = found if isinstance(found, dict) else {}
        if "experiment" in found:
            return {"model": found["experiment"].get("model"), "data": found.get("data")}
        return found

    @classmethod
    def of(cls, study: Study, combination: Combination) -> "Origin":
        """Read it from the folders of the runs."""
        notes = tuple(dict.fromkeys(each for trial in combination.trials for each in study.notes.get(trial.run, ())))
        if study.folder is None:
            return cls(identities={}, notes=notes)
        places = [study.folder / each.run for each in combination.trials]
        known = {each: read_known(each / PROVENANCE) for each in places}
        configs = {each: (each / CONFIG).read_text() for each in places if (each / CONFIG).exists()}
        plans = [read_known(parent / PLAN) for parent in dict.fromkeys(place.parent for place in places)]
        words = [each["command"] for each in plans if each.get("command")]
        words = words or [each["command"] for each in known.values() if each.get("command")]
        days = sorted(each["started"][:10] for each in known.values() if each.get("started"))
        first = next(iter(configs), None)
        some = next((each for each in known.values() if each), {})
        return cls(
            commands=_spoken(words),
            measured=_spoken(words for each in places for words in _measured(each)),
            again=None if first is None or EVALUATED.search(configs[first]) else _again(first),
            config=None if first is None else configs[first],
            evaluations=()
            if first is None
            else tuple(each.read_text() for each in sorted(first.glob(f"{EVALUATIONS}/*/{CONFIG}"))),
            notes=notes,
            differing=_differing(list(configs.values())),
            started=" to ".join(dict.fromkeys((days[0], days[-1]))) if days else "",
            identities={
                trial.run: str(known[place].get("identity", ""))
                for trial, place in zip(combination.trials, places, strict=True)
            },
            versions=tuple(dict.fromkeys(_versions(each) for each in known.values() if each)),
            classes=len(some["classes"]) if "classes" in some else None,
            shape=tuple(some.get("shape", ())),
        )


def commands_of(origins: Sequence[Origin]) -> tuple[str, ...]:
    """Return the commands behind some combinations, each once: those that trained, then those that measured."""
    trained = [text for each in origins for text in each.commands]
    return tuple(dict.fromkeys([*trained, *(text for each in origins for text in each.measured)]))


def spoken_command(words: Sequence[str]) -> str | None:
    """Return a command as people type it; None for one that is not of the command line.

    Example:
        >>> spoken_command(["/venv/bin/withstand", "train", "--name", "a b"])
        "withstand train --name 'a b'"
        >>> spoken_command(["/usr/bin/pytest"]) is None
        True
    """
    name = PurePath(words[0]).name.removesuffix(".exe") if words else ""
    if name == "__main__.py":
        return shlex.join(["python", "-m", "withstand", *words[1:]])
    return shlex.join([name, *words[1:]]) if name == "withstand" else None


def _spoken(commands: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for each in commands if (text := spoken_command(each))))


def _measured(run: Path) -> list[list[str]]:
    """Return the commands that measured a run or a model by name, as they were recorded."""
    return [words for each in evaluations_of(run) for words in read_known(each / PROVENANCE).get("commands", [])]


def _again(run: Path) -> str:
    return shlex.join(["withstand", "train", "--config", f"{run}/{CONFIG}", "--output", "again"])


def _versions(known: dict[str, Any]) -> str:
    parts = [f"Python {known['python']}"] if "python" in known else []
    parts += [f"{name} {number}" for name, number in known.get("versions", {}).items()]
    return ", ".join([*parts, known["platform"]] if "platform" in known else parts)


def _differing(configs: list[str]) -> tuple[str, ...]:
    """Return the lines that make configurations differ, besides those of seed and name."""
    texts = [OWN_LINES.sub("", each).splitlines() for each in dict.fromkeys(configs)]
    found: dict[str, None] = {}
    for other in texts[1:]:
        if other != texts[0]:
            found |= {f"- {line.strip()}": None for line in texts[0] if line not in other}
            found |= {f"+ {line.strip()}": None for line in other if line not in texts[0]}
    return tuple(found)[:MOST_LINES]
