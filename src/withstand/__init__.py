"""Train classifiers that withstand noise, corruption and shift, and measure how much.

The public names are imported when they are first used, so that `import withstand` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from withstand.api import evaluate as evaluate
    from withstand.api import fit as fit
    from withstand.data.avila import Avila as Avila
    from withstand.data.cifar10 import Cifar10 as Cifar10
    from withstand.data.cifar10_c import Cifar10C as Cifar10C
    from withstand.data.cifar100_c import Cifar100C as Cifar100C
    from withstand.data.corrupted_arrays import CorruptedArrays as CorruptedArrays
    from withstand.data.corrupted_folder import CorruptedFolder as CorruptedFolder
    from withstand.data.digits import Digits as Digits
    from withstand.data.fashion_mnist import FashionMnist as FashionMnist
    from withstand.data.grid_stability import GridStability as GridStability
    from withstand.data.image_folder import ImageFolder as ImageFolder
    from withstand.data.imagenet import Imagenet as Imagenet
    from withstand.data.imagenet_c_files import ImagenetCFiles as ImagenetCFiles
    from withstand.data.mnist import Mnist as Mnist
    from withstand.data.mnist14 import Mnist14 as Mnist14
    from withstand.data.table import Table as Table
    from withstand.data.toy import Toy as Toy
    from withstand.engine import Engine as Engine
    from withstand.errors import InputError as InputError
    from withstand.errors import TrainingError as TrainingError
    from withstand.estimators.classifier import RobustClassifier as RobustClassifier
    from withstand.estimators.regressor import RobustRegressor as RobustRegressor
    from withstand.evaluation.accuracy import Accuracy as Accuracy
    from withstand.evaluation.lipschitz import Lipschitz as Lipschitz
    from withstand.evaluation.noise_distance import NoiseDistance as NoiseDistance
    from withstand.evaluation.recall import Recall as Recall
    from withstand.evaluation.worst_case import WorstCase as WorstCase
    from withstand.experiment import Experiment as Experiment
    from withstand.experiment import run as run
    from withstand.functional.random import stream as stream
    from withstand.models.mlp import MLP as MLP
    from withstand.models.released import Released as Released
    from withstand.models.small_cnn import SmallCNN as SmallCNN
    from withstand.models.vision import Vision as Vision
    from withstand.objectives.adversarial_noise import AdversarialNoise as AdversarialNoise
    from withstand.objectives.perturbed_risk import PerturbedRisk as PerturbedRisk
    from withstand.perturbations.attacks.langevin import Langevin as Langevin
    from withstand.perturbations.attacks.pgd import PGD as PGD
    from withstand.perturbations.attacks.tilted import Tilted as Tilted
    from withstand.perturbations.attacks.vertices import Vertices as Vertices
    from withstand.perturbations.ball import Ball as Ball
    from withstand.perturbations.gaussian import Gaussian as Gaussian
    from withstand.perturbations.identity import Identity as Identity
    from withstand.perturbations.imagenet_c import ImageNetC as ImageNetC
    from withstand.perturbations.mixture import Mixture as Mixture
    from withstand.perturbations.saved_as_jpeg import SavedAsJpeg as SavedAsJpeg
    from withstand.perturbations.sobol import Sobol as Sobol
    from withstand.perturbations.speckle import Speckle as Speckle
    from withstand.perturbations.uniform import Uniform as Uniform
    from withstand.perturbations.uniform_noise import UniformNoise as UniformNoise
    from withstand.study.corruption_error import CorruptionErrors as CorruptionErrors
    from withstand.study.corruption_error import corruption_errors as corruption_errors
    from withstand.study.row import Row as Row
    from withstand.study.study import Study as Study
    from withstand.training.optimizers import SGD as SGD
    from withstand.training.optimizers import Adam as Adam
    from withstand.training.optimizers import AdamW as AdamW
    from withstand.training.schedules import Constant as Constant
    from withstand.training.schedules import Cosine as Cosine
    from withstand.training.schedules import StepDecay as StepDecay
    from withstand.training.settings import Training as Training

_HOMES = {
    "api": ("evaluate", "fit"),
    "data.avila": ("Avila",),
    "data.cifar10": ("Cifar10",),
    "data.cifar100_c": ("Cifar100C",),
    "data.cifar10_c": ("Cifar10C",),
    "data.corrupted_arrays": ("CorruptedArrays",),
    "data.corrupted_folder": ("CorruptedFolder",),
    "data.digits": ("Digits",),
    "data.fashion_mnist": ("FashionMnist",),
    "data.grid_stability": ("GridStability",),
    "data.image_folder": ("ImageFolder",),
    "data.imagenet": ("Imagenet",),
    "data.imagenet_c_files": ("ImagenetCFiles",),
    "data.mnist": ("Mnist",),
    "data.mnist14": ("Mnist14",),
    "data.table": ("Table",),
    "data.toy": ("Toy",),
    "engine": ("Engine",),
    "errors": ("InputError", "TrainingError"),
    "estimators.classifier": ("RobustClassifier",),
    "estimators.regressor": ("RobustRegressor",),
    "evaluation.accuracy": ("Accuracy",),
    "evaluation.lipschitz": ("Lipschitz",),
    "evaluation.noise_distance": ("NoiseDistance",),
    "evaluation.recall": ("Recall",),
    "evaluation.worst_case": ("WorstCase",),
    "experiment": ("Experiment", "run"),
    "functional.random": ("stream",),
    "models.mlp": ("MLP",),
    "models.released": ("Released",),
    "models.small_cnn": ("SmallCNN",),
    "models.vision": ("Vision",),
    "objectives.adversarial_noise": ("AdversarialNoise",),
    "objectives.perturbed_risk": ("PerturbedRisk",),
    "perturbations.attacks.langevin": ("Langevin",),
    "perturbations.attacks.pgd": ("PGD",),
    "perturbations.attacks.tilted": ("Tilted",),
    "perturbations.attacks.vertices": ("Vertices",),
    "perturbations.ball": ("Ball",),
    "perturbations.gaussian": ("Gaussian",),
    "perturbations.identity": ("Identity",),
    "perturbations.imagenet_c": ("ImageNetC",),
    "perturbations.mixture": ("Mixture",),
    "perturbations.saved_as_jpeg": ("SavedAsJpeg",),
    "perturbations.sobol": ("Sobol",),
    "perturbations.speckle": ("Speckle",),
    "perturbations.uniform": ("Uniform",),
    "perturbations.uniform_noise": ("UniformNoise",),
    "results.corruption_error": ("CorruptionErrors", "corruption_errors"),
    "results.row": ("Row",),
    "results.study": ("Study",),
    "training.optimizers": ("SGD", "Adam", "AdamW"),
    "training.schedules": ("Constant", "Cosine", "StepDecay"),
    "training.settings": ("Training",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'withstand' has no attribute '{name}'")
    return getattr(importlib.import_module(f"withstand.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
