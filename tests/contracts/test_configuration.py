"""What everything that decides a number promises, whatever its family."""

import inspect
import pickle
import re
from collections.abc import Iterator
from dataclasses import MISSING, FrozenInstanceError, fields, is_dataclass, replace
from typing import get_args, get_type_hints

import pytest
import yaml

from withstand.configuration import discover, identity, to_plain
from withstand.data.base import Dataset, Split
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.accuracy import Accuracy
from withstand.evaluation.base import Evaluation
from withstand.experiment import Experiment, plain
from withstand.models.base import Model
from withstand.objectives.base import Objective
from withstand.objectives.folds.base import Fold
from withstand.objectives.folds.consistency import Consistency
from withstand.objectives.folds.mean import Mean
from withstand.objectives.folds.trades import Trades
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.options import read_experiment
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.mixture import Mixture
from withstand.perturbations.uniform import Uniform
from withstand.rendering.cell import Cell
from withstand.rendering.grid import Grid
from withstand.study.measures.corruption_error import CorruptionErrors
from withstand.study.measures.row import Row
from withstand.training.optimizers import Optimizer
from withstand.training.schedules import Schedule
from withstand.training.settings import Training

FAMILIES = (Perturbation, Objective, Fold, Evaluation, Dataset, Model, Optimizer, Schedule)
FINAL = [cls for family in (*FAMILIES, Split) for cls in discover(family)]
CONFIGURATIONS = [*(cls for cls in FINAL if not issubclass(cls, Split)), Ball, Training, Experiment]
VALUES = [*CONFIGURATIONS, CorruptionErrors, Engine, Row, Cell, Grid]

every_value = pytest.mark.parametrize("cls", VALUES, ids=lambda cls: cls.__name__)


def examples(cls: type) -> list:
    """Return the class's own examples; where it has none, the defaults, or a text, which can be a source, where there is no default."""
    own = cls.examples() if hasattr(cls, "examples") else []
    own = [each[0] if isinstance(each, tuple) else each for each in own]
    needed = {each.name: "some:some" for each in fields(cls) if each.default is each.default_factory is MISSING}
    return own or [cls(**needed)]


every_example = pytest.mark.parametrize(
    "example",
    [
        pytest.param(each, id=f"{cls.__name__}-{number}")
        for cls in CONFIGURATIONS
        for number, each in enumerate(examples(cls))
    ],
)


# Values of PerturbedRisk that a fold does not leave a choice of.
ONLY = {Mean: ("mode exact",), **dict.fromkeys((Consistency, Trades), ("mode exact", "loss cross_entropy"))}


def experiment_with(example: object) -> Experiment:
    """Return an experiment that holds the configuration somewhere."""
    match example:
        case Experiment():
            return example
        case Ball():
            return experiment_with(Uniform(ball=example))
        case Perturbation():
            return Experiment(evaluations=(Accuracy(perturbations=(Mixture(parts=(example,)), example)),))
        case Evaluation():
            return Experiment(evaluations=(Accuracy(top=(1,)), example))
        case Objective():
            return Experiment(objective=example)
        case Fold():
            return Experiment(objective=PerturbedRisk(fold=example))
        case Dataset():
            return Experiment(data=example)
        case Model():
            return Experiment(model=example)
        case Optimizer():
            return Experiment(training=Training(optimizer=example))
        case Schedule():
            return Experiment(training=Training(schedule=example))
        case _:
            assert isinstance(example, Training)
            return Experiment(training=example)


def parts_of(hint: object) -> list:
    """Return what a type is made of: classes, and the values of literals."""
    inner = get_args(hint)
    return [part for each in inner for part in parts_of(each)] if inner else [hint]


