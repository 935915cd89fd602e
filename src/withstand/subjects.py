"""Subjects from folders of runs, names of models, and modules."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from withstand import plugins
from withstand.configuration import foreign_source, identity, to_plain
from withstand.data.base import Dataset, Split
from withstand.data.tables.table import Table
from withstand.engine import Engine
from withstand.errors import InputError, brief
from withstand.experiment import MODEL, PROVENANCE, Experiment, build_model
from withstand.families import friendly
from withstand.measuring.adapting import SUFFIX, adapting
from withstand.measuring.question import Question
from withstand.measuring.subject import Subject, about
from withstand.models.base import remarks_on
from withstand.models.external.external import External
from withstand.models.frozen import evaluating
from withstand.models.hashing import hash_of
from withstand.models.memory_format import place
from withstand.models.wrappers.batch_norm_adapted import BatchNormAdapted
from withstand.options import read_experiment
from withstand.reading.places import is_file, is_there, quoted
from withstand.study.contents import CONFIG, EVALUATIONS, MOVE, ROWS
from withstand.study.provenance import Provenance
from withstand.study.records import damaged, read_record, read_yaml


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Everything that affects the outcomes of a run or named model, except the conditions.

    Attributes:
        experiment: The run, or an untrained experiment with the named model.
        weights_sha256: Hash of the weights file; empty without one.
        foreign: Hash of code and files from outside the package; empty without any.
        version: Version of the package.
        data: Data set whose test part is measured.
        num_samples: Size of the test part.
        seed: Seed of every draw.
    """

    experiment: Experiment
    weights_sha256: str
    foreign: str
    version: str
    data: Dataset
    num_samples: int
    seed: int


def of_names(
    names: Sequence[str],
    ask: Callable[[Dataset], Question],
    *,
    data: Dataset | None = None,
    weights: str | None = None,
    options: Sequence[str] = (),
    sizes: bool = False,
    root: Path,
    seed: int,
    engine: Engine,
) -> list[Subject]:
    """Return subjects for folders of runs and names of models.

    Args:
        names: Folders or names.
        ask: Returns the question for a data set.
        data: Data set to measure on (its test part); None uses each run's own, and for other models the first run's.
        weights: Weights file for a model given by name.
        options: Options of models given by name: `--pretrained`, `--model.normalize=imagenet`.
        sizes: Whether images get the size that a model given by name was made for, if its configuration has one.
        root: Folder for the outcomes of models given by name.
        seed: Seed of the measurement.
        engine: Device and processes.

    Raises:
        InputError: If one is neither a finished run nor a model, or is given twice.
    """
    runs = {name: _of_run(name, data) for name in names if is_run(name)}
    if (weights is not None or options) and len(runs) == len(names):
        given = "--weights" if weights else options[0].partition("=")[0]
        raise InputError(f"evaluate: {names[0]} is a run; {friendly(given)} is for models given by name.")
    measured = data or next((each.data for each in runs.values()), None)
    experiments = [runs.get(name) or _of_model(name, measured, weights, options, seed, sizes=sizes) for name in names]
    names = [str(Path(each).resolve()) if is_run(each) else each for each in names]
    if len(set(names)) < len(names):
        raise InputError("evaluate: models must differ, got one twice.")
    questions: dict[str, Question] = {}
    found = []
    for short, name, experiment in zip(_short(names), names, experiments, strict=True):
        key = identity(experiment.data)
        question = questions[key] = questions.get(key) or ask(experiment.data)
        found.append(_subject(short, name, experiment, question, root=root, seed=seed, engine=engine))
        if not is_run(name) and experiment.data != measured:
            pixels = question.split.shape[-1]
            note = f"{short}: images of {pixels} x {pixels} pixels, by the configuration of the model."
            found[-1] = replace(found[-1], notes=(*found[-1].notes, note))
    return found


def _subject(
    short: str, name: str, experiment: Experiment, question: Question, *, root: Path, seed: int, engine: Engine
) -> Subject:
    """Return the subject for a run or a model given by name."""
    has_weights = experiment.weights is not None or getattr(experiment.model, "pretrained", False)
    if not (is_run(name) or plugins.is_source(name) or has_weights):  # the question has already read the data
        raise InputError(f"evaluate: {brief(name)} needs weights; give --weights FILE or --pretrained.")
    load, foreign, notes = _foreign(short, experiment, _loader(name, experiment, question.split, engine))
    own = _measurement(name, experiment, question, seed, foreign)
    label = identity(own) if is_run(name) else f"{re.sub('[/:]', '_', short)}-{identity(own)}"
    return Subject(
        name=short,
        question=question,
        load=load,
        fit_on=partial(experiment.data.load, "train"),
        folder=(Path(name) if is_run(name) else root) / EVALUATIONS / label,
        config=cast(dict, to_plain(own)),
        notes=(*notes, *(_differences(short, name, question.split, experiment) if is_run(name) else ())),
    )


