"""Training on another device: weights are near those of the CPU."""

import pytest
import torch
from torch import nn

from withstand.data.images.digits import Digits
from withstand.data.tables.toy import Toy
from withstand.engine import Engine
from withstand.models.mlp import MLP
from withstand.models.small_cnn import SmallCNN
from withstand.objectives.adversarial_noise import AdversarialNoise
from withstand.objectives.folds.soft_maximum import SoftMaximum
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.ball import Ball
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.uniform import Uniform
from withstand.stacked.trainer import Together
from withstand.training.optimizers import SGD
from withstand.training.settings import Training
from withstand.training.trainer import Trainer

SMOOTHED = PerturbedRisk(perturbation=Uniform(ball=Ball("linf", 0.1)), num_draws=3, fold=SoftMaximum(temperature=0.5))
TRAINING = Training(epochs=1, batch_size=64, optimizer=SGD(lr=0.05), clip_norm=2.0, ema_decay=0.9)


def near(found, expected, place) -> None:
    for name, own in found.items():
        torch.testing.assert_close(place.values(own), expected[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("objective", [PerturbedRisk(perturbation=Gaussian(std=0.1)), SMOOTHED, AdversarialNoise()])
def test_a_trainer_gives_the_weights_of_the_cpu(objective, place):
    split = Digits().load("validation")

    def weights(device: torch.device) -> dict[str, torch.Tensor]:
        model = SmallCNN(width=2).build(split.shape, 10, seed=0).to(device)
        options = {"objective": objective, "training": TRAINING, "seed": 0, "engine": Engine(device=device)}
        return Trainer(model, split, **options).fit().state_dict()

    expected = weights(torch.device("cpu"))
    with place.equal_draws():
        near(weights(place.device), expected, place)


def test_stacked_trials_give_the_weights_of_the_cpu(place):
    split = Toy(num_train=300).load("train")

    def weights(device: torch.device) -> dict[str, torch.Tensor]:
        models: list[nn.Module] = [MLP(hidden=(16,)).build(split.shape, 2, seed=seed).to(device) for seed in range(3)]
        training = Training(epochs=2, batch_size=32, optimizer=SGD(lr=0.05), clip_norm=2.0)
        options = {"objective": SMOOTHED, "training": training, "engine": Engine(device=device)}
        trainer = Together(models, split, seeds=[0, 1, 2], **options)
        trainer.fit()
        return {f"{trial}.{name}": each for trial in range(3) for name, each in trainer.result(trial).items()}

    expected = weights(torch.device("cpu"))
    with place.equal_draws():
        near(weights(place.device), expected, place)