def variants(example: object) -> Iterator[tuple[str, object]]:
    """Yield for every field a copy with another value in it."""
    hints = get_type_hints(type(example))
    for each in fields(example):
        value, kinds = getattr(example, each.name), parts_of(hints[each.name])
        if kinds == [value]:
            continue  # a field with one value has no other
        candidates = [kind for kind in kinds if isinstance(kind, str | int)]
        if Ball in kinds:
            candidates.append((Ball("l2", 0.123),))
        for family in (*FAMILIES, Attack):
            if family in kinds:
                members = [member for cls in discover(family) for member in examples(cls)]
                candidates += [*members, *((member,) for member in members)]
        match value:
            case bool():
                candidates.append(not value)
            case int() | float():
                candidates += [value + 1, value - 1, value / 2, value + 0.25, value + 6]
            case str():
                candidates += [value + "x", "game-of-noise/clean", "cp1252"]
            case tuple():
                candidates += [(*value, *value[:1]), value[:-1], value[::-1], (1,), (0.5, 0.25), ("x",)]
                candidates += [(kind,) for kind in kinds if isinstance(kind, str | int)]
            case None:
                candidates += [0.5, 3, (0.0, 1.0), (1.0,) * 2, (1.0,) * 3, "x", ("x",), "fog", True, {"x": ("y",)}]
                candidates += ["imagenet", "mnist_fog"]
            case Ball():
                candidates += [Ball("l2", 0.123), Ball("linf", 0.123), Ball("l1", 0.123)]
            case Training():
                candidates.append(Training(epochs=77))
            case dict():
                candidates.append({**value, "x": 1})
        if type(None) in kinds:
            candidates.append(None)
        for candidate in candidates:
            if candidate == value or (isinstance(candidate, float) and float not in kinds):
                continue
            try:
                changed = replace(example, **{each.name: candidate})
            except (InputError, TypeError):
                continue
            yield each.name, changed
            break
        else:
            if isinstance(example, PerturbedRisk) and f"{each.name} {value}" in ONLY.get(type(example.fold), ()):
                continue
            pytest.fail(f"no other value found for {type(example).__name__}.{each.name}: teach variants() one")


@every_value
def test_it_is_a_frozen_dataclass_with_fields_by_keyword(cls):
    assert is_dataclass(cls)
    parameters = cls.__dataclass_params__
    assert parameters.frozen
    assert cls is Ball or all(each.kw_only for each in fields(cls))


@every_example
def test_fields_cannot_be_assigned(example):
    for each in fields(example):
        with pytest.raises(FrozenInstanceError):
            setattr(example, each.name, None)


@every_value
def test_it_says_in_one_line_what_it_is_and_documents_every_field(cls):
    assert not (cls.__doc__ or "").startswith(f"{cls.__name__}("), "the docstring is the one dataclass made up"
    documentation = inspect.getdoc(cls)
    first = documentation.splitlines()[0]
    assert first.endswith(".")
    # A corruption's fields are those of its family, and documented there.
    attributes = "\n".join((inspect.getdoc(each) or "").partition("\nAttributes:\n")[2] for each in cls.__mro__)
    documented = re.findall(r"^    (\w+): \S", attributes, re.MULTILINE)
    assert {each.name for each in fields(cls)} <= set(documented)


@every_example
def test_yaml_there_and_back_gives_an_equal_object(example, tmp_path):
    experiment = experiment_with(example)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(plain(experiment), sort_keys=False))
    again = read_experiment([f"--config={path}"])
    assert again == experiment


@every_example
def test_identity_is_the_same_for_equal_fields_and_another_for_any_other_field(example):
    found = {"": identity(example)}
    assert re.fullmatch("[0-9a-f]{16}", found[""])
    assert identity(replace(example)) == found[""]
    for name, changed in variants(example):
        assert identity(changed) not in found.values(), f"{name} does not count"
        found[name] = identity(changed)


@every_example
def test_a_copy_through_pickle_is_equal(example):
    again = pickle.loads(pickle.dumps(example))
    assert again == example
    assert hash(again) == hash(example)
    assert to_plain(again) == to_plain(example)


@pytest.mark.parametrize("cls", FINAL, ids=lambda cls: cls.__name__)
def test_concrete_classes_are_final(cls):
    sentence = f"Sub subclasses {cls.__name__}, which is concrete and therefore final. Hold it in a field instead."
    with pytest.raises(TypeError, match=f"^{re.escape(sentence)}$"):
        type("Sub", (cls,), {})