def _foreign(
    short: str, experiment: Experiment, load: Callable[[], nn.Module]
) -> tuple[Callable[[], nn.Module], str, tuple[str, ...]]:
    """Return how to load a model, what identifies its foreign code and weights, and notes on it."""
    if not isinstance(experiment.model, External):
        return load, foreign_source(experiment), ()
    # Code may load its weights from anywhere, so they are hashed once the model is built.
    load = cache(load)
    notes = remarks_on(short, load())
    if isinstance(experiment.data, Table) and experiment.data.scale != "none":
        notes += (f"{short}: columns are standardised; --data.scale none passes those of the file.",)
    return load, foreign_source(experiment) + hash_of(load()), notes


def _measurement(name: str, experiment: Experiment, question: Question, seed: int, foreign: str) -> Measurement:
    file = Path(name) / MODEL if is_run(name) else experiment.weights and Path(experiment.weights)
    return Measurement(
        experiment=replace(experiment, weights=None, name="run"),
        weights_sha256=sha256(file.read_bytes()).hexdigest() if file and file.is_file() else "",
        foreign=foreign,
        version=version("withstand"),
        data=experiment.data,
        num_samples=len(question.split),
        seed=seed,
    )


def of_modules(
    modules: Mapping[str, nn.Module],
    question: Question,
    *,
    data: Any,
    keep: Path | None,
    seed: int,
    engine: Engine,
) -> list[Subject]:
    """Return subjects for modules.

    Args:
        modules: By name.
        question: Question for each.
        data: Data of the question.
        keep: Folder for the outcomes, in subfolders named by model, weights, data and seed; None keeps nothing.
        seed: Seed of the measurement.
        engine: Device and processes.
    """
    described = about(data, question.split) if keep is not None else {}
    found = []
    for name, module in modules.items():
        config = {
            "model": f"{type(module).__module__}.{type(module).__qualname__}",
            "model_sha256": hash_of(module) if keep is not None else "",
            "version": version("withstand"),
            "data": described,
            "num_samples": len(question.split),
            "seed": seed,
        }
        folder = None if keep is None else keep / f"{re.sub('[/:]', '_', name)}-{identity(config)}"
        fit_on = partial(data.load, "train") if isinstance(data, Dataset) and not data.cells() else None
        load = partial(place, module, engine.device, question.split.shape, compiled=engine.compile)
        notes = remarks_on(name, module)
        found.append(
            Subject(name=name, question=question, load=load, fit_on=fit_on, folder=folder, config=config, notes=notes)
        )
        if isinstance(module, BatchNormAdapted):
            plain = replace(found[-1], name=name.removesuffix(SUFFIX))
            own = {"seed": seed, "home": keep, "compiled": engine.compile}
            found[-1] = adapting(plain, prior=module.prior, batch_size=module.batch_size, **own)
    names = [each.name for each in found]
    if len(set(names)) < len(names):
        raise InputError(f"evaluate: models must have different names in results, got {', '.join(names)}.")
    return found


def num_outputs(module: nn.Module, x: torch.Tensor) -> int | None:
    """Return the number of outputs of a module; None if it does not accept the input."""
    parameter = next(module.parameters(), torch.zeros(0))
    try:
        with torch.no_grad(), evaluating(module):
            outputs = module(torch.stack([x, x]).to(parameter.device).float())
    except Exception:  # reported later by check_outputs
        return None
    return outputs.shape[1] if isinstance(outputs, torch.Tensor) and outputs.ndim == 2 else None


def is_run(name: str) -> bool:
    """Return whether a name is a run's folder."""
    return is_file(Path(name) / CONFIG)


