"""Two hundred wrong calls of everything that is public, written from the documentation.

Each one raises `InputError` with a message that names the argument; estimators may raise any ValueError, as scikit-learn
does.
"""

import inspect
import re
import warnings
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas
import polars
import pytest
import scipy.sparse
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from torch import nn

import withstand as ws
from withstand.compat import imagecorruptions, imagenet_c
from withstand.configuration import Configuration
from withstand.data.base import TensorSplit
from withstand.detection import mpc
from withstand.study import aggregate, paired, read
from withstand.study.axes import OWN
from withstand.training.optimizers import Optimizer


class Returns(nn.Module):
    """A model that applies a function to its logits."""

    def __init__(self, change):
        super().__init__()
        self.linear, self.change = nn.Linear(12, 3), change

    def forward(self, x):
        return self.change(self.linear(x.flatten(1)))


class Raises(nn.Module):
    def forward(self, x):
        raise KeyError("layer 3 is missing")


class RaisesLater(nn.Module):
    """Fails on inputs other than the zeros of the first check."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(12, 3)

    def forward(self, x):
        if x.any():
            raise KeyError("layer 3 is missing")
        return self.linear(x.flatten(1))


class NoLength:
    def __getitem__(self, row):
        return torch.zeros(3, 2, 2), 0


class Fails:
    def __len__(self):
        return 4

    def __getitem__(self, row):
        raise KeyError(f"row {row} has no file")


class FailsLater(Fails):
    def __getitem__(self, row):
        return super().__getitem__(row) if row == 3 else (torch.zeros(3, 2, 2), row % 3)


class FailsToCount(Fails):
    def __len__(self):
        raise OSError("the share is gone")


def pairs_of(labels, x=None):
    x = torch.rand(len(labels), 3, 2, 2, generator=torch.Generator().manual_seed(0)) if x is None else x
    return list(zip(x, labels, strict=True))


def good():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3))


def in_inference_mode(make):
    with torch.inference_mode():
        return make()


def quantised(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        return torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)


def frozen():
    return good().requires_grad_(False)


def with_nan_weights():
    model = good()
    with torch.no_grad():
        model[1].weight[0, 0] = torch.nan
    return model


fit = partial(ws.fit, epochs=1, batch_size=4, device="cpu")
evaluate = partial(ws.evaluate, device="cpu")


def images(*shape, value=0.5):
    return torch.full(shape, value)


@pytest.fixture(scope="module")
def t():
    return things()


def things():
    torch.manual_seed(0)
    labels = [0, 1, 2] * 4
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 4)), np.array([0, 1, 2] * 10)
    pairs = pairs_of(labels)
    results = evaluate(good(), pairs)
    return SimpleNamespace(
        pairs=pairs,
        x=x,
        y=y,
        rgb=np.full((32, 32, 3), 100, np.uint8),
        results=results,
        study=ws.Study.of_results(results),
        table=next(iter(results.tables_of_outcomes.values())),
        split=TensorSplit(torch.rand(6, 4), torch.tensor([0, 1, 2] * 2), classes=("a", "b", "c"), box=None),
        classifier=ws.RobustClassifier("regular", epochs=1, device="cpu").fit(x, y),
        regressor=ws.RobustRegressor("regular", epochs=1, device="cpu").fit(x, y * 1.0),
        chosen=cls(objective="noise", radius="cv", radii=(0.0, 0.1), deployment_noise=0.1, cv=2).fit(x, y),
        points=(torch.rand(4, 12), torch.tensor([0, 1, 2, 0])),
        linear=nn.Linear(12, 3),
        ball=ws.Ball("linf", 0.1),
    )


def without_gradients():
    with torch.inference_mode():
        return nn.Sequential(nn.Flatten(), nn.Linear(12, 3))


# (what is wrong, text in the message, the call)
FIT = [
    ("one-hot labels", "labels", lambda t: fit(good(), pairs_of(torch.eye(3)))),
    ("missing labels", "labels", lambda t: fit(good(), pairs_of([None] * 3))),
    ("labels of text", "labels", lambda t: fit(good(), pairs_of(["a", "b", "c"]))),
    ("labels of fractions", "labels", lambda t: fit(good(), pairs_of([0.5, 1.0, 2.0]))),
    ("labels of whole floats", "labels", lambda t: fit(good(), pairs_of(torch.tensor([0.0, 1.0, 2.0])))),
    ("labels out of range", "labels", lambda t: fit(good(), pairs_of([0, 1, 7]))),
    ("negative labels", "labels", lambda t: fit(good(), pairs_of([0, 1, -1]))),
    ("NaN as label", "labels", lambda t: fit(good(), pairs_of([0, 1, float("nan")]))),
    ("lists as labels", "labels", lambda t: fit(good(), pairs_of([[0], [1], [2]]))),
    ("dates as labels", "labels", lambda t: fit(good(), pairs_of([datetime(2020, 1, 1)] * 3))),
    ("inputs without labels", "pairs", lambda t: fit(good(), list(images(4, 3, 2, 2)))),
    ("images of different sizes", "shape", lambda t: fit(good(), pairs_of([0, 1], [images(3, 2, 2), images(3, 4, 4)]))),
    ("arrays instead of tensors", "inputs", lambda t: fit(good(), pairs_of([0, 1], np.zeros((2, 3, 2, 2))))),
    ("text as inputs", "inputs", lambda t: fit(good(), pairs_of([0, 1], ["a", "b"]))),
    ("truth values as inputs", "inputs", lambda t: fit(good(), pairs_of([0, 1], torch.zeros(2, 3, 2, 2) > 0))),
    ("complex inputs", "inputs", lambda t: fit(good(), pairs_of([0, 1], images(2, 3, 2, 2) * 1j))),
    ("NaN inputs", "inputs", lambda t: fit(good(), pairs_of([0, 1], images(2, 3, 2, 2, value=torch.nan)))),
    ("inputs without values", "input", lambda t: fit(good(), pairs_of([0, 1], images(2, 3, 2, 2).to("meta")))),
    ("nested inputs", "input", lambda t: fit(good(), pairs_of([0, 1], [nested(images(2, 2, 2))] * 2))),
    ("images beyond 1", "images", lambda t: fit(good(), pairs_of([0, 1], images(2, 3, 2, 2, value=255.0)))),
    ("a model of inference tensors", "model: 1.weight", lambda t: fit(without_gradients(), t.pairs)),
    ("sparse tensors", "inputs", lambda t: fit(good(), pairs_of([0, 1], [images(3, 2, 2).to_sparse()] * 2))),
    ("scalars as inputs", "inputs", lambda t: fit(good(), pairs_of([0, 1], torch.zeros(2)))),
    ("no data", "data", lambda t: fit(good(), [])),
    ("None as data", "data", lambda t: fit(good(), None)),
    ("a number as data", "data", lambda t: fit(good(), 3)),
    ("a class as data", "data", lambda t: fit(good(), ws.Digits)),
    ("text as data", "data", lambda t: fit(good(), "digits")),
    ("a dictionary as data", "data", lambda t: fit(good(), {"x": images(2, 3, 2, 2), "y": [0, 1]})),
    ("an array as data", "data", lambda t: fit(good(), np.zeros((4, 12)))),
    ("a tensor as data", "data", lambda t: fit(good(), images(4, 3, 2, 2))),
    ("a frame as data", "data", lambda t: fit(good(), pandas.DataFrame({"a": [1.0, 2.0]}))),
    ("data without length", "data", lambda t: fit(good(), NoLength())),
    ("data that fail", "row 0 has no file", lambda t: fit(good(), Fails())),
    ("data that fail later", "row 3 has no file", lambda t: fit(good(), FailsLater())),
    ("data that fail to count", "the share is gone", lambda t: fit(good(), FailsToCount())),
    ("a frozen model", "model", lambda t: fit(frozen(), t.pairs)),
    ("a model without parameters", "model", lambda t: fit(nn.Flatten(), pairs_of([0, 1, 2] * 4))),
    ("a model that detaches", "gradient", lambda t: fit(Returns(lambda z: z.detach()), t.pairs)),
    ("a model of NaN weights", "model", lambda t: fit(with_nan_weights(), t.pairs)),
    ("a function as model", "model", lambda t: fit(lambda x: x, t.pairs)),
    ("an unbuilt model", "model", lambda t: fit(ws.SmallCNN(), t.pairs)),
    ("a class as model", "model", lambda t: fit(ws.SmallCNN, t.pairs)),
    ("no model", "model", lambda t: fit(None, t.pairs)),
    ("a model without numbers", "model", lambda t: fit(good().to("meta"), t.pairs)),
    ("quantised inputs", "inputs", lambda t: fit(good(), pairs_of([0, 1], [quantised(images(3, 2, 2))] * 2))),
    ("a model of inference mode", "inference_mode", lambda t: fit(in_inference_mode(good), t.pairs)),
    ("inputs without numbers", "inputs", lambda t: fit(good(), pairs_of([0, 1], images(2, 3, 2, 2).to("meta")))),
    ("labels without numbers", "labels", lambda t: fit(good(), pairs_of(torch.tensor([0, 1], device="meta")))),
    ("wrong number of outputs", "model", lambda t: fit(nn.Sequential(nn.Flatten(), nn.Linear(12, 7)), ws.Digits())),
    ("a model of tuples", "model", lambda t: fit(Returns(lambda z: (z, z)), t.pairs)),
    ("a model of text", "model", lambda t: fit(Returns(lambda z: "yes"), t.pairs)),
    ("a model of whole numbers", "model", lambda t: fit(Returns(lambda z: z.long()), t.pairs)),
    ("a model of half batches", "model", lambda t: fit(Returns(lambda z: z[:1]), t.pairs)),
    ("a model that fails", "layer 3 is missing", lambda t: fit(Raises(), t.pairs)),
    ("a model that fails later", "layer 3 is missing", lambda t: fit(RaisesLater(), t.pairs)),
    ("a model for other inputs", "model", lambda t: fit(nn.Linear(7, 3), t.pairs)),
    ("a negative seed", "seed", lambda t: fit(good(), t.pairs, seed=-1)),
    ("half a seed", "seed", lambda t: fit(good(), t.pairs, seed=1.5)),
    ("a truth value as seed", "seed", lambda t: fit(good(), t.pairs, seed=True)),
    ("a seed beyond 64 bits", "seed", lambda t: fit(good(), t.pairs, seed=2**70)),
    ("text as seed", "seed", lambda t: fit(good(), t.pairs, seed="0")),
    ("no seed", "seed", lambda t: fit(good(), t.pairs, seed=None)),
    ("a number as device", "device", lambda t: ws.fit(good(), t.pairs, epochs=1, device=3)),
    ("an unknown device", "device", lambda t: ws.fit(good(), t.pairs, epochs=1, device="gpu")),
    ("no device", "device", lambda t: ws.fit(good(), t.pairs, epochs=1, device=None)),
    ("negative workers", "workers", lambda t: fit(good(), t.pairs, workers=-1)),
    ("a million workers", "workers", lambda t: fit(good(), t.pairs, workers=10**6)),
    ("a truth value as workers", "workers", lambda t: fit(good(), t.pairs, workers=True)),
    ("text as workers", "workers", lambda t: fit(good(), t.pairs, workers="two")),
    ("a batch of none", "batch_size", lambda t: ws.fit(good(), t.pairs, epochs=1, device="cpu", batch_size=0)),
    ("a negative batch", "batch_size", lambda t: ws.fit(good(), t.pairs, epochs=1, device="cpu", batch_size=-3)),
    ("text as epochs", "epochs", lambda t: ws.fit(good(), t.pairs, device="cpu", epochs="3")),
    ("negative epochs", "epochs", lambda t: ws.fit(good(), t.pairs, device="cpu", epochs=-1)),
    ("None as epochs", "epochs", lambda t: ws.fit(good(), t.pairs, device="cpu", epochs=None)),
    ("an unknown setting", "epoch", lambda t: ws.fit(good(), t.pairs, device="cpu", epoch=1)),
    ("text as optimizer", "optimizer", lambda t: fit(good(), t.pairs, optimizer="adam")),
    ("a class as objective", "objective", lambda t: fit(good(), t.pairs, objective=ws.PerturbedRisk)),
    ("a perturbation as objective", "objective", lambda t: fit(good(), t.pairs, objective=ws.Gaussian())),
    ("a number as validation", "validation", lambda t: fit(good(), t.pairs, validation=3)),
    ("no validation", "validation", lambda t: fit(good(), t.pairs, keep="best")),
    ("empty validation", "validation", lambda t: fit(good(), t.pairs, keep="best", validation=[])),
]

EVALUATE = [
    ("an unbuilt model", "model", lambda t: evaluate(ws.SmallCNN(), t.pairs)),
    ("a class as model", "model", lambda t: evaluate(nn.Linear, t.pairs)),
    ("a model of inference tensors", "model: 1.weight", lambda t: evaluate(without_gradients(), t.pairs)),
    ("no model", "model", lambda t: evaluate(None, t.pairs)),
    ("a model without numbers", "model", lambda t: evaluate(good().to("meta"), t.pairs)),
    ("a number as model", "model", lambda t: evaluate(3, t.pairs)),
    ("no models", "model", lambda t: evaluate({}, t.pairs)),
    ("an array as model", "model", lambda t: evaluate(np.array(0), t.pairs)),
    ("a sparse matrix as model", "model", lambda t: evaluate(scipy.sparse.eye(20), t.pairs)),
    ("a table as conditions", "on", lambda t: evaluate(good(), t.pairs, on=pandas.DataFrame({"a": [1, 2]}))),
    ("an array as conditions", "on", lambda t: evaluate(good(), t.pairs, on=np.zeros(2))),
    ("a list without models", "model", lambda t: evaluate([], t.pairs)),
    ("a list of modules", "model", lambda t: evaluate([good()], t.pairs)),
    ("models without names", "model", lambda t: evaluate({1: good()}, t.pairs)),
    ("a path that is no run", "runs/none", lambda t: evaluate("runs/none")),
    ("no data", "data", lambda t: evaluate(good())),
    ("empty data", "data", lambda t: evaluate(good(), [])),
    ("data that fail", "row 0 has no file", lambda t: evaluate(good(), Fails())),
    ("data that fail later", "row 3 has no file", lambda t: evaluate(good(), FailsLater())),
    ("labels out of range", "labels", lambda t: evaluate(good(), pairs_of([0, 1, 7]))),
    ("modules without names", "need names", lambda t: evaluate([good(), good()], t.pairs)),
    ("a model of tuples", "model", lambda t: evaluate(Returns(lambda z: (z, z)), t.pairs)),
    ("a model of complex numbers", "model", lambda t: evaluate(Returns(lambda z: z * 1j), t.pairs)),
    ("a model that fails later", "layer 3 is missing", lambda t: evaluate(RaisesLater(), t.pairs)),
    ("a model of one batch size", "model", lambda t: evaluate(Returns(lambda z: z[:2]), t.pairs)),
    ("a function that fails", "no idea", lambda t: evaluate({"f": fails}, t.pairs)),
    ("a function of texts", "model", lambda t: evaluate({"f": lambda x: ["?"] * len(x)}, t.pairs)),
    ("a function of half", "model", lambda t: evaluate({"f": lambda x: np.ones((len(x) // 2, 3))}, t.pairs)),
    ("a number as condition", "on", lambda t: evaluate(good(), t.pairs, on=3)),
    ("no conditions", "on", lambda t: evaluate(good(), t.pairs, on=[])),
    ("an unknown condition", "on", lambda t: evaluate(good(), t.pairs, on="foggy")),
    ("a list of numbers as conditions", "on", lambda t: evaluate(good(), t.pairs, on=[3])),
    ("a severity of 9", "severities", lambda t: evaluate(good(), t.pairs, on="fog/9")),
    ("None among conditions", "on", lambda t: evaluate(good(), t.pairs, on=[None])),
    ("a module as condition", "on", lambda t: evaluate(good(), t.pairs, on=nn.Linear)),
    ("a radius without balls", "radius", lambda t: evaluate(good(), t.pairs, on="worst-case")),
    ("unknown frost", "frost", lambda t: evaluate(good(), t.pairs, frost="real")),
    ("unknown pixels", "pixels", lambda t: evaluate(good(), t.pairs, pixels=100)),
    ("text as pixels", "pixels", lambda t: evaluate(good(), t.pairs, pixels="32")),
    ("a number as folder", "keep", lambda t: evaluate(good(), t.pairs, keep=3)),
    ("a truth value as folder", "keep", lambda t: evaluate(good(), t.pairs, keep=True)),
    ("a negative seed", "seed", lambda t: evaluate(good(), t.pairs, seed=-1)),
    ("half a seed", "seed", lambda t: evaluate(good(), t.pairs, seed=1.5)),
    ("a seed beyond 64 bits", "seed", lambda t: evaluate(good(), t.pairs, seed=2**70)),
    ("an unknown device", "device", lambda t: ws.evaluate(good(), t.pairs, device="gpu")),
    ("a list as device", "device", lambda t: ws.evaluate(good(), t.pairs, device=["cpu"])),
    ("negative workers", "workers", lambda t: evaluate(good(), t.pairs, workers=-1)),
    ("a million workers", "workers", lambda t: evaluate(good(), t.pairs, workers=10**6)),
    ("half a batch", "batch_size", lambda t: evaluate(good(), t.pairs, batch_size=0.5)),
    ("a batch of none", "batch_size", lambda t: evaluate(good(), t.pairs, batch_size=0)),
    ("a batch of True", "batch_size", lambda t: evaluate(good(), t.pairs, batch_size=True)),
    ("text as surrogate", "surrogate", lambda t: evaluate(good(), t.pairs, surrogate="resnet18")),
    ("a surrogate without attacks", "surrogate", lambda t: evaluate(good(), t.pairs, surrogate=good())),
]


def fails(x):
    raise KeyError("no idea")


def attack(t, model=None, x=None, y=None, ball=None, **options):
    x, y = t.points[0] if x is None else x, t.points[1] if y is None else y
    return ws.attack(model or t.linear, x, y, t.ball if ball is None else ball, **({"device": "cpu"} | options))


ATTACK = [
    ("text as model", "model", lambda t: attack(t, "resnet18")),
    ("an unbuilt model", "model", lambda t: attack(t, ws.MLP())),
    ("a model of inference tensors", "model: 1.weight", lambda t: attack(t, without_gradients())),
    ("a model without numbers", "model", lambda t: attack(t, nn.Linear(12, 3, device="meta"))),
    ("a model of inference mode", "inference_mode", lambda t: attack(t, in_inference_mode(lambda: nn.Linear(12, 3)))),
    ("inputs without numbers", "attack: x", lambda t: attack(t, x=torch.zeros(4, 12, device="meta"))),
    ("a model of one output", "model", lambda t: attack(t, nn.Linear(12, 1))),
    ("a model that fails", "layer 3 is missing", lambda t: attack(t, Raises())),
    ("a model that fails later", "layer 3 is missing", lambda t: attack(t, RaisesLater())),
    ("a list as inputs", "x", lambda t: attack(t, x=[[0.0] * 12] * 4)),
    ("whole numbers as inputs", "attack: x must", lambda t: attack(t, x=torch.zeros(4, 12, dtype=torch.int64))),
    ("objects as inputs", "attack: x must", lambda t: attack(t, x=np.zeros((4, 12), object))),
    ("complex inputs", "attack: x must", lambda t: attack(t, x=np.zeros((4, 12), complex))),
    ("NaN inputs", "attack: x", lambda t: attack(t, x=torch.full((4, 12), torch.nan))),
    ("too few labels", "attack: y must", lambda t: attack(t, y=torch.tensor([0]))),
    ("labels of fractions", "y must be whole numbers", lambda t: attack(t, y=torch.tensor([0.0, 1.0, 2.0, 0.0]))),
    ("labels of text", "attack: y must", lambda t: attack(t, y=np.array(list("abca")))),
    ("one-hot labels", "attack: y must", lambda t: attack(t, y=torch.eye(3)[t.points[1]])),
    ("labels out of range", "y must be whole numbers", lambda t: attack(t, y=torch.tensor([0, 1, 2, 3]))),
    ("sparse inputs", "attack: x", lambda t: attack(t, x=t.points[0].to_sparse())),
    ("inputs without values", "attack: x", lambda t: attack(t, x=t.points[0].to("meta"))),
    ("nested inputs", "attack: x", lambda t: attack(t, x=nested(t.points[0]))),
    ("masked inputs", "attack: x", lambda t: attack(t, x=masked(t.points[0].numpy()))),
    ("sparse labels", "attack: y", lambda t: attack(t, y=t.points[1].to_sparse())),
    ("masked labels", "attack: y", lambda t: attack(t, y=masked(t.points[1].numpy()))),
    ("labels beyond 63 bits", "attack: y", lambda t: attack(t, y=np.full(4, 2**63, np.uint64))),
    ("a number as ball", "ball", lambda t: attack(t, ball=0.1)),
    ("a class as ball", "ball", lambda t: attack(t, ball=ws.Ball)),
    ("an unknown budget", "budget", lambda t: attack(t, budget="strong")),
    ("a tuple as space", "space", lambda t: attack(t, space=(12,))),
    ("a negative seed", "seed", lambda t: attack(t, seed=-1)),
    ("a truth value as seed", "seed", lambda t: attack(t, seed=False)),
    ("an unknown device", "device", lambda t: attack(t, device="gpu")),
    ("a batch of none", "batch_size", lambda t: attack(t, batch_size=0)),
]

IMAGES = [
    ("text as image", "image", lambda t: ws.corrupt("a.png", "fog")),
    ("None as image", "array", lambda t: ws.corrupt(None, "fog")),
    ("a wide image type", "uint8", lambda t: ws.corrupt(np.zeros((32, 32, 3), np.int32), "fog")),
    ("an image of objects", "uint8", lambda t: ws.corrupt(np.zeros((32, 32, 3), object), "fog")),
    ("five channels", "channels", lambda t: ws.corrupt(np.zeros((32, 32, 5), np.uint8), "fog")),
    ("an unknown corruption", "corruption", lambda t: ws.corrupt(t.rgb, "fogg")),
    ("a number as corruption", "corruption", lambda t: ws.corrupt(t.rgb, 3)),
    ("a list as corruption", "corruption", lambda t: ws.corrupt(t.rgb, ["fog"])),
    ("severity 6", "severity", lambda t: ws.corrupt(t.rgb, "fog", 6)),
    ("text as severity", "severity", lambda t: ws.corrupt(t.rgb, "fog", "3")),
    ("a severity above the highest", "severity", lambda t: ws.corrupt(t.rgb, "fog", 5.5)),
    ("a truth value as severity", "severity", lambda t: ws.corrupt(t.rgb, "fog", True)),
    ("a negative seed", "seed", lambda t: ws.corrupt(t.rgb, "fog", seed=-1)),
    ("half a seed", "seed", lambda t: ws.corrupt(t.rgb, "fog", seed=0.5)),
    ("unknown pixels", "pixels", lambda t: ws.corrupt(t.rgb, "fog", pixels=100)),
    ("an unknown subset", "subset", lambda t: ws.corruption_names("rain")),
    ("None as subset", "subset", lambda t: ws.corruption_names(None)),
    ("a list as subset", "subset", lambda t: ws.corruption_names(["noise"])),
    ("text to a transform", "image", lambda t: ws.Gaussian()("a.png")),
    ("floats beyond 1 to a transform", "[0, 1]", lambda t: ws.Gaussian()(images(3, 4, 4, value=2.0))),
    ("a transform with a negative seed", "seed", lambda t: ws.Gaussian()(t.rgb, seed=-1)),
    ("a transform with text as seed", "seed", lambda t: ws.Gaussian()(t.rgb, seed="1")),
    ("a transform with half an index", "index", lambda t: ws.Gaussian()(t.rgb, seed=1, index=0.5)),
    ("a transform with text as index", "index", lambda t: ws.Gaussian()(t.rgb, seed=1, index="a")),
    ("a transform with a negative index", "index", lambda t: ws.Gaussian()(t.rgb, seed=1, index=-1)),
    ("a transform with too many indices", "index", lambda t: ws.Gaussian()(t.rgb, seed=1, index=[0, 1])),
    ("a transform with a number as rng", "rng", lambda t: ws.Gaussian()(t.rgb, rng=3)),
    ("a transform with both sources", "rng", lambda t: ws.Gaussian()(t.rgb, seed=1, rng=ws.stream(0, "a"))),
    ("an attack as transform", "model", lambda t: ws.PGD()(t.rgb)),
    ("severity 6 of a corruption", "severity", lambda t: ws.Fog(severity=6)),
    ("a negative std", "std", lambda t: ws.Gaussian(std=-1.0)),
    ("NaN as std", "std", lambda t: ws.Gaussian(std=float("nan"))),
    ("text as std", "std", lambda t: ws.Gaussian(std="0.1")),
    ("no parts of a mixture", "parts", lambda t: ws.Mixture(parts=())),
    ("nothing to compose", "parts", lambda t: ws.Compose(parts=())),
    ("too few shares", "shares", lambda t: ws.Mixture(shares=(1.0,))),
    ("classes in a mixture", "parts", lambda t: ws.Mixture(parts=(ws.Gaussian,))),
    ("a negative radius", "radius", lambda t: ws.Ball("linf", -0.1)),
    ("NaN as radius", "radius", lambda t: ws.Ball("linf", float("nan"))),
    ("an infinite radius", "radius", lambda t: ws.Ball("linf", float("inf"))),
    ("an unknown norm", "norm", lambda t: ws.Ball("l3", 0.1)),
    ("a number as norm", "norm", lambda t: ws.Ball(2, 0.1)),
    ("an unknown unit", "unit", lambda t: ws.Ball("l2", 0.1, "pixels")),
    ("a number as ball", "ball", lambda t: ws.PGD(ball=0.1)),
    ("half a step", "steps", lambda t: ws.PGD(steps=1.5)),
    ("text as name of a stream", "seed", lambda t: ws.stream("a")),
    ("a negative seed of a stream", "seed", lambda t: ws.stream(-1, "a")),
    ("a tensor as name of a stream", "names", lambda t: ws.stream(0, torch.zeros(2))),
    ("an unknown device of a stream", "device", lambda t: ws.stream(0, "a", device="gpu")),
    ("an image of another package as text", "image", lambda t: imagenet_c.fog("a.png")),
    ("text as severity, as in another package", "severity", lambda t: imagenet_c.fog(t.rgb, "3")),
    ("severity 0 of a function of another package", "severity", lambda t: imagecorruptions.frost(t.rgb, 0)),
    ("severity 6 of a function of another package", "severity", lambda t: imagecorruptions.elastic_transform(t.rgb, 6)),
    ("severity 0, as in another package", "severity", lambda t: imagenet_c.corrupt(t.rgb, 0, "fog")),
    ("a list as severity, as in another package", "severity", lambda t: imagecorruptions.fog(t.rgb, [3])),
    ("an unknown subset, as in another package", "subset", lambda t: imagecorruptions.get_corruption_names("rain")),
]


def cls(**parameters):
    return ws.RobustClassifier(**({"objective": "regular", "epochs": 1, "device": "cpu"} | parameters))


def reg(**parameters):
    return ws.RobustRegressor(**({"objective": "regular", "epochs": 1, "device": "cpu"} | parameters))


def masked(values):
    """Return an array whose first value is missing, with a value beneath that would do."""
    return np.ma.masked_array(values, mask=np.arange(values.size).reshape(values.shape) == 0)


def nested(values):
    return torch.nested.nested_tensor(list(values), layout=torch.jagged)


def dated():
    return pandas.DataFrame({"when": pandas.date_range("2020", periods=30), "size": np.arange(30.0)})


ESTIMATORS = [
    ("one class", "class", lambda t: cls().fit(t.x, np.zeros(30))),
    ("a complex table", "X", lambda t: cls().fit(t.x * 1j, t.y)),
    ("masked cells", "X", lambda t: cls().fit(np.ma.masked_greater(t.x, 1), t.y)),
    ("masked labels", "y", lambda t: cls().fit(t.x, np.ma.masked_equal(t.y, 2))),
    ("masked targets", "y", lambda t: reg().fit(t.x, np.ma.masked_equal(t.y * 1.0, 2))),
    ("masked weights", "sample_weight", lambda t: cls().fit(t.x, t.y, np.ma.masked_equal(np.arange(30.0), 2))),
    ("a table with a gradient", "X", lambda t: cls().fit(torch.tensor(t.x, requires_grad=True), t.y)),
    ("a complex table of objects", "X", lambda t: cls().fit((t.x * 1j).astype(object), t.y)),
    ("a complex list", "X", lambda t: cls().fit((t.x * 1j).tolist(), t.y)),
    ("a complex column of a frame", "X", lambda t: cls().fit(pandas.DataFrame({"a": t.x[:, 0] * 1j}), t.y)),
    ("complex targets", "y", lambda t: reg().fit(t.x, t.y * 1j)),
    ("a datetime column", "when", lambda t: cls().fit(dated(), t.y)),
    ("a datetime array", "X", lambda t: cls().fit(dated()[["when"]].to_numpy(), t.y)),
    ("a datetime column of predictions", "X", lambda t: t.classifier.predict(dated()[["when"] * 4].to_numpy())),
    ("a text column", "X", lambda t: cls().fit(pandas.DataFrame({"a": ["x"] * 30}), t.y)),
    ("duplicate columns", "column", lambda t: cls().fit(pandas.DataFrame(t.x, columns=list("abca")), t.y)),
    ("a sparse table", "X", lambda t: cls().fit(scipy.sparse.csr_matrix(t.x), t.y)),
    ("a masked table", "X", lambda t: cls().fit(masked(t.x), t.y)),
    ("a masked table in predict", "X", lambda t: t.classifier.predict(masked(t.x))),
    ("masked labels in a score", "y", lambda t: t.classifier.robust_score(t.x, masked(t.y))),
    ("sparse weights", "sample_weight", lambda t: cls().fit(t.x, t.y, scipy.sparse.csr_matrix(np.ones((30, 1))))),
    ("a number beyond floats", "X", lambda t: cls().fit([[10**400]] * 30, t.y)),
    ("a tensor that needs gradients", "X", lambda t: cls().fit(torch.tensor(t.x).requires_grad_(), t.y)),
    ("a NaN in a table", "X", lambda t: cls().fit(np.where(t.x > 1, np.nan, t.x), t.y)),
    ("an infinity in a table", "X", lambda t: cls().fit(np.where(t.x > 1, np.inf, t.x), t.y)),
    ("a table of one axis", "array", lambda t: cls().fit(t.x[:, 0], t.y)),
    ("a table of three axes", "array", lambda t: cls().fit(t.x[:, :, None], t.y)),
    ("an empty table", "array", lambda t: cls().fit(t.x[:0], t.y[:0])),
    ("None as table", "array", lambda t: cls().fit(None, t.y)),
    ("None as labels", "y", lambda t: cls().fit(t.x, None)),
    ("labels of other length", "sample", lambda t: cls().fit(t.x, t.y[:7])),
    ("one-hot labels", "y", lambda t: cls().fit(t.x, np.eye(3)[t.y])),
    (
        "dates as labels to score",
        "y",
        lambda t: cls(epochs=1).fit(t.x, t.y).score(t.x, np.array(["2020"] * len(t.x), "M8[D]")),
    ),
    ("continuous labels", "label", lambda t: cls().fit(t.x, t.x[:, 0])),
    ("missing labels", "label", lambda t: cls().fit(t.x, np.array([None, 1, 2] * 10, object))),
    ("mixed labels", "label", lambda t: cls().fit(t.x, np.array(["a", 1, 2] * 10, object))),
    ("NaN labels", "y", lambda t: cls().fit(t.x, np.array([np.nan, 1, 2] * 10))),
    ("text as targets", "y", lambda t: reg().fit(t.x, ["a"] * 30)),
    ("datetime targets", "y", lambda t: reg().fit(t.x, np.array(["2020-01-01"] * 30, "datetime64[D]"))),
    ("NaN targets", "y", lambda t: reg().fit(t.x, np.full(30, np.nan))),
    ("weights of other length", "sample_weight", lambda t: cls().fit(t.x, t.y, np.ones(7))),
    ("negative weights", "sample_weight", lambda t: cls().fit(t.x, t.y, -np.ones(30))),
    ("NaN weights", "sample_weight", lambda t: cls().fit(t.x, t.y, np.full(30, np.nan))),
    ("text as weights", "sample_weight", lambda t: cls().fit(t.x, t.y, ["a"] * 30)),
    ("complex weights", "sample_weight", lambda t: cls().fit(t.x, t.y, np.ones(30) * 1j)),
    ("other features in predict", "features", lambda t: t.classifier.predict(t.x[:, :2])),
    ("a complex table in predict", "X", lambda t: t.classifier.predict(t.x * 1j)),
    ("text in predict", "X", lambda t: t.classifier.predict([["a"] * 4])),
    ("an unknown class in a score", "y", lambda t: t.classifier.robust_score(t.x, t.y + 7)),
    ("labels of other length in a score", "y", lambda t: t.classifier.robust_score(t.x, t.y[:3])),
    ("an unknown budget", "budget", lambda t: t.classifier.robust_score(t.x, t.y, budget="strong")),
    ("an unknown norm", "norm", lambda t: t.classifier.robust_score(t.x, t.y, norm="l3")),
    ("a negative radius", "radius", lambda t: t.classifier.robust_score(t.x, t.y, -0.1)),
    ("a frontier without a choice", "radius", lambda t: t.classifier.plot_frontier()),
    ("an unknown measure of a frontier", "measure", lambda t: t.chosen.plot_frontier(measure="best")),
    ("a number as axes", "ax", lambda t: t.chosen.plot_frontier(3)),
    ("unknown labels of a split", "y", lambda t: t.classifier.to_split(t.x, t.y + 7)),
    ("targets of other length", "y", lambda t: t.regressor.robust_score(t.x, t.y[:3])),
    ("complex targets in a score", "y", lambda t: t.regressor.robust_score(t.x, t.y * 1j)),
    ("NaN targets in a score", "y", lambda t: t.regressor.robust_score(t.x, np.full(30, np.nan))),
    ("an unknown objective", "objective", lambda t: cls(objective="robust").fit(t.x, t.y)),
    ("a class as objective", "objective", lambda t: cls(objective=ws.PerturbedRisk).fit(t.x, t.y)),
    ("a negative radius of training", "radius", lambda t: cls(radius=-1).fit(t.x, t.y)),
    ("too many radii", "radius", lambda t: cls(radius=[0.1] * 9).fit(t.x, t.y)),
    ("an unknown norm of training", "norm", lambda t: cls(norm="l3").fit(t.x, t.y)),
    ("an unknown unit", "unit", lambda t: cls(unit="cm").fit(t.x, t.y)),
    ("no epochs", "epochs", lambda t: cls(epochs=0).fit(t.x, t.y)),
    ("half an epoch", "epochs", lambda t: cls(epochs=0.5).fit(t.x, t.y)),
    ("a negative batch", "batch_size", lambda t: cls(batch_size=-3).fit(t.x, t.y)),
    ("text as learning rate", "lr", lambda t: cls(lr="fast").fit(t.x, t.y)),
    ("a truth value as learning rate", "lr", lambda t: cls(lr=True).fit(t.x, t.y)),
    ("NaN as temperature", "temperature", lambda t: cls(temperature=float("nan")).fit(t.x, t.y)),
    ("a truth value as temperature", "temperature", lambda t: cls(temperature=True).fit(t.x, t.y)),
    ("hidden layers of none", "hidden", lambda t: cls(hidden=(0,)).fit(t.x, t.y)),
    ("None as hidden layers", "hidden", lambda t: cls(hidden=None).fit(t.x, t.y)),
    ("an unknown device", "device", lambda t: cls(device="gpu").fit(t.x, t.y)),
    ("a number as device", "device", lambda t: cls(device=3).fit(t.x, t.y)),
    ("a negative seed", "random_state", lambda t: cls(random_state=-1).fit(t.x, t.y)),
    ("half a seed", "random_state", lambda t: cls(random_state=1.5).fit(t.x, t.y)),
    ("a truth value as seed", "random_state", lambda t: cls(random_state=True).fit(t.x, t.y)),
    ("a seed beyond 64 bits", "random_state", lambda t: cls(random_state=2**70).fit(t.x, t.y)),
    ("text as verbose", "verbose", lambda t: cls(verbose="yes").fit(t.x, t.y)),
    ("half of the rows", "calibrate", lambda t: cls(calibrate=0.7).fit(t.x, t.y)),
    ("a share beyond floats", "calibrate", lambda t: cls(calibrate=10**400).fit(t.x, t.y)),
    ("a limit beyond floats", "limits", lambda t: cls(radius=0.1, limits={"x0": (0, 10**400)}).fit(t.x, t.y)),
    ("a truth value as share", "calibrate", lambda t: cls(calibrate=True).fit(t.x, t.y)),
    ("unknown class weights", "class_weight", lambda t: cls(class_weight="equal").fit(t.x, t.y)),
    ("negative class weights", "class_weight", lambda t: cls(class_weight={0: -1.0}).fit(t.x, t.y)),
    ("weights by text", "class_weight", lambda t: cls(class_weight={0: "a"}).fit(t.x, t.y)),
    ("a choice without noise", "deployment_noise", lambda t: cls(objective="noise", radius="cv").fit(t.x, t.y)),
    ("text as cv", "cv", lambda t: cls(objective="noise", radius="cv", deployment_noise=0.1, cv="x").fit(t.x, t.y)),
    ("one fold", "cv", lambda t: cls(objective="noise", radius="cv", deployment_noise=0.1, cv=1).fit(t.x, t.y)),
    (
        "more folds than rows",
        "cv",
        lambda t: cls(objective="noise", radius="cv", deployment_noise=0.1, cv=99).fit(t.x, t.y),
    ),
    ("no radii", "radii", lambda t: cls(objective="noise", radius="cv", deployment_noise=0.1, radii=()).fit(t.x, t.y)),
]

# (argument, call with a path)
PLACES = [
    ("keep", lambda t, path: evaluate(good(), t.pairs, keep=path)),
    ("evaluate", lambda t, path: ws.evaluate(path, device="cpu")),
    ("path", lambda t, path: t.results.to_csv(path)),
    ("path", lambda t, path: t.results.to_samples(path)),
    ("path", lambda t, path: t.results.report(path)),
    ("folder", lambda t, path: ws.Study.of(path)),
    ("folder", lambda t, path: ws.OutcomeTable.read(path)),
    ("root", lambda t, path: ws.run(ws.Experiment(), path)),
    ("root", lambda t, path: ws.Experiment().folder(path)),
]

UNFITTED = [
    ("predict", lambda t: cls().predict(t.x)),
    ("predict_proba", lambda t: cls().predict_proba(t.x)),
    ("predict_log_proba", lambda t: cls().predict_log_proba(t.x)),
    ("score", lambda t: cls().score(t.x, t.y)),
    ("robust_score", lambda t: cls().robust_score(t.x, t.y)),
    ("to_split", lambda t: cls().to_split(t.x, t.y)),
    ("plot_frontier", lambda t: cls().plot_frontier()),
    ("predict of a regressor", lambda t: reg().predict(t.x)),
    ("robust_score of a regressor", lambda t: reg().robust_score(t.x, t.y)),
]


FRAME = polars.DataFrame({name: [None] for name in OWN})


def _taken(take, frame, more, t):
    return take(frame, *more)


RESULTS = [
    ("no tables", "model", lambda t: ws.Results({})),
    ("a list of tables", "tables", lambda t: ws.Results([t.table])),
    ("numbers as tables", "tables", lambda t: ws.Results({"a": 3})),
    ("an unknown measure", "measure", lambda t: t.results.tables("top9")),
    ("a number as measure", "measure", lambda t: t.results.tables(3)),
    ("text as each_severity", "each_severity", lambda t: t.results.tables(each_severity="yes")),
    ("a list as measure", "measure", lambda t: t.results.to_markdown(["top1"])),
    ("a number as file", "path", lambda t: t.results.to_csv(3)),
    ("None as file", "path", lambda t: t.results.to_csv(None)),
    ("a number as file of samples", "path", lambda t: t.results.to_samples(3)),
    ("a number as folder of a report", "path", lambda t: t.results.report(3)),
    ("an unknown baseline", "baseline", lambda t: t.results.compare("other")),
    ("a number as baseline", "baseline", lambda t: t.results.compare(3)),
    ("an unknown column", "column", lambda t: t.results.by("colour")),
    ("a number as column", "column", lambda t: t.results.by(3)),
    ("an unknown measure of groups", "measure", lambda t: t.results.by(measure="top9")),
    ("an unknown condition of groups", "condition", lambda t: t.results.by(condition="fog")),
    ("a dictionary as frame", "frame", lambda t: t.results.by("a", frame={"a": [1]})),
    ("a frame of pandas", "frame", lambda t: t.results.by("a", frame=pandas.DataFrame({"a": [1], "number": [0]}))),
    ("a number as folder of a study", "folder", lambda t: ws.Study.of(3)),
    ("a missing folder of a study", "nowhere", lambda t: ws.Study.of("nowhere")),
    ("a list as results of a study", "results", lambda t: ws.Study.of_results([t.results])),
    ("text as labels of a study", "labels", lambda t: t.study.led_by("a")),
    ("an unknown label of a study", "labels", lambda t: t.study.led_by({"colour": 1})),
    ("a number as run of a study", "run", lambda t: t.study.table_of(3)),
    ("an unknown condition of a table", "condition", lambda t: t.table.frame("fog")),
    ("a number as condition of a table", "condition", lambda t: t.table.of(3)),
    ("text as conditions of a table", "conditions", lambda t: t.table.only("clean")),
    ("text as folder of a table", "nowhere", lambda t: ws.OutcomeTable.read("nowhere")),
    ("a number as folder of a table", "folder", lambda t: ws.OutcomeTable.read(3)),
    ("text as rows", "rows", lambda t: ws.corruption_errors("top1")),
    ("numbers as rows", "rows", lambda t: ws.corruption_errors([1, 2])),
    ("a number as rows", "rows", lambda t: ws.corruption_errors(3)),
    ("an unknown accuracy", "measure", lambda t: ws.corruption_errors([], measure="top9")),
    ("unknown files", "saved", lambda t: ws.corruption_errors([], saved="png")),
    ("an unknown corruption in errors", "fogg", lambda t: ws.CorruptionErrors(errors={"fogg": 0.5})),
    ("text in errors", "errors", lambda t: ws.CorruptionErrors(errors={"fog": "0.5"})),
    ("a list as errors", "errors", lambda t: ws.CorruptionErrors(errors=[0.5])),
    ("a measure without name", "name", lambda t: ws.Measure(name="", column="correct")),
    ("an unknown direction", "better", lambda t: ws.Measure(name="a", column="a", better="up")),
    ("an unknown reduction", "reduction", lambda t: ws.Measure(name="a", column="a", reduction="sum")),
    ("scores as a list", "scores", lambda t: mpc([1, 2])),
    ("a missing score", "fog/2", lambda t: mpc({"fog": {1: 1.0}}, severities=(1, 2))),
    ("text as score", "score", lambda t: mpc({"fog": {1: "high"}}, severities=(1,))),
    ("NaN as clean score", "clean", lambda t: mpc({"fog": {1: 1.0}}, clean=float("nan"), severities=(1,))),
    ("a number as corruptions", "corruptions", lambda t: mpc({"fog": {1: 1.0}}, corruptions=3, severities=(1,))),
    ("text as corruptions", "corruptions", lambda t: mpc({"fog": {1: 1.0}}, corruptions="fog", severities=(1,))),
    ("a number as severities", "severities", lambda t: mpc({"fog": {1: 1.0}}, severities=1)),
    ("no severities", "severities", lambda t: mpc({"fog": {1: 1.0}}, severities=())),
    ("no corruptions", "corruptions", lambda t: mpc({"fog": {1: 1.0}}, corruptions=(), severities=(1,))),
    ("text as score of a cell", "fog/1:", lambda t: mpc({("fog", 1): "high"}, severities=(1,))),
    ("a number as folder of results", "read: folder", lambda t: read(3)),
    *(
        (f"{kind} of {take.__name__}", f"{take.__name__}: frame", partial(_taken, take, frame, more))
        for take, more in ((aggregate, ()), (paired, ({"method": "plain"},)))
        for kind, frame in (("a folder", "runs"), ("nothing", None), ("another frame", polars.DataFrame({"seed": [0]})))
    ),
    ("a quantile in percent", "quantiles", lambda t: aggregate(FRAME, quantiles=(10, 50))),
    ("one quantile without a list", "quantiles", lambda t: aggregate(FRAME, quantiles=0.5)),
    ("text as baseline", "baseline", lambda t: paired(FRAME, "plain")),
    ("a baseline without axes", "baseline must name axes", lambda t: paired(FRAME, {"method": "plain"})),
]

CONFIGURATIONS = [
    ("text as shape", "shape", lambda t: ws.MLP().build("4", 3, seed=0)),
    ("a number as shape", "shape", lambda t: ws.MLP().build(4, 3, seed=0)),
    ("a negative shape", "shape", lambda t: ws.MLP().build((-4,), 3, seed=0)),
    ("half a class", "num_classes", lambda t: ws.MLP().build((4,), 2.5, seed=0)),
    ("no classes", "num_classes", lambda t: ws.MLP().build((4,), 0, seed=0)),
    ("a negative seed of a network", "seed", lambda t: ws.MLP().build((4,), 3, seed=-1)),
    ("half a seed of a network", "seed", lambda t: ws.MLP().build((4,), 3, seed=0.5)),
    ("a seed of a network beyond 64 bits", "seed", lambda t: ws.MLP().build((4,), 3, seed=2**70)),
    ("a shape of a table for images", "shape", lambda t: ws.SmallCNN().build((4,), 3, seed=0)),
    ("text as hidden layers", "hidden", lambda t: ws.MLP(hidden="100")),
    ("an unknown part", "part", lambda t: ws.Digits().load("tests")),
    ("a number as part", "part", lambda t: ws.Digits().load(0)),
    ("no model to wrap", "model", lambda t: ws.BlackBox(None)),
    ("a number as model to wrap", "model", lambda t: ws.BlackBox(3)),
    ("text as classes", "classes", lambda t: ws.BlackBox(np.exp, "abc")),
    ("a number as classes", "classes", lambda t: ws.BlackBox(np.exp, 3)),
    ("an unknown type", "dtype", lambda t: ws.BlackBox(np.exp, dtype="int8")),
    ("a dictionary as data", "data", lambda t: ws.Experiment(data={"kind": "digits"})),
    ("a function as network", "model", lambda t: ws.Experiment(model=lambda x: x)),
    ("a class as network", "model", lambda t: ws.Experiment(model=ws.SmallCNN)),
    ("no evaluations", "evaluations", lambda t: ws.Experiment(evaluations=())),
    ("one evaluation without a list", "evaluations", lambda t: ws.Experiment(evaluations=ws.Accuracy())),
    ("a negative seed of a run", "seed", lambda t: ws.Experiment(seed=-1)),
    ("a seed of a run beyond 64 bits", "seed", lambda t: ws.Experiment(seed=2**70)),
    ("a number as weights", "weights", lambda t: ws.Experiment(weights=3)),
    ("a path as name", "name", lambda t: ws.Experiment(name="a/b")),
    ("text as root", "root", lambda t: ws.run(ws.Experiment(), 3)),
    ("a dictionary as experiment", "experiment", lambda t: ws.run({"data": "digits"}, "runs")),
    ("text as engine", "engine", lambda t: ws.run(ws.Experiment(), "runs", engine="cuda")),
    ("text as say", "say", lambda t: ws.run(ws.Experiment(), "runs", say="loud")),
    ("a number as root of a folder", "root", lambda t: ws.Experiment().folder(3)),
    ("a negative batch of training", "batch_size", lambda t: ws.Training(batch_size=-3)),
    ("a decay of 1", "ema_decay", lambda t: ws.Training(ema_decay=1.0)),
    ("two averages", "swa_start", lambda t: ws.Training(ema_decay=0.9, swa_start=0.5)),
    ("an average after the end", "swa_start", lambda t: ws.Training(swa_start=1.0)),
    ("unknown weights to keep", "keep", lambda t: ws.Training(keep="all")),
    ("a negative learning rate", "lr", lambda t: ws.SGD(lr=-0.1)),
    ("text as device of an engine", "device", lambda t: ws.Engine(device="cpu")),
    ("negative workers of an engine", "num_workers", lambda t: ws.Engine(num_workers=-1)),
    ("a batch of none of an engine", "batch_size", lambda t: ws.Engine(batch_size=0)),
    ("a million workers of an engine", "num_workers", lambda t: ws.Engine(num_workers=10**6)),
    ("negative workers of a started engine", "num_workers", lambda t: ws.Engine.start(num_workers=-1)),
    ("a number as shape of a space", "shape", lambda t: ws.Space(shape=4)),
    ("a box of one", "box", lambda t: ws.Space(shape=(4,), box=(1.0,))),
    ("a box upside down", "box", lambda t: ws.Space(shape=(4,), box=(1.0, 0.0))),
    ("a list as inputs of a space", "x", lambda t: ws.Space.like([[1.0]])),
    ("rows beyond a split", "rows", lambda t: t.split.select([99])),
    ("negative rows of a split", "rows", lambda t: t.split.select([-1])),
    ("half rows of a split", "rows", lambda t: t.split.select([0.5])),
    ("text as rows of a split", "rows", lambda t: t.split.select("all")),
    ("a mask of other length", "rows", lambda t: t.split.select(torch.tensor([True, False]))),
    ("perturbations without a list", "perturbations", lambda t: ws.Accuracy(perturbations=ws.Gaussian())),
    ("no draws", "num_draws", lambda t: ws.Accuracy(num_draws=0)),
    ("no balls", "balls", lambda t: ws.WorstCase(balls=())),
    ("an unknown budget", "budget", lambda t: ws.WorstCase(budget="strong")),
    ("a class as perturbation", "perturbation", lambda t: ws.PerturbedRisk(perturbation=ws.Gaussian)),
    ("text as model to measure", "model", lambda t: ws.Accuracy().measure("a", t.split, seed=0, engine=ws.Engine())),
    (
        "a list as split to measure",
        "split",
        lambda t: ws.Accuracy().measure(good(), t.pairs, seed=0, engine=ws.Engine()),
    ),
    (
        "a negative seed to measure",
        "seed",
        lambda t: ws.Accuracy().measure(good(), t.split, seed=-1, engine=ws.Engine()),
    ),
    ("a number as question", "on", lambda t: ws.Question.of(t.pairs, 3)),
    ("no conditions of a question", "on", lambda t: ws.Question.of(t.pairs, ())),
    ("no evaluations of a question", "evaluations", lambda t: ws.Question.of_evaluations(t.split, [], data="a")),
    ("text as balls of a question", "balls", lambda t: ws.Question.of(t.pairs, "worst-case", balls="linf")),
    ("an unknown budget of a question", "budget", lambda t: ws.Question.of(t.pairs, budget="strong")),
    (
        "a list as split of a question",
        "split",
        lambda t: ws.Question.of_evaluations(t.pairs, [ws.Accuracy()], data="a"),
    ),
    ("words as evaluations", "evaluations", lambda t: ws.Question.of_evaluations(t.split, ["clean"], data="a")),
]

CALLS = {
    "fit": FIT,
    "evaluate": EVALUATE,
    "attack": ATTACK,
    "images": IMAGES,
    "estimators": ESTIMATORS,
    "results": RESULTS,
    "configurations": CONFIGURATIONS,
}


# Methods that the package calls itself, often in loops, with arguments that are already checked.
INNER = frozenset(
    "search within attack draw check only adapted outcomes prepare conclude remarks make init begin_epoch step mix "
    "project sample uphill ascend distance options radii of_rows name_classes forward set_extra_state refuse_gradient "
    "corrupt corrupt_levels draw_levels published verdict after_warmup factor share samples_per_batch first "
    "seed_global_generators copy_first added numbers cells scaled written condition_of train_generator places "
    "augment at reduce losses map clip hold batches count reacts_to points mean_over applies_to chosen put wrong replaced repaired trained between further".split()
)
OF_FAMILIES = {(ws.Dataset, "load"), (Optimizer, "build")}  # implemented by every class, tested with its family
BUILT_INSIDE = {"OutcomeTable", "Question", "Row", "Study"}  # dataclasses that only the package makes


def calls():
    for group, own in CALLS.items():
        for name, word, call in own:
            kind = ValueError if group == "estimators" else ws.InputError
            yield pytest.param(kind, word, call, id=f"{group}: {name}")


@pytest.mark.parametrize(("kind", "word", "call"), list(calls()))
def test_a_wrong_call_is_refused_in_one_line_that_names_the_argument(t, kind, word, call):
    with pytest.raises(kind, match=rf"(?<!\w){re.escape(word)}s?(?!\w)"):
        call(t)


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "a\ud800"], ids=["NUL", "long", "half a character"])
@pytest.mark.parametrize(("word", "call"), PLACES)
def test_a_path_that_cannot_be_is_refused_in_one_line_that_names_the_argument(
    t, word, call, path, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ws.InputError, match=word) as caught:
        call(t, path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in UNFITTED])
def test_an_estimator_that_is_not_fitted_says_so(t, call):
    with pytest.raises(NotFittedError):
        call(t)


def test_there_are_two_hundred_wrong_calls_with_names_of_their_own():
    names = [each.id for each in calls()]
    assert len(set(names)) == len(names) >= 200


def doors():
    """Yield every public function and method that takes arguments of a stated type."""
    for public in (getattr(place, name) for place in (ws, ws.tables) for name in place.__all__):
        name = f"{public.__module__}.{public.__name__}"
        if inspect.isfunction(public):
            yield pytest.param(public, id=name)
            continue
        for method, found in inspect.getmembers(public, inspect.isroutine):
            function = getattr(found, "__func__", found)
            own = getattr(function, "__module__", None) or ""
            is_door = method == "__call__" or (method == "__init__" and not is_dataclass(public)) or method[0] != "_"
            if not is_door or not own.startswith("withstand.") or not inspect.isfunction(function):
                continue
            stated = [each.annotation for each in list(inspect.signature(function).parameters.values())[1:]]
            is_of_family = any(issubclass(public, family) and method == each for family, each in OF_FAMILIES)
            if method in INNER or is_of_family or issubclass(public, Exception):
                continue
            if any(each is not Any and not isinstance(each, str) for each in stated):
                yield pytest.param(function, id=f"{name}.{method}")


@pytest.mark.parametrize("function", list(doors()))
def test_every_public_function_checks_every_argument_of_a_stated_type(function):
    for name, check in function.checks.items():
        hint = inspect.signature(function).parameters[name].annotation
        if hint in (inspect.Parameter.empty, Any) or isinstance(hint, str):
            continue
        refusal = check(object())
        assert refusal is not None, name
        assert refusal.expected


def records():
    """Yield every public dataclass that is no member of a family, its required fields, and the name of each field."""
    required = {
        "CorruptionErrors": {"errors": {}},
        "Measure": {"name": "a", "column": "a"},
        "Space": {"shape": (4,)},
    }
    for name in ws.__all__:
        cls = getattr(ws, name)
        if is_dataclass(cls) and not issubclass(cls, Configuration | BaseEstimator) and name not in BUILT_INSIDE:
            for field in fields(cls):
                yield pytest.param(cls, required.get(name, {}), field.name, id=f"{name}.{field.name}")


@pytest.mark.parametrize(("cls", "required", "field"), list(records()))
def test_every_public_record_checks_every_field(cls, required, field):
    with pytest.raises(ws.InputError, match=f"{cls.__name__}: {field} must be "):
        cls(**{field: object(), **{name: value for name, value in required.items() if name != field}})
