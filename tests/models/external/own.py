"""A file as a user has it: networks, and a forest, for the handwritten digits."""

from copy import deepcopy
from functools import cache

import numpy as np
import torch
from torch import nn

import withstand as ws


class Net(nn.Module):
    def __init__(self, width=4, num_classes=10):
        super().__init__()
        self.features = nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(3, width, 3), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(36 * width, num_classes)

    def forward(self, x):
        return self.head(self.features(x))


class Sized(nn.Module):
    def __init__(self, shape, num_classes):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), num_classes))

    def forward(self, x):
        return self.net(x)


class Outputs(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.net = kind, trained()

    def forward(self, x):
        logits, features = self.net(x), self.net.features(x)
        if self.kind == "tuple":
            return logits, features
        if self.kind == "second":
            return features, logits
        return {"features": features, self.kind: logits}


class OneLogit(nn.Module):
    def __init__(self, flat=False):
        super().__init__()
        self.flat = flat

    def forward(self, x):
        z = 8 * (x.flatten(1).mean(1) - 0.2)
        return z if self.flat else z[:, None]


def trained():
    return deepcopy(fitted())


@cache
def fitted():
    torch.manual_seed(0)
    model = Net()
    return ws.fit(model, ws.Digits(), epochs=2, batch_size=32, optimizer=ws.Adam(lr=0.01), device="cpu")


class SmallForest:
    """A forest on 8 x 8 pixels, as an object with `predict_proba`."""

    def __init__(self):
        from sklearn.ensemble import RandomForestClassifier

        split = ws.Digits().load("train")
        self.forest = RandomForestClassifier(10, max_depth=6, random_state=0)
        self.forest.fit(self.reduced(split.x.numpy() / 255), split.y.numpy())
        self.classes_ = self.forest.classes_

    @staticmethod
    def reduced(x):
        return x.mean(1).reshape(-1, 8, 4, 8, 4).mean((2, 4)).reshape(-1, 64)

    def predict_proba(self, x):
        return self.forest.predict_proba(self.reduced(x))


def leaves():
    raise SystemExit("no weights")


def broken():
    raise RuntimeError("weights are missing\nsecond line")


def nothing():
    return 3


def rule(x):
    return np.where(x.mean((1, 2, 3)) > 0.5, "1", "0")


def made_rule():
    return rule


class OnlyLabels:
    def predict(self, x):
        return (x.mean((1, 2, 3)) > 0.5).astype(int)


def labels():
    return OnlyLabels()
