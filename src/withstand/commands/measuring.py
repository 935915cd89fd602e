"""Measuring finished runs and named models: what was measured before is read, the rest is measured and kept."""

import json
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from torch import nn

from withstand.commands.album import Album
from withstand.commands.common import Console
from withstand.commands.learned_noise import NoiseLearner
from withstand.commands.source import Source, Task, check_figures
from withstand.commands.train import read_experiment
from withstand.configuration import identity, to_plain
from withstand.data.base import Dataset, Split
from withstand.data.table import Table
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.base import Evaluation
from withstand.evaluation.in_blocks import measure_in_blocks
from withstand.evaluation.landscape import draw_landscape
from withstand.evaluation.noise_distance import NoiseDistance
from withstand.evaluation.noise_examples import draw_examples
from withstand.experiment import CONFIG, MODEL, PROVENANCE, ROWS, Experiment, build_model, hold
from withstand.files import write_whole
from withstand.perturbations.ball import Ball
from withstand.study.landscape import Landscape
from withstand.study.noise_examples import NoiseExamples
from withstand.study.row import Row, read_rows, write_rows

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


class Measured(NamedTuple):
    """Results of several models.

    Attributes:
        rows: By model.
        notes: Sentences that a reader must know.
        reference: Whether errors may be divided by AlexNet's.
        examples: By model what there is to draw, if that was asked for: the noise learned against it, and what it
            decides over the plane of two features; in the first process.
    """

    rows: dict[str, list[Row]]
    notes: tuple[str, ...]
    reference: bool
    examples: dict[str, list[NoiseExamples | Landscape]]


def evaluate(
    models: list[str],
    *,
    data: Dataset | None,
    on: Sequence[str] | None = None,
    weights: str | None = None,
    pretrained: bool = False,
    pixels: Literal[224, 299, 64, 32] | None = None,
    frost: Literal["published", "procedural"] = "published",
    balls: tuple[Ball, ...] = (),
    more: Sequence[Evaluation] = (),
    examples: bool = False,
    mistakes: bool = False,
    seed: int = 0,
    root: Path,
    engine: Engine,
    console: Console,
) -> Measured:
    """Measure models one after the other.

    Args:
        models: Folders of runs, or names of models.
        data: Whose test part is measured; None takes each run's own.
        on: Names of conditions; None is clean, or every cell of data that are corrupted already.
        weights: File for a model given by name.
        pretrained: Whether a model given by name starts from published weights.
        pixels: Size of images whose published parameters the corruptions take; None takes the nearest.
        frost: Whose textures.
        balls: For worst-case accuracies.
        more: Evaluations besides those that names stand for.
        examples: Whether examples of learned noise and landscapes are wanted, too.
        mistakes: Whether the worst classes and samples are to be kept beside the rows.
        seed: Decides every draw.
        root: Folder of results of models given by name.
        engine: Device and processes.
        console: Is told what is going on.
    """
    engine = replace(engine, checkpoint_seconds=SECONDS)
    experiments = [_experiment(name, data, weights, pretrained, seed) for name in models]
    models = [str(Path(each).resolve()) if _is_run(each) else each for each in models]
    if len(set(models)) < len(models):
        raise InputError("evaluate: every model must be given once, got one twice.")
    notes: tuple[str, ...] = ()
    sources: dict[str, Source] = {}
    for experiment in experiments:
        key = identity(experiment.data)
        if key not in sources:
            sources[key] = Source.of(experiment.data, on, pixels, frost, balls, more)
    if examples:
        check_figures(list(sources.values()))
    looked_at = {key: source.looked_at for key, source in sources.items()} if mistakes else {}
    measured = Measured({}, notes, all(each.has_reference(pixels) for each in sources.values()), {})
    for name, given, experiment in zip(_short(models), models, experiments, strict=True):
        source = sources[identity(experiment.data)]
        if _is_run(given):
            notes += _differences(name, json.loads((Path(given) / PROVENANCE).read_text()), source.first)
        notes += tuple(note for note in source.notes if note not in notes)
        file = Path(given) / MODEL if _is_run(given) else experiment.weights and Path(experiment.weights)
        digest = sha256(file.read_bytes()).hexdigest() if file and file.is_file() else ""
        own = Measurement(
            experiment=replace(experiment, weights=None, name="run"),
            weights_sha256=digest,
            version=version("withstand"),
            data=experiment.data,
            num_samples=len(source.first),
            pixels=pixels,
            seed=seed,
        )
        label = identity(own) if _is_run(given) else f"{name.replace('/', '_')}-{identity(own)}"
        folder = (Path(given) if _is_run(given) else root) / "evaluations" / label
        rows = read_rows(folder / ROWS) if (folder / ROWS).is_file() else []
        missing = [each for each in source.conditions if each not in {row.condition for row in rows}]
        learner = NoiseLearner(
            folder=folder,
            shape=source.first.shape,
            model=cache(partial(_load, given, experiment, source.first, engine)),
            samples=partial(experiment.data.load, "train"),
            seed=seed,
            engine=engine,
        )
        pictured = source.learned if examples else ()
        unkept = [each for each in pictured if not learner.file(each).is_file()]
        album = Album(folder=folder, perturbations=looked_at.get(identity(experiment.data), ()))
        unlooked = not album.is_kept()
        if missing:
            plural = "s" if len(missing) > 1 else ""
            console.say(f"{name}: {len(missing)} condition{plural}, {len(source.first):,} samples, {engine.device}.")
        else:
            console.say(f"{name}: measured already ({folder}).")
            for each in unkept:
                console.say(f"{name}: {each.condition_of('adversarial')} was not kept; its generator is trained again.")
        with hold(folder) if engine.is_first and (missing or unkept or unlooked) else nullcontext():
            if missing and engine.is_first:
                write_whole(folder / CONFIG, yaml.safe_dump(to_plain(own), sort_keys=False).encode())
            for task in source.tasks(missing):
                # Evaluations are asked for all of their conditions, some of which may have been measured before.
                rows += [each for each in _measure(task, learner, console) if each.condition in missing]
                if engine.is_first:
                    write_rows(folder / ROWS, rows)
                    for each in folder.glob("partial-*.json"):
                        each.unlink()
                engine.wait()
            generators = [learner.generator(each) for each in pictured]
            engine.wait()  # the first process must not write before the others have looked
            if unlooked:
                kind = type(experiment.data).__name__
                album.fill(learner.model(), source.first, data=kind, seed=seed, engine=engine, console=console)
        measured.rows[name] = [row for each in source.conditions for row in rows if row.condition == each]
        if engine.is_first and examples:
            measured.examples[name] = [
                draw_examples(each, generator, source.first, seed=seed, engine=engine)
                for each, generator in zip(pictured, generators, strict=True)
            ] + [
                draw_landscape(learner.model(), source.first, attack=each, seed=seed, engine=engine)
                for each in source.landscapes
            ]
    return measured._replace(notes=notes)


