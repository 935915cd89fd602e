"""Subjects: the models that can be measured: folders of runs, names of networks, modules."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from withstand.configuration import identity, source_of, to_plain
from withstand.data.base import Dataset, Split
from withstand.data.tables.table import Table
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.experiment import MODEL, PROVENANCE, Experiment, build_model
from withstand.measuring.question import Question
from withstand.measuring.subject import Subject
from withstand.models.frozen import evaluating
from withstand.options import read_experiment
from withstand.study.runs import CONFIG, EVALUATIONS

NUM_HASHED = 64  # samples that tell data of the user's own from others


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Everything but the conditions that decides the answers of a run, or of a model by name.

    Attributes:
        experiment: The run, or a model by name (then nothing was trained).
        weights_sha256: Hash of the file of weights; empty where there is none.
        version: Of the package.
        data: Whose test part is measured.
        num_samples: How many that are.
        seed: Decides every draw.
    """

    experiment: Experiment
    weights_sha256: str
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
    pretrained: bool = False,
    root: Path,
    seed: int,
    engine: Engine,
) -> list[Subject]:
    """Return runs (their folders) and models by name.

    Args:
        names: Of them.
        ask: Makes the question for some data.
        data: Whose test part is measured; None takes each run's own.
        weights: File for a model given by name.
        pretrained: Whether a model given by name starts from published weights.
        root: Folder under which answers of models given by name are kept.
        seed: Of the measurement.
        engine: Device and processes.

    Raises:
        InputError: If one is neither a finished run nor a model, or is there twice.
    """
    experiments = [_experiment(name, data, weights, pretrained, seed) for name in names]
    names = [str(Path(each).resolve()) if is_run(each) else each for each in names]
    if len(set(names)) < len(names):
        raise InputError("evaluate: every model must be given once, got one twice.")
    questions: dict[str, Question] = {}
    found = []
    for short, name, experiment in zip(_short(names), names, experiments, strict=True):
        key = identity(experiment.data)
        question = questions[key] = questions.get(key) or ask(experiment.data)
        file = Path(name) / MODEL if is_run(name) else experiment.weights and Path(experiment.weights)
        own = Measurement(
            experiment=replace(experiment, weights=None, name="run"),
            weights_sha256=sha256(file.read_bytes()).hexdigest() if file and file.is_file() else "",
            version=version("withstand"),
            data=experiment.data,
            num_samples=len(question.split),
            seed=seed,
        )
        label = identity(own) if is_run(name) else f"{short.replace('/', '_')}-{identity(own)}"
        config = to_plain(own)
        assert isinstance(config, dict)
        found.append(
            Subject(
                name=short,
                question=question,
                load=_loader(name, experiment, question.split, engine),
                fit_on=_training_part(experiment.data),
                folder=(Path(name) if is_run(name) else root) / EVALUATIONS / label,
                config=config,
                notes=_differences(short, name, question.split) if is_run(name) else (),
            )
        )
    return found


def of_modules(
    modules: Mapping[str, nn.Module],
    question: Question,
    *,
    data: Any,
    keep: Path | None,
    seed: int,
    engine: Engine,
) -> list[Subject]:
    """Return modules of the user's own.

    Args:
        modules: By name.
        question: What is asked of each.
        data: What the question is about.
        keep: Folder under which answers are kept, in one named by model, weights, data and seed; None keeps nothing.
        seed: Of the measurement.
        engine: Device and processes.
    """
    about = _about(data, question.split) if keep is not None else {}
    found = []
    for name, module in modules.items():
        config = {
            "model": f"{type(module).__module__}.{type(module).__qualname__}",
            "model_sha256": hash_of(module) if keep is not None else "",
            "version": version("withstand"),
            "data": about,
            "num_samples": len(question.split),
            "seed": seed,
        }
        folder = None if keep is None else keep / f"{name.replace('/', '_')}-{identity(config)}"
        fit_on = _training_part(data) if isinstance(data, Dataset) and not data.cells() else None
        load = _placer(module, engine)
        own = Subject(name=name, question=question, load=load, fit_on=fit_on, folder=folder, config=config)
        found.append(own)
    return found


