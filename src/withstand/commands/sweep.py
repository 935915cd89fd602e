"""`withstand sweep`: many runs, locally or on a cluster."""

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from withstand.commands.pooling import (
    add_pool_options,
    check_pool_options,
    devices_of,
    is_on_cluster,
    make_pool,
    names_of,
    stored,
)
from withstand.commands.sweep_watch import SweepWatch, runs_of
from withstand.console import Console
from withstand.errors import InputError, SweepError
from withstand.experiment import PROVENANCE, ROWS
from withstand.limits import PositiveInt
from withstand.options import add_options, make_parser, read_experiment
from withstand.parser import SHORT, parse
from withstand.parser_errors import unknown_option
from withstand.pools.mirror import Mirror
from withstand.pools.pool import Pool
from withstand.reading.places import check_output, place_of, quoted
from withstand.rendering.grid import Grid
from withstand.rendering.terminal import as_text
from withstand.study.contents import CONFIG
from withstand.study.sweep import FAILED, PLAN
from withstand.sweeps.batch_pool import BatchPool
from withstand.sweeps.earlier import spoken_of, unite
from withstand.sweeps.forecast import forecast
from withstand.sweeps.plan import Plan, options_of_train, read_plan
from withstand.sweeps.sweep import Tally, record, sweep, unfinished
from withstand.sweeps.sweep_file import check_name

DESCRIPTION = (
    "Train and evaluate every combination of the values in a YAML file or recipe, with several seeds. Options of "
    "`withstand train` apply to every run. Runs are written to OUTPUT/NAME. Repeat the command to resume."
)


def main(words: list[str]) -> None:
    """Run `withstand sweep`."""
    parser = _parser()
    options = {o for action in parser._actions for o in action.option_strings}
    own, more = split_words(words, options)
    check_options(more, options)
    found = parse(parser, own)
    if found.vectorize and (is_on_cluster(found) or found.workers > 1):
        raise InputError("sweep: --vectorize cannot be combined with --address, --slurm or several --workers.")
    check_pool_options("sweep", found)
    console = Console(quiet=found.quiet)
    plan = read_plan(
        found.source, read_experiment, small=found.small, seeds=found.seeds, only=found.only or (), more=more
    )
    if found.name is not None:
        check_name(found.name)
        plan = replace(plan, name=found.name)
    place = place_of(found.output)
    with stored(str(place / plan.name), _is_plan_or_rows) as (folder, mirrors):
        if not mirrors:
            check_output("output", folder)
        console.names |= names_of(mirrors)
        _sweep(plan, folder, mirrors, found, words, console)


def _sweep(plan: Plan, folder: Path, mirrors: Sequence[Mirror], found: Any, words: list[str], console: Console) -> None:
    missing = unfinished(plan, folder)
    if found.dry_run:
        console.say(spoken_of(unite(plan, folder), folder))
        console.print(as_text([overview(plan, folder)]))
        device = devices_of("auto" if found.slurm else found.device)[0]
        options = {"device": device, "processes": found.workers or 1, "start": time.process_time()}
        console.print(as_text([forecast(plan, missing, **options).grid()]))
        return
    command = ["withstand", "sweep", *words]
    if missing:
        with pool_of(found, folder, len(missing), mirrors) as pool:
            console.say(spoken_of(record(plan, folder, command=command), folder))
            with SweepWatch(plan, console, missing=missing) as watch:
                tally = sweep(plan, folder, pool, watch)
        record_again(plan, folder, console, command=command)
    else:
        console.say(spoken_of(record(plan, folder, command=command), folder))
        tally = Tally(found=list(plan.experiments))
    print_tally(plan, folder, tally, console, form=found.format)


def _parser() -> ArgumentParser:
    parser = make_parser("sweep", DESCRIPTION, positional="FILE|RECIPE")
    add = parser.add_argument
    add("source", type=str, metavar="FILE|RECIPE", help="YAML file or recipe; see `withstand list sweeps`")
    add("--name", type=str, help="name of the sweep and its folder (default: the file's)")
    add("--small", action="store_true", help="run the small variant defined in the file")
    add("--seeds", type=PositiveInt | None, help="number of seeds (default: the file's)")
    only = "run only these values of an axis, e.g. method=plain method=augmix"
    add("--only", type=str, nargs="+", metavar="AXIS=VALUE", help=only)
    add("--vectorize", action="store_true", help="train runs that differ only in seed or radius together (MLP only)")
    add(
        "--dry_run",
        action="store_true",
        help="print the runs, and what those that are missing will cost, then exit",
    )
    add_pool_options(parser)
    add_options(parser, workers="parallel runs (-j); 0: one locally, no limit on Ray, 100 on Slurm")
    return parser


