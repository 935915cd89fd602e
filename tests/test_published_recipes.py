"""Recipes of published augmentations: their settings are the published ones, and each trains."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from withstand.data.base import TensorSplit
from withstand.data.images.cifar10 import Cifar10
from withstand.data.images.cifar100 import CLASSES, Cifar100
from withstand.data.images.imagenet import Imagenet
from withstand.engine import Engine
from withstand.families import recipes
from withstand.models.small_cnn import SmallCNN
from withstand.models.vision import Vision
from withstand.models.wide_resnet import WideResNet
from withstand.objectives.folds.mean import Mean
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.options import read_experiment
from withstand.perturbations.augmentations.pix_mix import PixMix
from withstand.training.optimizers import SGD
from withstand.training.rehearsal import rehearse
from withstand.training.trainer import Trainer

JSD = "--objective.num-draws 2 --objective.fold Consistency"
CLEAN = "--objective.fold Mean --objective.fold.clean true"
# The options of `withstand train`, as docs/how-to/training.md gives them.
METHODS = {
    "augmix": f"--objective.perturbation AugMix {JSD}",
    "prime": "--objective.perturbation PRIME",
    "prime-jsd": f"--objective.perturbation PRIME {JSD}",
    "apr": f"--objective.perturbation APR {CLEAN}",
    "hybrid": f"--objective.perturbation HybridAugment {CLEAN}",
    "afa": "--objective AuxiliaryBatchNorm",
    "pixmix": "--objective.perturbation PixMix",
    "mixup": "--objective.perturbation Mixup",
    "cutmix": "--objective.perturbation CutMix",
    "trivial-augment": "--objective.perturbation TrivialAugment",
    "smoothed-labels": "--objective.perturbation Mixture --objective.perturbation.parts [Identity,SmoothedByDamage]",
    "trades": "--objective.perturbation PGD --objective.perturbation.loss divergence --objective.fold Trades",
}
LARGE = {
    "augmix": {"severity": 1},
    "prime": {
        "color_variance": 0.05,
        "color_frequencies": 500,
        "color_band": 20,
        "displacement_frequencies": 500,
    },
    "apr": {"probability": 0.5},
    "hybrid": {"blur_std": 1.0},
    "pixmix": {"concentration": 4, "severity": 1},
    "mixup": {"alpha": 0.2},
    "cutmix": {"probability": 1.0},
}
LARGE["prime-jsd"] = LARGE["prime"]
# Epochs, batch size, learning rate, weight decay, Nesterov momentum, and the largest norm of a gradient.
SETTINGS = {
    "cifar10-augmix": (100, 128, 0.1, 5e-4, True, None),
    "cifar10-prime-jsd": (100, 128, 0.2, 5e-4, True, 0.5),
    "cifar10-apr": (200, 128, 0.1, 5e-4, True, None),
    "cifar10-hybrid": (200, 128, 0.1, 5e-4, True, None),
    "cifar10-afa": (200, 256, 0.1, 5e-4, True, 1.0),
    "cifar10-pixmix": (100, 128, 0.1, 5e-4, True, None),
    "cifar10-mixup": (200, 128, 0.1, 1e-4, False, None),
    "cifar10-trivial-augment": (200, 128, 0.1, 5e-4, True, 5.0),
    "cifar10-smoothed-labels": (300, 128, 0.01, 5e-4, False, None),
    "cifar10-trades": (76, 128, 0.1, 2e-4, False, None),
    "cifar100-afa": (100, 128, 0.2, 5e-4, True, 0.5),
    "cifar100-cutmix": (300, 64, 0.25, 1e-4, True, None),
    "imagenet-augmix": (180, 256, 0.1, 1e-4, False, None),
    "imagenet-prime": (100, 512, 0.02, 1e-4, True, None),
    "imagenet-prime-jsd": (100, 512, 0.02, 1e-4, True, None),
    "imagenet-apr": (100, 256, 0.1, 1e-4, False, None),
    "imagenet-hybrid": (100, 256, 0.1, 1e-4, False, None),
    "imagenet-afa": (90, 512, 0.2, 1e-4, False, 1.0),
    "imagenet-pixmix": (90, 256, 0.01, 5e-4, True, None),
    "imagenet-mixup": (200, 1024, 0.4, 1e-4, False, None),
    "imagenet-cutmix": (300, 256, 0.1, 1e-4, True, None),
}
SAME = ("augmix", "prime-jsd", "apr", "hybrid", "pixmix", "mixup", "trivial-augment", "smoothed-labels")
SETTINGS |= {f"cifar100-{method}": SETTINGS[f"cifar10-{method}"] for method in SAME}
DATA = {"cifar10": Cifar10, "cifar100": Cifar100, "imagenet": Imagenet}
each_recipe = pytest.mark.parametrize("name", SETTINGS)


@cache
def recipe(name):
    return read_experiment([f"--config={name}"])


def test_every_recipe_of_a_method_is_known_here_and_named_in_the_guide():
    own = {f"{data}-{method}" for data in DATA for method in METHODS}
    assert {name for name in recipes() if name in own} == set(SETTINGS)
    guide = (Path(__file__).parents[1] / "docs/how-to/training.md").read_text(encoding="utf-8")
    assert [method for method in METHODS if f"`{method}`" not in guide] == []


@each_recipe
def test_it_trains_the_method_on_all_training_images(name):
    data, method = name.split("-", 1)
    found, words = recipe(name), METHODS[method].split()
    assert (found.name, found.data) == (name, DATA[data](validation=0.0))
    assert isinstance(found.model, Vision if data == "imagenet" else WideResNet)
    expected = read_experiment([*words, "--data", "digits"]).objective
    if data == "imagenet" and method in LARGE:
        expected = replace(expected, perturbation=replace(expected.perturbation, **LARGE[method]))
    if method == "trades":
        attack = found.objective.perturbation
        assert attack.reach * attack.ball.radius / attack.steps == pytest.approx(0.007)
        expected = replace(expected, perturbation=replace(expected.perturbation, ball=attack.ball, reach=attack.reach))
        assert (attack.ball.norm, attack.ball.radius, expected.fold.beta) == ("linf", 0.031, 6.0)
    assert found.objective == expected


@each_recipe
def test_its_settings_are_the_published_ones(name):
    found = recipe(name).training
    epochs, batch_size, lr, decay, nesterov, clip_norm = SETTINGS[name]
    assert (found.epochs, found.batch_size, found.clip_norm) == (epochs, batch_size, clip_norm)
    # The published loss of clean and changed copies is their sum, twice the mean.
    factor = 2 if getattr(recipe(name).objective, "fold", None) == Mean(clean=True) else 1
    assert found.optimizer == SGD(lr=factor * lr, weight_decay=decay / factor, nesterov=nesterov)


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("cifar10-augmix", {0: 1, 50: 0.5, 100: 0}),
        ("cifar10-prime-jsd", {5: 0.2, 25: 1, 100: 0}),
        ("cifar10-hybrid", {59: 1, 60: 0.2, 120: 0.04}),
        ("cifar10-mixup", {59: 1, 60: 0.1, 120: 0.01, 180: 0.001}),
        ("cifar10-trades", {73: 1, 74: 0.1, 75: 0.1}),
        ("imagenet-augmix", {59: 1, 60: 0.1, 120: 0.01}),
        ("imagenet-afa", {29: 1, 30: 0.1, 60: 0.01}),
        ("imagenet-mixup", {2: 0.4, 5: 1, 60: 0.1, 180: 0.001}),
        ("imagenet-cutmix", {74: 1, 75: 0.1, 225: 0.001}),
    ],
)
def test_its_rate_falls_as_published(name, rates):
    found = recipe(name).training
    steps = 1000
    got = {epoch: found.schedule.factor(epoch * steps, steps_per_epoch=steps, epochs=found.epochs) for epoch in rates}
    assert got == pytest.approx(rates, abs=1e-3)


def trainer(name, split, model):
    found = recipe(name)
    objective, training = found.objective, replace(found.training, epochs=1, batch_size=10)
    if isinstance(objective, PerturbedRisk) and isinstance(objective.perturbation, PixMix):
        objective = replace(objective, perturbation=replace(objective.perturbation, num_pictures=4))
    return Trainer(
        model.build(split.shape, len(split.classes), seed=0),
        split,
        objective=objective,
        training=training,
        seed=0,
        engine=Engine(),
    )


@each_recipe
def test_it_trains(name, tiny_split):
    own = trainer(name, tiny_split, SmallCNN(width=2, batch_norm=True))
    own.fit()
    assert len(own.history) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SETTINGS if name.startswith("cifar")])
def test_its_network_takes_a_step(name):
    x, y = torch.zeros((2, 3, 32, 32), dtype=torch.uint8), torch.tensor([0, 1])
    rehearse(trainer(name, TensorSplit(x, y, classes=CLASSES, box=(0.0, 1.0)), recipe(name).model))
