"""Experiment: the configuration of a run, and its folder."""

import json
import platform
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NamedTuple, cast

import yaml
from torch import nn

from withstand.configuration import canonical, foreign_source, identity, plugins_of, to_plain
from withstand.data.base import Dataset, Split
from withstand.data.images.digits import Digits
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.base import Evaluation
from withstand.files import hold, remove_folder, write_whole
from withstand.functional.random import derive_seed
from withstand.limits import Location, NonEmpty, Seed, check_fields, checked
from withstand.measuring.ask import answer
from withstand.measuring.question import Question
from withstand.measuring.subject import Silent, Subject
from withstand.models.base import Model, remarks_on
from withstand.models.external.from_transformers import PixelValues
from withstand.models.frozen import with_gradients
from withstand.models.in_memory import InMemory
from withstand.models.memory_format import place
from withstand.models.small_cnn import SmallCNN
from withstand.models.weights import load_weights, write_weights
from withstand.models.wrappers.black_box import BlackBox
from withstand.objectives.base import Objective
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.operations import operations_of_training
from withstand.reading.places import check_output
from withstand.study.contents import CONFIG, MOVE, OUTCOMES, ROWS
from withstand.study.records import parse_yaml, read_text
from withstand.training.rehearsal import rehearse
from withstand.training.settings import Training
from withstand.training.trainer import Trainer
from withstand.training.watch import Watch

PROVENANCE, MODEL, HISTORY = "provenance.json", "model.safetensors", "history.json"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Configuration of a run: everything that affects its results.

    In Python, `model` may also be a `torch.nn.Module`, of which a copy is trained.

    Attributes:
        data: Data set.
        model: Network.
        objective: Loss that training minimises.
        training: Epochs, batches, optimizer and schedule.
        evaluations: Evaluations to run on the test part after training.
        weights: Weights file to start from; default: random or pretrained weights.
        seed: Seed of the initial weights, the sample order and every random draw; at least 0.
        name: First part of the run's folder name; does not affect results.
    """

    data: Dataset = Digits()
    model: Model = SmallCNN()
    objective: Objective = PerturbedRisk()
    training: Training = Training()
    evaluations: Annotated[tuple[Evaluation, ...], NonEmpty] = (Accuracy(),)
    weights: str | None = None
    seed: Seed = 0
    name: str = "run"

    def __post_init__(self) -> None:
        if isinstance(self.model, nn.Module):
            object.__setattr__(self, "model", InMemory.of(self.model))
        check_fields(self)
        if (
            not self.name
            or "/" in self.name
            or self.name.startswith(".")
            or not self.name.isprintable()
            or len(self.name) > 200
        ):
            raise InputError(f"Experiment: name must be usable as part of a folder's name, got {self.name!r:.120}.")

    @property
    def identity(self) -> str:
        """16 hexadecimal digits that depend on everything that affects results."""
        own = replace(self, name="run")
        foreign = foreign_source(own)
        return identity((own, foreign) if foreign else own)

    @checked
    def folder(self, root: Location) -> Path:
        """Return the folder of the run under a root."""
        return Path(root) / f"{self.name}-{self.identity}"


class Parts(NamedTuple):
    """The three parts of a data set."""

    train: Split
    validation: Split
    test: Split


def load_parts(data: Dataset) -> Parts:
    """Return all parts of a data set.

    Raises:
        InputError: If files are missing or invalid, or the test part is empty.
    """
    parts = Parts(data.load("train"), data.load("validation"), data.load("test"))
    if len(parts.test) == 0:
        raise InputError("data: the test part has no samples.")
    return parts


@checked
@with_gradients()
def run(
    experiment: Experiment,
    root: Location,
    *,
    engine: Engine | None = None,
    watch: Watch | None = None,
    say: Callable[[str], None] = lambda _: None,
    load: Callable[[Dataset], Parts] = load_parts,
) -> Path:
    """Train and evaluate; resume an unfinished run, and return a finished one unchanged.

    Args:
        experiment: The configuration.
        root: Folder of all runs.
        engine: Device and processes.
        watch: Receives a callback per step and epoch.
        say: Callback for progress messages.
        load: Returns the data; replaced to reuse loaded data.

    Returns:
        The run's folder: `config.yaml`, `provenance.json`, `model.safetensors`, `history.json`, and `rows.jsonl`, which
        is written last and marks the run as finished.

    Raises:
        InputError: If the configuration is invalid or does not fit the data; in this case, nothing is written.
        BusyError: If another process works on the run.
    """
    folder, engine = experiment.folder(root), engine or Engine()
    check_output("run: root", folder)
    if is_finished(experiment, folder):
        say(f"{folder} is finished already.")
        return folder
    # All input is checked before anything is written.
    train, validation, test = load(experiment.data)
    question = question_of(experiment, test)
    trainer = make_trainer(experiment, train, validation, engine)
    rehearse(trainer)
    with hold(folder) if engine.is_first else nullcontext():
        if engine.world_size == 1 and (folder / ROWS).exists():  # finished by another process in the meantime
            return folder
        if engine.is_first:
            begin(experiment, folder, train)
        engine.wait()
        say(f"{folder}: training on {len(train):,} samples, {engine.device}.")
        result = trainer.fit(folder=folder / "checkpoints", identity=experiment.identity, watch=watch)
        say(f"{folder}: evaluating on {len(test):,} samples.")
        history, told = trainer.history, tuple(f"In training: {each}" for each in train.notes)
        finish(experiment, folder, result, history=history, question=question, engine=engine, notes=told)
        engine.wait()
    return folder


def make_trainer(experiment: Experiment, train: Split, validation: Split | None, engine: Engine) -> Trainer:
    """Return the trainer of an experiment."""
    return Trainer(
        build_model(experiment, train, engine),
        train,
        objective=experiment.objective,
        training=experiment.training,
        seed=experiment.seed,
        engine=engine,
        validate=partial(accuracy_of, split=validation, seed=experiment.seed, engine=engine) if validation else None,
    )


def question_of(experiment: Experiment, test: Split) -> Question:
    """Return the question for the trained model, checked against the test part."""
    return Question.of_evaluations(test, experiment.evaluations, data=type(experiment.data).__name__)


def is_finished(experiment: Experiment, folder: Path) -> bool:
    """Return whether a folder holds the rows of an experiment.

    Raises:
        InputError: If it holds the configuration of another one.
    """
    path = folder / CONFIG
    if path.exists():
        own, text = plain(experiment), read_text(path, then=MOVE)
        known = own if text == dump(own) else parse_yaml(path, text, then=MOVE) | {"name": own["name"]}
        if canonical(known) != canonical(own):
            raise InputError(
                f"{folder}: expected {CONFIG} of run {experiment.identity}, found another configuration; "
                "move the folder away, or choose another --output."
            )
    return (folder / ROWS).exists()


def begin(experiment: Experiment, folder: Path, train: Split) -> None:
    """Write configuration and provenance into the folder of a run."""
    is_new = not (folder / PROVENANCE).exists()
    content = json.dumps(provenance(experiment, train), indent=2) if is_new else ""
    write_whole(folder / CONFIG, dump(plain(experiment)).encode(), settle=False)
    if is_new:
        write_whole(folder / PROVENANCE, content.encode(), settle=False)


def finish(
    experiment: Experiment,
    folder: Path,
    model: nn.Module,
    *,
    history: list[dict[str, float]],
    question: Question,
    engine: Engine,
    notes: tuple[str, ...] = (),
) -> None:
    """Write a trained model and its history into a run's folder, and evaluate it; the rows come last."""
    if engine.is_first:
        before = (folder / MODEL).read_bytes() if (folder / MODEL).is_file() else None
        write_weights(folder / MODEL, model, settle=False)
        if before != (folder / MODEL).read_bytes():
            remove_folder(folder / OUTCOMES)  # outcomes of other weights
        write_whole(folder / HISTORY, json.dumps(history, indent=1).encode(), settle=False)
    notes = (*remarks_on(folder.name, model), *notes)
    subject = Subject(name=folder.name, question=question, load=lambda: model, folder=folder, notes=notes)
    answer(subject, seed=experiment.seed, engine=engine, teller=Silent())


