"""Origin: where the numbers of a combination come from: command, configuration, versions, dates."""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from withstand.study.combination import Combination
from withstand.study.contents import CONFIG, EVALUATIONS, MOVE, evaluations_of
from withstand.study.provenance import PROVENANCE, Provenance
from withstand.study.records import parse_yaml, read_text
from withstand.study.study import Study
from withstand.study.sweep import read_command

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
        values: The same as values by name; empty without one.
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
    values: dict[str, Any] = field(default_factory=dict)
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
        experiment = self.values.get("experiment")
        if isinstance(experiment, dict):
            return {"model": experiment.get("model"), "data": self.values.get("data")}
        return self.values

    @classmethod
    def of(cls, study: Study, combination: Combination) -> "Origin":
        """Read it from the folders of the runs."""
        notes = tuple(dict.fromkeys(each for trial in combination.trials for each in study.notes.get(trial.run, ())))
        if study.folder is None:
            return cls(identities={}, notes=notes)
        places = [study.folder / each.run for each in combination.trials]
        known = {each: _known(study, each) for each in places}
        configs, values = _configs(study, places)
        parents = dict.fromkeys(place.parent for place in places)
        plans = [study.spare(lambda each=each: read_command(each), ()) for each in parents]
        words = [each for each in plans if each] or [each.command for each in known.values() if each.command]
        days = sorted(each.started[:10] for each in known.values() if each.started)
        first = next(iter(configs), None)
        some = next((each for each in known.values() if each != Provenance()), Provenance())
        return cls(
            commands=_spoken(words),
            measured=_spoken(words for each in places for words in _measured(study, each)),
            again=None if first is None or EVALUATED.search(configs[first]) else _again(first),
            config=None if first is None else configs[first],
            values=values,
            evaluations=() if first is None else _later(study, first),
            notes=notes,
            differing=_differing(list(configs.values())),
            started=" to ".join(dict.fromkeys((days[0], days[-1]))) if days else "",
            identities={
                trial.run: known[place].identity for trial, place in zip(combination.trials, places, strict=True)
            },
            versions=tuple(dict.fromkeys(_versions(each) for each in known.values() if each != Provenance())),
            classes=len(some.classes) or None,
            shape=some.shape,
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


def _configs(study: Study, places: Sequence[Path]) -> tuple[dict[Path, str], dict[str, Any]]:
    """Return the configurations of some runs, and the values of the first; a damaged one is left out."""
    texts = {
        each: study.spare(lambda each=each: read_text(each / CONFIG, then=MOVE), "")
        for each in places
        if (each / CONFIG).exists()
    }
    texts = {each: text for each, text in texts.items() if text}
    for place, text in list(texts.items()):
        values = study.spare(lambda place=place, text=text: parse_yaml(place / CONFIG, text, then=MOVE), None)
        if values is not None:
            return texts, values
        del texts[place]
    return texts, {}


def _later(study: Study, run: Path) -> tuple[str, ...]:
    """Return the configurations of the later evaluations of a run."""
    paths = sorted(run.glob(f"{EVALUATIONS}/*/{CONFIG}"))
    return tuple(filter(None, (study.spare(lambda each=each: read_text(each, then=MOVE), "") for each in paths)))


def _measured(study: Study, run: Path) -> list[tuple[str, ...]]:
    """Return the commands that measured a run or a model by name, as they were recorded."""
    return [words for each in evaluations_of(run) for words in _known(study, each).commands]


def _known(study: Study, folder: Path) -> Provenance:
    """Return the provenance in a folder; empty if it is damaged."""
    return study.spare(lambda: Provenance.read(folder / PROVENANCE), Provenance())


def _again(run: Path) -> str:
    return shlex.join(["withstand", "train", "--config", f"{run}/{CONFIG}", "--output", "again"])


def _versions(known: Provenance) -> str:
    parts = [f"Python {known.python}"] if known.python else []
    parts += [f"{name} {number}" for name, number in known.versions.items()]
    return ", ".join([*parts, known.platform] if known.platform else parts)


def _differing(configs: list[str]) -> tuple[str, ...]:
    """Return the lines that make configurations differ, besides those of seed and name."""
    texts = [OWN_LINES.sub("", each).splitlines() for each in dict.fromkeys(configs)]
    found: dict[str, None] = {}
    for other in texts[1:]:
        if other != texts[0]:
            found |= {f"- {line.strip()}": None for line in texts[0] if line not in other}
            found |= {f"+ {line.strip()}": None for line in other if line not in texts[0]}
    return tuple(found)[:MOST_LINES]
