"""`withstand evaluate`: finished runs or named models, under several conditions, side by side."""

import json
import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import yaml
from torch import nn

from withstand.commands.common import Console, add_options, make_parser, start
from withstand.commands.train import read_experiment
from withstand.configuration import identity, to_plain
from withstand.data.base import Dataset, Split
from withstand.data.table import Table
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.conditions import SETS, conditions
from withstand.evaluation.in_blocks import measure_in_blocks
from withstand.experiment import CONFIG, MODEL, PROVENANCE, ROWS, Experiment, build_model, hold
from withstand.parser import parse
from withstand.perturbations.base import within
from withstand.reports.terminal import render
from withstand.results.row import Row, read_rows, write_rows, write_whole
from withstand.results.table import accuracy_table

DESCRIPTION = (
    "Measure finished runs (their folders), or models by name with --weights or --pretrained, and print one table. "
    "What was measured before is not measured again."
)


# Least time between two saves of what is done.
SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Everything but the conditions that decides the rows of one model.

    Attributes:
        experiment: The run, or a model by name (then nothing was trained).
        weights_sha256: Hash of the file of weights; empty where there is none.
        version: Of the package.
        data: Whose test part is measured.
        num_samples: How many that are.
        pixels: Size of images whose published parameters the corruptions take; None takes the nearest.
        seed: Decides every draw.
    """

    experiment: Experiment
    weights_sha256: str
    version: str
    data: Dataset
    num_samples: int
    pixels: Literal[224, 299, 64, 32] | None
    seed: int


def main(words: list[str]) -> None:
    """Evaluate."""
    parser = make_parser("evaluate", DESCRIPTION, positional="MODEL ...")
    parser.add_argument("models", type=str, nargs="+", help="folders of runs, or names of models")
    parser.add_argument("--data", type=Dataset | None, default=None, help="data set; the run's own by default")
    on = "; ".join(f"{name}: {meaning}" for name, meaning in SETS.items())
    parser.add_argument(
        "--on",
        type=str,
        nargs="+",
        default=["clean"],
        help=f"conditions: {on}; or a corruption (contrast) or cell of it (contrast/3)",
    )
    parser.add_argument("--weights", type=str, default=None, help="file of weights for a model given by name")
    parser.add_argument(
        "--pixels",
        type=Literal[224, 299, 64, 32] | None,
        default=None,
        help="size of images whose published parameters the corruptions take; the nearest by default",
    )
    parser.add_argument(
        "--frost",
        type=Literal["published", "procedural"],
        default="published",
        help="textures of frost: the published ones, or some made here, where those are missing",
    )
    parser.add_argument("--pretrained", action="store_true", help="published weights for a model given by name")
    parser.add_argument("--seed", type=int, default=0, help="decides every draw; the same for every model")
    parser.add_argument("--batch_size", type=int | None, default=None, help="samples per batch and process (-b)")
    add_options(parser)
    found = parse(parser, words)
    if found.seed < 0:
        raise InputError(f"evaluate: seed must be at least 0, got {found.seed}.")
    if found.batch_size is not None and found.batch_size < 1:
        raise InputError(f"evaluate: batch-size must be at least 1, got {found.batch_size}.")
    engine, console, root = start(found, batch_size=found.batch_size)
    results, notes = evaluate(
        found.models,
        data=found.data,
        on=found.on,
        weights=found.weights,
        pretrained=found.pretrained,
        pixels=found.pixels,
        frost=found.frost,
        seed=found.seed,
        root=root,
        engine=engine,
        console=console,
    )
    show(results, notes, console=console, as_json=found.format == "json")


def evaluate(
    models: list[str],
    *,
    data: Dataset | None,
    on: list[str],
    weights: str | None = None,
    pretrained: bool = False,
    pixels: Literal[224, 299, 64, 32] | None = None,
    frost: Literal["published", "procedural"] = "published",
    seed: int = 0,
    root: Path,
    engine: Engine,
    console: Console,
) -> tuple[dict[str, list[Row]], tuple[str, ...]]:
    """Measure models one after the other and return each one's rows, and notes on the conditions.

    Args:
        models: Folders of runs, or names of models.
        data: Whose test part is measured; None takes each run's own.
        on: Names of conditions.
        weights: File for a model given by name.
        pretrained: Whether a model given by name starts from published weights.
        pixels: Size of images whose published parameters the corruptions take; None takes the nearest.
        frost: Whose textures.
        seed: Decides every draw.
        root: Folder of results of models given by name.
        engine: Device and processes.
        console: Is told what is going on.
    """
    results: dict[str, list[Row]] = {}
    notes: tuple[str, ...] = ()
    splits: dict[str, Split] = {}
    engine = replace(engine, checkpoint_seconds=SECONDS)
    experiments = [_experiment(name, data, weights, pretrained, seed) for name in models]
    models = [str(Path(each).resolve()) if _is_run(each) else each for each in models]
    if len(set(models)) < len(models):
        raise InputError("evaluate: every model must be given once, got one twice.")
    names = _short(models)
    for name, given, experiment in zip(names, models, experiments, strict=True):
        key = identity(experiment.data)
        if key not in splits:
            splits[key] = experiment.data.load("test")
        split = splits[key]
        if len(split) == 0:
            raise InputError("evaluate: the test part has no samples.")
        if _is_run(given):
            notes += _differences(name, json.loads((Path(given) / PROVENANCE).read_text()), split)
        perturbations, own_notes = conditions(on, split.shape, pixels=pixels, frost=frost)
        notes += tuple(note for note in own_notes if note not in notes)
        file = Path(given) / MODEL if _is_run(given) else experiment.weights and Path(experiment.weights)
        digest = sha256(file.read_bytes()).hexdigest() if file and file.is_file() else ""
        own = Measurement(
            experiment=replace(experiment, weights=None, name="run"),
            weights_sha256=digest,
            version=version("withstand"),
            data=experiment.data,
            num_samples=len(split),
            pixels=pixels,
            seed=seed,
        )
        label = identity(own) if _is_run(given) else f"{name.replace('/', '_')}-{identity(own)}"
        folder = (Path(given) if _is_run(given) else root) / "evaluations" / label
        rows = read_rows(folder / ROWS) if (folder / ROWS).is_file() else []
        done = {row.condition for row in rows}
        missing = tuple(each for each in perturbations if each.condition not in done)
        if not missing:
            console.say(f"{name}: measured already ({folder}).")
        else:
            plural = "s" if len(missing) > 1 else ""
            console.say(f"{name}: {len(missing)} condition{plural}, {len(split):,} samples, {engine.device}.")
            model = _load(given, experiment, split, engine)
            with hold(folder) if engine.is_first else nullcontext(), console.counting(len(split)) as tell:
                if engine.is_first:
                    write_whole(folder / CONFIG, yaml.safe_dump(to_plain(own), sort_keys=False).encode())
                accuracy = within(Accuracy(perturbations=missing), split.box)
                keep = folder / f"partial-{identity(accuracy)}.json"
                rows += measure_in_blocks(accuracy, model, split, seed=seed, engine=engine, keep=keep, tell=tell)
                if engine.is_first:
                    write_rows(folder / ROWS, rows)
                    keep.unlink(missing_ok=True)
                engine.wait()
        results[name] = [row for each in perturbations for row in rows if row.condition == each.condition]
    return results, notes


def show(
    results: dict[str, list[Row]], notes: tuple[str, ...], *, console: Console, as_json: bool, title: str = ""
) -> None:
    """Print results as one table, or as JSON."""
    if as_json:
        rows: list[dict[str, Any]] = [
            {"model": model, **vars(row), "value": row.value} for model, rows in results.items() for row in rows
        ]
        console.print_json({"notes": notes, "rows": rows})
        return
    console.print(render(accuracy_table(results, notes=notes, title=title)))


def _experiment(name: str, data: Dataset | None, weights: str | None, pretrained: bool, seed: int) -> Experiment:
    if _is_run(name):
        if weights is not None or pretrained:
            raise InputError(
                f"evaluate: {name} is a run and has its own weights; leave --weights and --pretrained out."
            )
        experiment = read_experiment([f"--config={name}/{CONFIG}"])
        if not (Path(name) / MODEL).is_file():
            raise InputError(f"evaluate: {name} has no {MODEL}; train it to the end first.")
        if isinstance(data, Table) and isinstance(experiment.data, Table) and data.path != experiment.data.path:
            # Scaling and classes are those of the training file: a new file is a test file for it.
            data = replace(experiment.data, test_path=data.path)
        return experiment if data is None else replace(experiment, data=data)
    if Path(name).exists() or os.sep in name.removeprefix("timm/"):
        raise InputError(f"evaluate: expected the folder of a run or the name of a model, found no {CONFIG} in {name}.")
    if data is None:
        raise InputError(f"evaluate: a model given by name needs --data, got none for {name}.")
    words = [f"--model={name}", *(["--pretrained"] if pretrained else [])]
    experiment = replace(read_experiment(words), data=data, weights=weights, seed=seed)
    if weights is None and not pretrained:
        raise InputError(f"evaluate: {name} needs weights; give --weights FILE or --pretrained.")
    return experiment


def _differences(name: str, trained: dict[str, Any], split: Split) -> tuple[str, ...]:
    """Return what a reader must know if a run is measured on other classes than it was trained on."""
    before, now = tuple(trained["classes"]), split.classes
    if before == now:
        return ()
    if len(before) != len(now):
        raise InputError(f"evaluate: {name} was trained on {len(before)} classes, the data has {len(now)}.")
    first = next(place for place, pair in enumerate(zip(before, now, strict=True)) if pair[0] != pair[1])
    return (f"Other classes than {name} was trained on: class {first} was {before[first]}, here it is {now[first]}.",)


def _is_run(name: str) -> bool:
    return (Path(name) / CONFIG).is_file()


def _load(given: str, experiment: Experiment, split: Split, engine: Engine) -> nn.Module:
    if _is_run(given):
        experiment = replace(experiment, weights=str(Path(given) / MODEL))
        # The run's own weights come from its file, so published ones need not be fetched again.
        if getattr(experiment.model, "pretrained", False):
            experiment = replace(experiment, model=replace(experiment.model, pretrained=False))  # type: ignore[call-arg]
    return build_model(experiment, split, engine)


def _short(models: list[str]) -> list[str]:
    names = [Path(each).name for each in models]
    return names if len(set(names)) == len(names) else [each.strip("/").replace("/", "_") for each in models]