def _of_run(name: str, data: Dataset | None) -> Experiment:
    """Return the experiment of a finished run, with the data to measure it on."""
    path = Path(name) / CONFIG
    if not read_yaml(path, then=MOVE).keys() >= {"data", "model"}:
        raise damaged(path, "it names no data or no model", MOVE)
    try:
        experiment = read_experiment([f"--config={path}"])
    except InputError as problem:
        raise InputError(f"evaluate: {path}: {problem}") from problem
    if not (Path(name) / MODEL).is_file():
        first = f"remove its {ROWS}, then run" if (Path(name) / ROWS).exists() else "first run"
        raise InputError(
            f"evaluate: {name} has no {MODEL}; {first} `{quoted('withstand', 'train', '--resume', name)}`."
        )
    known = read_record(Path(name) / PROVENANCE, Provenance, then=MOVE)
    # Identities depend on foreign code, too; a note tells that it has changed.
    if known.identity not in ("", experiment.identity) and foreign_source(experiment) in ("", known.foreign):
        why = f"{PROVENANCE} beside it says that the configuration of run {brief(known.identity)} was another one"
        raise damaged(path, why, f"restore it (--data measures on other data), or {MOVE}")
    if isinstance(data, Table) and isinstance(experiment.data, Table) and data.path != experiment.data.path:
        # Scaling and classes come from the training file; the new file becomes its test file.
        data = replace(experiment.data, test_path=data.path)
    return experiment if data is None else replace(experiment, data=data)


def _of_model(
    name: str, data: Dataset | None, weights: str | None, options: Sequence[str], seed: int, *, sizes: bool
) -> Experiment:
    """Return an untrained experiment with a model given by name."""
    is_own = plugins.is_source(name)
    if Path(name).suffix in (".pth", ".safetensors", ".ckpt"):
        raise InputError(f"evaluate: {name} holds weights; give FILE.py:NAME or the name of a network, and --weights.")
    if not is_own and (is_there(Path(name)) or os.sep in name.removeprefix("timm/").removeprefix("game-of-noise/")):
        raise InputError(f"evaluate: expected a run's folder or a model name, found no {CONFIG} in {brief(name)}.")
    if data is None:
        found = f"{name} is not a run" if is_own else f"found no folder {brief(name)}; if it is the name of a model"
        raise InputError(f"evaluate: {found}{';' if is_own else ','} give --data.")
    return _sized(read_experiment([f"--model={name}", *options]), data, weights, seed, sizes=sizes)


def _sized(experiment: Experiment, data: Any, weights: str | None, seed: int, *, sizes: bool) -> Experiment:
    """Return the experiment with data, with images of the size that its model was made for if `sizes` is set."""
    size = experiment.model.image_size if sizes else None
    if size is not None and {"pixels", "resize"} <= {each.name for each in fields(data)}:
        data = replace(data, pixels=size.pixels, resize=size.resize)
    return replace(experiment, data=data, weights=weights, seed=seed)


def _differences(name: str, run: str, split: Split, experiment: Experiment) -> tuple[str, ...]:
    """Return notes if a run is measured on other classes, or with other code, than it was trained with."""
    known = read_record(path := Path(run) / PROVENANCE, Provenance, then=MOVE)
    before, now, notes = known.classes, split.classes, ()
    if known.foreign != foreign_source((experiment.model, experiment.objective)):
        notes = (f"The code of {name} has changed since its training.",)
    if before == now:
        return notes
    if len(before) != len(now):
        raise InputError(f"evaluate: {name} was trained on {len(before)} classes, the data has {len(now)} ({path}).")
    first = next(place for place, pair in enumerate(zip(before, now, strict=True)) if pair[0] != pair[1])
    return (*notes, f"Classes differ: class {first} was {before[first]} in the training of {name}, now {now[first]}.")


def _loader(name: str, experiment: Experiment, split: Split, engine: Engine) -> Callable[[], nn.Module]:
    if is_run(name):
        experiment = replace(experiment, weights=str(Path(name) / MODEL))
    # With a weights file, published weights are not downloaded.
    if experiment.weights is not None and getattr(experiment.model, "pretrained", False):
        experiment = replace(experiment, model=replace(experiment.model, pretrained=False))  # type: ignore[call-arg]
    return lambda: build_model(experiment, split, engine)


def _short(names: Sequence[str]) -> list[str]:
    files = [Path(each).name for each in names]
    without = [re.sub(r"-[0-9a-f]{16}$", "", each) for each in files]  # the identities of runs
    paths = [each.strip("/").replace("/", "_") for each in names]
    return next((each for each in (without, files, paths) if len(set(each)) == len(each)), list(names))