def record_again(plan: Plan, folder: Path, console: Console, *, command: list[str]) -> None:
    """Write the plan again, in case another sweep changed it in the meantime."""
    try:
        record(plan, folder, command=command)
    except InputError as problem:
        console.say(str(problem))


def check_options(words: Sequence[str], options: set[str]) -> None:
    """Reject options that neither this command nor a run has.

    Args:
        words: Those that belong to the runs.
        options: Options of this command.

    Raises:
        InputError: With the nearest option of either.
    """
    known = {*options, *SHORT, *(f"--{each}" for each in options_of_train())}
    for word in words:
        name = "--" + word.partition("=")[0][2:].replace("-", "_")
        if word.startswith("--") and name.partition(".")[0] not in known:
            raise InputError(unknown_option(name, sorted(known)))


def pool_of(found: Any, folder: Path, missing: int, mirrors: Sequence[Mirror]) -> Pool:
    """Return the pool that does the runs."""
    if found.vectorize:
        return BatchPool(folder, device=found.device)
    return make_pool(found, folder, missing, mirrors=mirrors)


def _is_plan_or_rows(name: str) -> bool:
    """Return whether a file of a sweep says what is planned or done."""
    return name.rpartition("/")[2] in (PLAN, FAILED, CONFIG, ROWS, PROVENANCE) and name.count("/") < 2


def split_words(words: list[str], options: set[str]) -> tuple[list[str], list[str]]:
    """Split the words into options of this command and options of the runs.

    Example:
        >>> split_words(["a", "--seeds", "2", "--epochs", "5"], {"--seeds"})
        (['a', '--seeds', '2'], ['--epochs', '5'])
    """
    own: list[str] = []
    more: list[str] = []
    target = own
    for word in words:
        if word.startswith("-") and not re.fullmatch(r"-\d.*", word):
            name = word.partition("=")[0]
            target = own if "--" + name.lstrip("-").replace("-", "_") in options or name in ("-j", "-h") else more
        target.append(word)
    return own, more


def overview(plan: Plan, folder: Path) -> Grid:
    """Return a table with the number of runs and of finished runs per combination of values."""
    axes = list(plan.entries[0].labels)
    lines = []
    for labels, runs in runs_of(plan).items():
        finished = sum((folder / run / ROWS).exists() for run in runs)
        lines.append((*labels, str(len(runs)), str(finished)))
    columns = (*short_names([*axes, "runs", "finished"]),)
    return Grid(title=f"Sweep {plan.name} in {folder}", columns=columns, lines=tuple(lines), num_labels=len(axes))


def short_names(names: Sequence[str]) -> list[str]:
    """Return names with dots by as many of their last parts as tell them apart.

    Example:
        >>> short_names(["training.optimizer.lr", "a.ball.radius", "b.ball.radius", "a.radius"])
        ['lr', 'a.ball.radius', 'b.ball.radius', 'a.radius']
    """
    found = []
    for name in names:
        parts = name.split(".")
        ends = [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        others = [other for other in names if other != name]
        found.append(next((end for end in ends if not any(f".{o}".endswith(f".{end}") for o in others)), name))
    return found


def print_tally(plan: Plan, folder: Path, tally: Tally, console: Console, *, form: str) -> None:
    """Print how the sweep ended.

    Raises:
        SweepError: If a run failed.
    """
    if form == "json":
        content = {"folder": str(folder), "found": tally.found, "done": tally.done, "failed": tally.failed}
        console.print_json(content)
    else:
        console.print(as_text([overview(plan, folder)]))
    if tally.failed:
        run, problem = next(iter(tally.failed.items()))
        others = f" and {len(tally.failed) - 1} more" if len(tally.failed) > 1 else ""
        raise SweepError(
            f"{len(tally.failed)} of {len(plan.experiments)} runs failed: {run} ({problem.removesuffix('.')}){others}; "
            "the others finished. Repeat the command to retry."
        )
    console.say(f"{len(plan.experiments)} runs finished; next: {quoted('withstand', 'report', folder)}")