def hash_of(module: nn.Module) -> str:
    """Return a hash of a module's structure, source, plain attributes, parameters and buffers."""
    found = hashlib.sha256(str(module).encode())
    for name, part in module.named_modules():
        if not type(part).__module__.startswith(("torch.", "torchvision.", "timm.", "withstand.")):
            found.update(source_of(type(part)).encode())
        plain = {key: each for key, each in vars(part).items() if isinstance(each, bool | int | float | str | tuple)}
        plain.pop("training", None)
        found.update(f"{name} {sorted(plain.items())}".encode())
    for name, each in module.state_dict().items():
        found.update(f"{name} {each.dtype if isinstance(each, torch.Tensor) else type(each)}".encode())
        if isinstance(each, torch.Tensor):
            found.update(each.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def num_outputs(module: nn.Module, x: torch.Tensor) -> int | None:
    """Return how many outputs a module has for an input; None if it cannot be asked."""
    parameter = next(module.parameters(), torch.zeros(0))
    try:
        with torch.no_grad(), evaluating(module):
            outputs = module(torch.stack([x, x]).to(parameter.device).float())
    except Exception:  # whatever a module raises is said when it meets the question
        return None
    return outputs.shape[1] if isinstance(outputs, torch.Tensor) and outputs.ndim == 2 else None


def is_run(name: str) -> bool:
    """Return whether a name is the folder of a run."""
    return (Path(name) / CONFIG).is_file()


def _experiment(name: str, data: Dataset | None, weights: str | None, pretrained: bool, seed: int) -> Experiment:
    if is_run(name):
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


def _differences(name: str, run: str, split: Split) -> tuple[str, ...]:
    """Return what a reader must know if a run is measured on other classes than it was trained on."""
    path = Path(run) / PROVENANCE
    try:
        before, now = tuple(json.loads(path.read_text())["classes"]), split.classes
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise InputError(f"evaluate: {path} is missing or damaged; train the run again.") from problem
    if before == now:
        return ()
    if len(before) != len(now):
        raise InputError(f"evaluate: {name} was trained on {len(before)} classes, the data has {len(now)}.")
    first = next(place for place, pair in enumerate(zip(before, now, strict=True)) if pair[0] != pair[1])
    return (f"Other classes than {name} was trained on: class {first} was {before[first]}, here it is {now[first]}.",)


def _loader(name: str, experiment: Experiment, split: Split, engine: Engine) -> Callable[[], nn.Module]:
    if is_run(name):
        experiment = replace(experiment, weights=str(Path(name) / MODEL))
    # Weights come from a file, so published ones need not be fetched.
    if experiment.weights is not None and getattr(experiment.model, "pretrained", False):
        experiment = replace(experiment, model=replace(experiment.model, pretrained=False))  # type: ignore[call-arg]
    return lambda: build_model(experiment, split, engine)


def _training_part(data: Dataset) -> Callable[[], Split]:
    return lambda: data.load("train")


def _placer(module: nn.Module, engine: Engine) -> Callable[[], nn.Module]:
    return lambda: engine.place(module)


def _about(data: Any, split: Split) -> Any:
    """Return what tells data from others: their configuration, or else what they look like."""
    if isinstance(data, Dataset):
        return to_plain(data)
    if isinstance(tensors := getattr(data, "tensors", None), tuple | list):  # all of them are at hand
        whole = sha256(b"".join(each.detach().cpu().contiguous().numpy().tobytes() for each in tensors)).hexdigest()
        return {"kind": type(data).__name__, "classes": list(split.classes), "tensors": whole}
    places = torch.linspace(0, len(split) - 1, min(NUM_HASHED, len(split))).round().long()
    x, y = next(iter(split.batches([places])))[:2]
    some = sha256(x.numpy().tobytes() + y.numpy().tobytes()).hexdigest()
    return {"kind": type(data).__name__, "classes": list(split.classes), "shape": list(split.shape), "samples": some}


def _short(names: Sequence[str]) -> list[str]:
    plain = [re.sub(r"-[0-9a-f]{16}$", "", Path(each).name) for each in names]
    if len(set(plain)) == len(plain):  # the identities of runs are not needed to tell them apart
        return plain
    for shorten in (lambda each: Path(each).name, lambda each: each.strip("/").replace("/", "_")):
        short = [shorten(each) for each in names]
        if len(set(short)) == len(short):
            return short
    return list(names)
