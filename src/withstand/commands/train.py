"""`withstand train`: train and evaluate one configuration."""

from dataclasses import fields, replace
from pathlib import Path

import yaml
from jsonargparse import ArgumentParser, Namespace

from withstand.commands.track import Curves
from withstand.console import Console
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.experiment import CONFIG, PROVENANCE, ROWS, Experiment, plain, run
from withstand.limits import NonNegativeFloat, PositiveInt
from withstand.measuring.ask import read_results
from withstand.options import add_options, experiment_parser, read_experiment, start
from withstand.parser import parse
from withstand.reading.places import quoted
from withstand.rendering.terminal import as_text
from withstand.stacked.trials import run_together
from withstand.study.contents import MOVE
from withstand.study.measures.row import read_rows
from withstand.study.provenance import Provenance
from withstand.study.records import read_yaml
from withstand.study.tables.seeds import seeds_table

DESCRIPTION = (
    "Train a model and evaluate it on the test part. Results are written to OUTPUT/NAME-ID, where ID is a hash of the "
    "configuration. Run the same command again to resume. `--model.help MLP` lists the options of a model class."
)


def main(words: list[str]) -> None:
    """Run `withstand train`."""
    found = _parsed(words)
    experiment = Experiment(**{each.name: getattr(found, each.name) for each in fields(Experiment)})
    if found.print_config:
        Console(quiet=False).print(yaml.safe_dump(plain(experiment), sort_keys=False))
        return
    engine, console, root = start(found)
    engine = replace(engine, checkpoint_seconds=found.checkpoint_seconds)
    if found.seeds != 1 or found.vectorize:
        _train_seeds(experiment, found, engine, console, root)
        return
    if found.resume is not None:
        folder = Path(found.resume).resolve()
        root = folder.parent
        if experiment.folder(root) != folder:
            raise InputError(
                f"resume: {found.resume} was made by another configuration or has been renamed, expected "
                f"{experiment.folder(root).name}."
            )
    finished = (experiment.folder(root) / ROWS).exists()
    with console.progress(0 if finished else experiment.training.epochs) as watch:
        if found.track and engine.is_first:
            watch = Curves(experiment.folder(root) / "tensorboard", watch)
        folder = run(experiment, root, engine=engine, watch=watch, say=console.say)
    if not engine.is_first:
        return
    if found.format == "json":
        values = [vars(row) for row in read_rows(folder / ROWS).rows]
        console.print_json({"run": str(folder), "rows": values})
    else:
        console.print(as_text(read_results(folder).tables()))
        shape = Provenance.read(folder / PROVENANCE).shape
        on = "imagenet-c" if len(shape) == 3 else "worst-case --radius 0.1"
        console.say(f"Saved to {folder}; next: {quoted('withstand', 'evaluate', folder)} --on clean {on}")


def _parser() -> ArgumentParser:
    parser = experiment_parser(description=DESCRIPTION)
    add = parser.add_argument
    add("--print_config", action="store_true", help="print the full configuration as YAML and exit")
    add("--resume", type=str, help="resume the unfinished run in this folder, with its configuration")
    add("--checkpoint_seconds", type=NonNegativeFloat, default=10.0, help="minimum seconds between checkpoints")
    add("--track", action="store_true", help="write TensorBoard event files to the run's folder")
    add("--seeds", type=PositiveInt, default=1, help="number of runs, with seeds counted up from --seed")
    add("--vectorize", action="store_true", help="with --seeds: train all seeds in one batch (MLP only)")
    add_options(parser, compiles=True)
    return parser


def _train_seeds(experiment: Experiment, found: Namespace, engine: Engine, console: Console, root: Path) -> None:
    if found.resume is not None or found.track:
        raise InputError("seeds: --seeds cannot be combined with --resume or --track.")
    experiments = [replace(experiment, seed=experiment.seed + number) for number in range(found.seeds)]
    if found.vectorize:
        with console.progress(experiment.training.epochs) as watch:
            folders = run_together(experiments, root, engine=engine, watch=watch, say=console.say)
    else:
        folders = [run(each, root, engine=engine, say=console.say) for each in experiments]
    if not engine.is_first:
        return
    read = {folder.name: read_rows(folder / ROWS) for folder in folders}
    rows = {name: own.rows for name, own in read.items()}
    if found.format == "json":
        values = {name: [vars(row) for row in own] for name, own in rows.items()}
        console.print_json({"runs": [{"run": str(each), "rows": values[each.name]} for each in folders]})
    else:
        console.print(as_text([seeds_table(rows, next(iter(read.values())).measures)]))
        console.say(f"Saved to {len(folders)} folders: {folders[0]}, ...")


def _parsed(words: list[str]) -> Namespace:
    """Parse the words; an error in the configuration of the run to resume names its file."""
    full = _with_config_of_resumed(words)
    try:
        return parse(_parser(), full, training=True)
    except InputError as problem:
        path = full[-1].removeprefix("--config=")
        if full != words and str(problem) == _error_in(path):
            raise InputError(f"resume: {path}: {problem} To train again, {MOVE}.") from problem
        raise


def _error_in(path: str) -> str | None:
    """Return the error in a configuration file; None if there is none."""
    try:
        read_experiment([f"--config={path}"])
    except InputError as problem:
        return str(problem)
    return None


def _with_config_of_resumed(words: list[str]) -> list[str]:
    typed = [part for word in words for part in word.split("=", 1)]
    if "--resume" not in typed[:-1]:
        return words
    folder = typed[typed.index("--resume") + 1]
    if not (Path(folder) / CONFIG).is_file():
        raise InputError(f"resume: expected the folder of a run, found no {CONFIG} in {folder}.")
    read_yaml(Path(folder) / CONFIG, then=MOVE)
    return words if any(word.startswith("--config") for word in words) else [*words, f"--config={folder}/{CONFIG}"]