def _measure(task: Task, learner: NoiseLearner, console: Console) -> list[Row]:
    """Return the rows of one task, whose parts are kept in the folder until it is done."""
    evaluation, model, seed, engine = (
        task.evaluation,
        learner.model(),
        learner.seed,
        learner.engine,
    )
    if isinstance(evaluation, NoiseDistance):
        generator = learner.generator(evaluation) if evaluation.learns else None
        return list(evaluation.measure(model, task.split, seed=seed, engine=engine, generator=generator))
    if not evaluation.additive:
        return list(evaluation.measure(model, task.split, seed=seed, engine=engine, fit_on=learner.samples()))
    keep = learner.folder / f"partial-{identity(evaluation)}-{(task.cell or 'all').replace('/', '-')}.json"
    with console.counting(len(task.split), task.cell or "samples") as tell:
        rows = measure_in_blocks(evaluation, model, task.split, seed=seed, engine=engine, keep=keep, tell=tell)
    return rows if task.cell is None else [replace(row, condition=task.cell) for row in rows]


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
    if Path(name).exists() or os.sep in name.removeprefix("timm/").removeprefix("game-of-noise/"):
        raise InputError(f"evaluate: expected the folder of a run or the name of a model, found no {CONFIG} in {name}.")
    if data is None:
        raise InputError(
            f"evaluate: found no folder {name}, and if it is the name of a model, --data is needed as well, got none."
        )
    words = [f"--model={name}", *(["--pretrained"] if pretrained else [])]
    experiment = replace(read_experiment(words), data=data, weights=weights, seed=seed)
    if weights is None and not getattr(experiment.model, "pretrained", False):
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
    # Weights come from a file, so published ones need not be fetched.
    if experiment.weights is not None and getattr(experiment.model, "pretrained", False):
        experiment = replace(experiment, model=replace(experiment.model, pretrained=False))  # type: ignore[call-arg]
    return build_model(experiment, split, engine)


def _short(models: list[str]) -> list[str]:
    names = [Path(each).name for each in models]
    return names if len(set(names)) == len(names) else [each.strip("/").replace("/", "_") for each in models]
