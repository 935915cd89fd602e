"""Every perturbation and objective declares what it does to inputs; reports compare, and never guess."""

from pathlib import Path

import pytest
import torch

import withstand as ws
from withstand.conditions import CORRUPTIONS, OPERATIONS
from withstand.configuration import discover
from withstand.errors import InputError
from withstand.functional.augmentation import operations
from withstand.functional.random import stream
from withstand.objectives.base import Objective
from withstand.perturbations.augmentations.augmentation import Augmentation
from withstand.perturbations.base import Corruption, Perturbation
from withstand.perturbations.operations import operations_of, operations_of_training

TABLES_AND_ATTACKS = {"entries", "attack", "mixing"}


@pytest.mark.parametrize("cls", [*discover(Perturbation), *discover(Objective)], ids=lambda cls: cls.__name__)
def test_each_declares_known_operations(cls):
    for example in cls.examples():
        found = operations_of(example)
        assert found is not None
        assert found <= {*OPERATIONS, *TABLES_AND_ATTACKS}


KINDS_OF_PILLOW = {"filter": {"sharpness"}, "geometry": {"rotate", "shear_x", "shear_y", "translate_x", "translate_y"}}


@pytest.mark.parametrize(
    "perturbation",
    [
        *(each for cls in discover(Perturbation) if issubclass(cls, Augmentation) for each in cls.examples()),
        *(ws.AugMix(all_ops=True), ws.APR(), ws.HybridAugment(plus=False, variant="single")),
    ],
    ids=lambda each: each.condition,
)
def test_augmentations_declare_the_kinds_of_the_operations_that_they_apply(perturbation, monkeypatch):
    applied = set()
    kind_of = {name: kind for kind, names in KINDS_OF_PILLOW.items() for name in names}
    for name, operation in operations._OPERATIONS.items():

        def record(x, value, name=name, operation=operation):
            applied.add(kind_of.get(name, "tone"))
            return operation(x, value)

        monkeypatch.setitem(operations._OPERATIONS, name, record)
    x, space = torch.rand(400, 1, 4, 4, generator=stream(0, "x")), ws.Space(shape=(1, 4, 4), box=(0, 1))
    y = torch.zeros(400, dtype=torch.int64)
    perturbation.draw(x, y, torch.nn.Identity(), space=space, num_draws=1, rng=stream(1, "x"))
    declared = operations_of(perturbation)
    assert declared is not None
    assert applied <= declared
    if applied:
        assert {"tone", "geometry"} <= applied
    elif not isinstance(perturbation, ws.PRIME):
        assert not {"tone", "geometry"} & declared


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ws.CutMix(), {"mixing", "occlusion"}),
        (ws.PixMix(all_ops=False), {"mixing", "overlay", "tone", "geometry"}),
        (ws.APR(), {"mixing", "filter"}),
        (ws.HybridAugment(variant="single"), {"filter", "tone", "geometry"}),
        (ws.AdversarialNoise(), {"noise"}),
        (ws.AdversarialNoise(stylized="folder"), None),
    ],
)
def test_what_is_declared_depends_on_the_fields(value, expected):
    assert operations_of(value) == expected


def test_every_corruption_has_operations_and_nothing_else_has_an_entry():
    there = {each for corruptions in OPERATIONS.values() for each in corruptions}
    assert there == set(CORRUPTIONS)
    names = {cls.published_name() for cls in discover(Perturbation) if issubclass(cls, Corruption)}
    assert names <= there


def test_the_page_on_reports_lists_every_operation():
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "reports.md").read_text()
    section = page.partition("### Unseen corruptions")[2].partition("###")[0]
    classes = [*discover(Perturbation), *discover(Objective)]
    declared = {name for cls in classes for example in cls.examples() for name in operations_of(example)}
    assert [name for name in sorted(declared) if f"`{name}`" not in section] == []


def test_what_is_held_counts_and_an_unknown_part_makes_the_whole_unknown(monkeypatch):
    mixed = ws.Mixture(parts=(ws.PRIME(), ws.Compose(parts=(ws.Fog(severity=1), ws.FourierNoise()))))
    assert operations_of(ws.PerturbedRisk(perturbation=mixed)) == {"filter", "tone", "warp", "random field", "waves"}
    assert operations_of(ws.AdversarialNoise(perturbation=ws.SavedAsJpeg())) == {"noise", "compression"}
    monkeypatch.setattr(ws.PRIME, "operations", None)
    assert operations_of(ws.PerturbedRisk(perturbation=mixed)) is None


@pytest.mark.parametrize("declared", ["noise", ("noise",), frozenset({"noise", "dirt"})])
def test_a_declaration_that_is_no_set_of_known_words_is_refused(declared, monkeypatch):
    monkeypatch.setattr(ws.PRIME, "operations", declared)
    monkeypatch.setattr(ws.Fog, "operations", declared)
    for each in (ws.PRIME(), ws.Compose(parts=(ws.Fog(severity=1),))):
        with pytest.raises(InputError, match=r"operations must be a frozenset of noise, .*, got "):
            operations_of(ws.PerturbedRisk(perturbation=each))


def test_crops_and_flips_count_and_earlier_weights_are_unknown():
    split = ws.Digits().load("train")
    objective = ws.PerturbedRisk(perturbation=ws.Gaussian())
    assert operations_of_training(objective, split, from_scratch=True) == ["noise"]
    split.augment = lambda x, numbers, seed: x
    assert operations_of_training(objective, split, from_scratch=True) == ["geometry", "noise"]
    assert operations_of_training(objective, None, from_scratch=True) == ["noise"]
    assert operations_of_training(objective, None, from_scratch=False) is None
