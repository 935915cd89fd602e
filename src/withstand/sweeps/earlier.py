"""Earlier plans in the folder of a sweep, whose finished runs are kept."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from withstand.errors import InputError
from withstand.experiment import ROWS
from withstand.study.sweep import PLAN, Entry, read_entries
from withstand.sweeps.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Union:
    """A plan united with an earlier one.

    Attributes:
        entries: Entries of both; those of the plan come first.
        earlier: Finished runs that only the earlier plan has.
        is_written: Whether the folder already holds exactly this plan.
    """

    entries: tuple[Entry, ...]
    earlier: tuple[str, ...] = ()
    is_written: bool = False


def unite(plan: Plan, folder: Path) -> Union:
    """Return a plan united with the one in the sweep's folder.

    If finished runs there are not in the plan, the earlier entries of all finished runs are kept, except those whose
    values and seed belong to another run of the plan, which uses their own run elsewhere.

    Raises:
        InputError: If the file there is not a plan, or such runs have other axes, or the values and seed of a run of
            the plan with other settings.
    """
    found = read_entries(folder) if (folder / PLAN).exists() else ()
    own = {_key(each) for each in plan.entries}
    known = {_key(each) for each in found}
    finished = {run for run in {each.run for each in found} if (folder / run / ROWS).exists()}
    others = [each for each in found if each.run in finished and each.run not in plan.experiments]
    if not others:
        return Union(entries=plan.entries, is_written=own == known)
    axes = list(plan.entries[0].labels)
    strange = next((each for each in others if set(each.labels) != set(axes)), None)
    if strange is not None:
        raise InputError(
            f"sweep: {folder} holds {_counted(len({each.run for each in others}))} of a sweep that varied "
            f"{' and '.join(strange.labels) or 'nothing'}, not {' and '.join(axes) or 'nothing'}; choose another "
            "--name or --output."
        )
    taken = {_key(replace(each, run="")) for each in plan.entries}
    kept = [
        replace(each, labels={axis: each.labels[axis] for axis in axes})
        for each in found
        if each.run in finished
        and set(each.labels) == set(axes)
        and _key(each) not in own
        and (each.run not in plan.experiments or _key(replace(each, run="")) not in taken)
    ]
    alike = {each.run for each in others if _key(replace(each, run="")) in taken}
    if alike:
        raise InputError(
            f"sweep: {folder} holds {_counted(len(alike))} with the values and the seed of a run of this plan, but "
            "with other settings besides; choose another --name or --output."
        )
    entries = (*plan.entries, *kept)
    return Union(
        entries=entries,
        earlier=tuple(dict.fromkeys(each.run for each in others)),
        is_written={_key(each) for each in entries} == known,
    )


def spoken_of(union: Union, folder: Path) -> str:
    """Return a sentence about the runs kept from an earlier plan; empty if there are none.

    Example:
        >>> spoken_of(Union(entries=(), earlier=("a", "b")), Path("runs/mine"))
        '2 finished runs of an earlier plan stay in runs/mine.'
    """
    if not union.earlier:
        return ""
    stay = "stays" if len(union.earlier) == 1 else "stay"
    return f"{_counted(len(union.earlier))} of an earlier plan {stay} in {folder}."


def _key(entry: Entry) -> str:
    return json.dumps([entry.labels, entry.seed, entry.run], sort_keys=True)


def _counted(number: int) -> str:
    return "1 finished run" if number == 1 else f"{number:,} finished runs"