def build_model(experiment: Experiment, split: Split, engine: Engine) -> nn.Module:
    """Return the experiment's model with its initial weights."""
    seed = derive_seed(experiment.seed, "model/init")
    model = experiment.model.build(split.shape, len(split.classes), seed=seed)
    for part in model.modules():
        if isinstance(part, BlackBox | PixelValues):
            part.name_classes(split.classes)
    if experiment.weights is not None:
        load_weights(model, experiment.weights)
    return place(model, engine.device, split.shape, compiled=engine.compile)


def accuracy_of(model: nn.Module, split: Split, *, seed: int, engine: Engine) -> float:
    """Return the accuracy of a model on a split, the same in every process."""
    found = Accuracy(top=(1,)).measure(model, split, seed=seed, engine=engine)
    return found.columns["clean"]["correct"].sum().item() / max(1, len(found.number))


def plain(experiment: Experiment) -> dict:
    """Return the experiment as plain values, as in its YAML, with the plug-ins that it needs."""
    needed = plugins_of(experiment)
    return ({"plugin": needed} if needed else {}) | cast(dict, to_plain(experiment))


def dump(content: dict) -> str:
    """Return plain values as YAML, in their order; uses libyaml if available, which is faster."""
    return yaml.dump(content, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)


def provenance(experiment: Experiment, train: Split) -> dict[str, object]:
    """Return the origin of a run: versions, command, machine, time, hash of the initial weights file."""
    from_scratch = experiment.weights is None and not getattr(experiment.model, "pretrained", False)
    augmented = train if experiment.training.augment else None
    content: dict[str, object] = {
        "identity": experiment.identity,
        "foreign": foreign_source((experiment.model, experiment.objective)),
        "classes": train.classes,
        "shape": train.shape,
        "command": sys.argv,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions(),
        "operations": operations_of_training(experiment.objective, augmented, from_scratch=from_scratch),
    }
    if experiment.weights is not None:
        content["weights_sha256"] = sha256(Path(experiment.weights).read_bytes()).hexdigest()
    return content


@cache
def versions() -> dict[str, str]:
    """Return the versions of the packages that affect results."""
    return {name: version(name) for name in ("withstand", "torch", "numpy", "scikit-learn", "Pillow")}
