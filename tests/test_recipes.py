"""What the recipes of the Game of Noise say, and that each of them trains."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from withstand.data.images.cifar10 import Cifar10
from withstand.data.images.fashion_mnist import FashionMnist
from withstand.data.images.imagenet import Imagenet
from withstand.data.images.mnist import Mnist
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.functional.random import stream
from withstand.models.small_cnn import SmallCNN
from withstand.models.vision import Vision
from withstand.objectives.adversarial_noise import AdversarialNoise
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.options import read_experiment
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Mixture
from withstand.perturbations.speckle import Speckle
from withstand.training.optimizers import SGD
from withstand.training.schedules import StepDecay
from withstand.training.settings import Training
from withstand.training.trainer import Trainer


def half(noise):
    return PerturbedRisk(perturbation=Mixture(parts=(Identity(), noise)))


SMALL_ANT = AdversarialNoise(lr=1e-3, restart_steps=100, restart_lr=5e-3)
KINDS = {
    "plain": PerturbedRisk(),
    "gaussian-single": half(Gaussian(std=0.5)),
    "gaussian-multi": half(Gaussian(std=(0.08, 0.12, 0.18, 0.26, 0.38))),
    "speckle": half(Speckle(std=(0.15, 0.2, 0.35, 0.45, 0.6))),
}
SMALL = KINDS | {"ant": SMALL_ANT, "ant3x3": replace(SMALL_ANT, kernel="3x3")}
LARGE = KINDS | {
    "ant": AdversarialNoise(),
    "ant3x3": AdversarialNoise(kernel="3x3"),
    "ant-sin": AdversarialNoise(clean_share=0.36363636, replay_share=0.25454545, stylized="stylized-imagenet"),
}
DATA = {"mnist": Mnist(), "fashion-mnist": FashionMnist(), "cifar10": Cifar10()}
RADII = {"mnist": 6.0, "fashion-mnist": 6.0, "cifar10": None}
RECIPES = [f"{data}-{kind}" for data in DATA for kind in SMALL] + [f"imagenet-{kind}" for kind in LARGE]


def recipe(name):
    return read_experiment([f"--config={name}"])


@pytest.mark.parametrize("kind", LARGE)
def test_on_imagenet_they_have_the_published_settings(kind):
    found = recipe(f"imagenet-{kind}")
    assert found.data == Imagenet(validation=0.0)
    assert found.model == Vision(name="resnet50", pretrained=True)
    assert found.objective == LARGE[kind]
    assert found.training == Training(
        epochs=120,
        batch_size=55 if kind == "ant-sin" else 70,
        optimizer=SGD(lr=1e-3, momentum=0.9, weight_decay=0.0),
        schedule=StepDecay(every=60, decay=0.1),
    )


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("kind", SMALL)
def test_the_small_ones_are_what_their_names_say(data, kind):
    found = recipe(f"{data}-{kind}")
    assert found.name == f"{data}-{kind}"
    assert found.data == DATA[data]
    assert isinstance(found.model, SmallCNN)
    expected = SMALL[kind]
    if isinstance(expected, AdversarialNoise):
        expected = replace(expected, radius=RADII[data])
    assert found.objective == expected
    # All on the same data train equally long, so that they can be compared.
    assert found.training == recipe(f"{data}-plain").training
    assert found.training.epochs <= 6


def test_of_70_images_35_are_noisy_20_clean_and_15_stylized():
    objective = recipe("imagenet-ant-sin").objective
    x = torch.rand((55, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    state = replace(objective, stylized=None).init(x[:1], model=nn.Identity(), rng=stream(0, "init"))
    vector = torch.cat([each.detach().flatten() for each in state.generator.parameters()])
    state.past = [vector, vector]
    y, space = torch.zeros(55, dtype=torch.int64), Space.like(x, box=(0.0, 1.0))
    mixed = objective.mix(nn.Identity(), x, y, space=space, state=state, rng=stream(0, "a")).inputs[0]
    moved = (mixed != x).flatten(1).any(1)
    assert (int(moved.sum()), int((~moved).sum()), round(objective.stylized_ratio * 55)) == (35, 20, 15)


@pytest.mark.parametrize("name", RECIPES)
def test_it_trains(name, tiny_split, tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path))
    for each in tiny_split.classes:
        folder = tmp_path / "stylized-imagenet" / "train" / each
        folder.mkdir(parents=True)
        Image.fromarray(np.zeros((9, 9, 3), dtype=np.uint8)).save(folder / "black.png")
    found = recipe(name)
    objective = found.objective
    if isinstance(objective, AdversarialNoise):
        objective = replace(objective, restart_steps=1)
    trainer = Trainer(
        SmallCNN(width=2, batch_norm=True).build(tiny_split.shape, 3, seed=0),
        tiny_split,
        objective=objective,
        training=replace(found.training, epochs=2, batch_size=10),
        seed=0,
        engine=Engine(),
    )
    trainer.fit()
    assert len(trainer.history) == 2
