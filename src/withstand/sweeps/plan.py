"""Plan: the runs of a sweep."""

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from withstand.configuration import canonical
from withstand.errors import InputError, brief, nearest
from withstand.experiment import Experiment
from withstand.study.sweep import Entry
from withstand.sweeps.sweep_file import MOST_LETTERS, MOST_RUNS, check_seeds, load
from withstand.training.settings import Training

Read = Callable[[list[str]], Experiment]
Settings = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The runs of a sweep.

    Attributes:
        name: Name of the sweep, and of its folder.
        entries: One entry per combination of values and seed; several entries may share a run.
        experiments: Experiments by the name of the run's folder.
    """

    name: str
    entries: tuple[Entry, ...]
    experiments: dict[str, Experiment]


def read_plan(
    source: str,
    read: Read,
    *,
    small: bool = False,
    seeds: int | None = None,
    only: Sequence[str] = (),
    more: Sequence[str] = (),
) -> Plan:
    """Return the plan of a YAML file or recipe.

    The file has `name`, `set` (options of every run), `vary` (axes), `seeds` (their number) and `small` (replacements
    for the small variant). An axis is an option of `withstand train` with a list of values; or a name with a list of
    values, used as `$name` in `set` and other axes; or a name with named groups of options. All combinations of values
    are run with every seed.

    Args:
        source: Path of the file, or name of a recipe in `recipes/sweeps`.
        read: Returns the experiment for options of `withstand train`.
        small: Whether to use the small variant.
        seeds: Number of seeds; None takes the file's.
        only: Which values of axes to run, each as `AXIS=VALUE`; an axis that none of them names keeps all.
        more: Options of `withstand train` for every run.

    Raises:
        InputError: If the file is not a sweep, or an experiment is invalid.
    """
    content = load(source, small=small)
    count = content.get("seeds", 1) if seeds is None else seeds
    axes = _checked(content.get("vary", {}), count, only)
    entries, experiments, folders = [], {}, {}
    for labels, options in combinations(content.get("set", {}), axes):
        experiment = read([*words_of(options), *more])
        for number in range(count):
            seeded = replace(experiment, seed=experiment.seed + number)
            title = "-".join([*(part_of_title(each) for each in labels.values()), f"seed{seeded.seed}"])
            if len(title.encode()) > MOST_LETTERS:
                raise InputError(
                    f"sweep: the values of a run must fit into a folder's name, got {brief(title)}; "
                    "name them by groups of options."
                )
            same = canonical(replace(seeded, name="run"))
            folder = folders.setdefault(same, replace(seeded, name=title).folder(Path()).name)
            known = experiments.setdefault(folder, replace(seeded, name=title))
            if canonical(replace(known, name="run")) != same:
                raise InputError(
                    f"sweep: two different runs would share the folder {folder}; change one of their values."
                )
            entries.append(Entry(labels=labels, seed=seeded.seed, run=folder))
    return Plan(name=content["name"], entries=tuple(entries), experiments=experiments)


def _checked(axes: Settings, count: int, only: Sequence[str]) -> Settings:
    """Return valid axes with the chosen values, which do not make too many runs."""
    check_seeds(count)
    for name, values in axes.items():
        _check_axis(name, values)
    axes = chosen(axes, only)
    if (total := count * math.prod(map(len, axes.values()))) > MOST_RUNS:
        raise InputError(
            f"sweep: expected at most {MOST_RUNS:,} runs, got {brief(total)}; vary less or use fewer seeds."
        )
    return axes


def chosen(axes: Settings, only: Sequence[str]) -> dict[str, Any]:
    """Return axes with the chosen values alone.

    Args:
        axes: By name.
        only: Values of axes, each as `AXIS=VALUE`; an axis that none of them names keeps all of its values.

    Raises:
        InputError: If an axis or a value does not exist.

    Example:
        >>> chosen({"method": {"plain": {}, "noisy": {}}, "lr": [0.1, 0.2]}, ["lr=2e-1", "method=plain"])
        {'method': {'plain': {}}, 'lr': [0.2]}
    """
    wanted: dict[str, list[Any]] = {}
    for word in only:
        name, _, text = word.partition("=")
        if name not in axes:
            raise InputError(f"sweep: --only must be AXIS=VALUE, got {brief(word)}; {nearest(name, axes)}")
        meant = spelling(text)
        found = [each for each in axes[name] if spelling(each) == meant]
        found = found or [each for each in axes[name] if spelling(each).lower() == meant.lower()]
        if len(found) != 1:
            raise InputError(f"sweep: --only {name} has no value {brief(text)}; {nearest(text, map(str, axes[name]))}")
        wanted.setdefault(name, []).append(found[0])
    return {
        name: values
        if name not in wanted
        else {each: values[each] for each in values if each in wanted[name]}
        if isinstance(values, dict)
        else [each for each in values if each in wanted[name]]
        for name, values in axes.items()
    }


def combinations(common: Settings, axes: Settings) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the labels and the options of every combination of values.

    Example:
        >>> list(combinations({"epochs": "$n"}, {"n": [1, 2]}))
        [({'n': 1}, {'epochs': 1}), ({'n': 2}, {'epochs': 2})]
    """
    for name, values in axes.items():
        _check_axis(name, values)
    named = {name for name, values in axes.items() if isinstance(values, list) and not is_option(name)}
    unused = named - set(names_in([common, *axes.values()]))
    if unused:
        first = min(unused)
        raise InputError(
            f"sweep: vary.{brief(first)} is not an option of withstand train and nothing uses ${first}; "
            f"{nearest(first, options_of_train())}"
        )
    for values in itertools.product(*(list(each) for each in axes.values())):
        labels = dict(zip(axes, values, strict=True))
        options = dict(common)
        for name, value in labels.items():
            own = axes[name]
            options |= own[value] if isinstance(own, dict) else {} if name in named else {name: value}
        yield labels, {name: filled(value, labels) for name, value in options.items()}


def _check_axis(name: str, values: Any) -> None:
    """Reject an axis without values, with duplicates, or with a reserved name."""
    if name in ("seed", "seeds"):
        raise InputError(f"sweep: vary.{brief(name)} is not an axis; use `seeds: 5` next to vary.")
    if not isinstance(values, dict | list) or not values:
        raise InputError(f"sweep: vary.{name} must be a list of values or groups of options, got {brief(values)}.")
    wrong = [each for each in values.values() if not isinstance(each, dict)] if isinstance(values, dict) else []
    if wrong:
        raise InputError(f"sweep: each group of vary.{name} must hold options by name, got {brief(wrong[0])}.")
    seen: set[str] = set()
    for each in values:
        if spelling(each) in seen:
            raise InputError(f"sweep: vary.{name} has {brief(each)} twice; values must be unique.")
        seen.add(spelling(each))


def spelling(value: Any) -> str:
    """Return a canonical text of a value.

    Example:
        >>> [spelling(each) for each in (0.001, "1e-3", 1, 1.0, True, "a", [4])]
        ['0.001', '0.001', '1.0', '1.0', 'True', 'a', '[4]']
    """
    try:
        return str(value) if isinstance(value, bool) else str(float(value))
    except (TypeError, ValueError, OverflowError):
        return str(value)


def is_option(name: str) -> bool:
    """Return whether an axis is an option of `withstand train`."""
    return name.replace("-", "_").split(".")[0] in options_of_train()


def options_of_train() -> list[str]:
    """Return the top-level option names of an experiment."""
    return ["config", "lr", *(each.name for each in (*fields(Experiment), *fields(Training)))]


def names_in(value: Any) -> Iterator[str]:
    """Yield the names of axes used in values."""
    if isinstance(value, str) and value.startswith("$"):
        yield value[1:]
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from names_in(each)


def filled(value: Any, labels: Settings) -> Any:
    """Return a value with each `$name` replaced by the value of the axis.

    Raises:
        InputError: If there is no such axis.
    """
    if isinstance(value, dict):
        return {name: filled(each, labels) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, labels) for each in value]
    if not isinstance(value, str) or not value.startswith("$"):
        return value
    if value[1:] not in labels:
        raise InputError(f"sweep: {brief(value)} is not an axis; {nearest(value[1:], labels)}")
    return labels[value[1:]]


def words_of(options: Settings) -> list[str]:
    """Return options as command-line arguments.

    Example:
        >>> words_of({"config": "avila-noise", "epochs": 5, "seeds": None})
        ['--config=avila-noise', '--epochs=5', '--seeds=null']
    """
    return [f"--{name}={each if isinstance(each, str) else _flow(each)}" for name, each in options.items()]


def part_of_title(value: Any) -> str:
    """Return the text of a value in a folder's name."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return re.sub(r"[^\w.]+", "_", text).strip("_.") or "none"


def _flow(value: Any) -> str:
    """Return a value in one line of YAML."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n").removesuffix("\n...")
