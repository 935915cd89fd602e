"""BlackBox: probabilities and labels as logits, refusals."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import RidgeClassifier
from torch import nn

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import stream
from withstand.models.wrappers.black_box import BlackBox, as_module, is_differentiable
from withstand.perturbations.attacks.apgd import APGD
from withstand.perturbations.attacks.pgd import PGD
from withstand.subjects import hash_of

SEED = np.random.default_rng(0)
X = SEED.normal(size=(90, 3)).astype(np.float32)
Y = np.arange(90) % 3
X[:, 0] += Y
NAMES = ("ant", "bee", "cat")


def forest(x=X, y=Y) -> RandomForestClassifier:
    return RandomForestClassifier(5, max_depth=3, random_state=0).fit(x, y)


def test_logits_are_logarithms_of_probabilities():
    model = forest()
    logits = BlackBox(model)(torch.tensor(X))
    expected = np.log(np.maximum(model.predict_proba(X), 1e-12))
    assert np.allclose(logits.numpy(), expected)


def test_labels_are_votes():
    model = RidgeClassifier().fit(X, Y)
    logits = BlackBox(model)(torch.tensor(X))
    assert torch.equal(logits.sum(1), torch.ones(90))
    assert (logits.argmax(1).numpy() == model.predict(X)).all()


def test_classes_are_found_by_name_or_number_and_unknown_ones_get_the_least_probability():
    by_number, by_name = forest(), forest(y=np.array(NAMES)[Y])
    x = torch.tensor(X)
    assert torch.equal(BlackBox(by_number, NAMES)(x), BlackBox(by_name, NAMES)(x))
    turned = BlackBox(by_name, ("cat", "ant", "dog", "bee"))(x)
    assert torch.equal(turned[:, [1, 3, 0]], BlackBox(by_name, NAMES)(x))
    assert (turned[:, 2] < -27).all()
    with pytest.raises(InputError, match="'ant'"):
        BlackBox(by_name, ("dog", "bee", "cat"))


def test_functions_get_images_as_they_are_and_forests_get_rows():
    shapes = []

    def predict(x: np.ndarray) -> np.ndarray:
        shapes.append((x.shape, x.dtype))
        return np.zeros(len(x), dtype=int)

    images = torch.zeros(2, 1, 1, 3)
    assert BlackBox(predict, NAMES, dtype="float64")(images).tolist() == [[1, 0, 0]] * 2
    assert shapes == [((2, 1, 1, 3), np.float64)]
    assert BlackBox(forest())(images).shape == (2, 3)


@pytest.mark.parametrize(
    ("model", "classes", "shape"),
    [
        (forest(), None, (2, 4)),
        (lambda x: np.ones((len(x), 2)), NAMES, (2, 3)),
        (lambda x: np.ones((1, 3)), NAMES, (2, 3)),
        (lambda x: np.ones(len(x)), None, (2, 3)),
        (lambda x: np.full(len(x), 7), NAMES, (2, 3)),
        (lambda x: np.ones((len(x), 3, 1)), NAMES, (2, 3)),
    ],
)
def test_wrong_shapes_and_labels_are_refused(model, classes, shape):
    with pytest.raises(InputError):
        BlackBox(model, classes)(torch.zeros(shape))


@pytest.mark.parametrize("model", [7, nn.Linear(2, 2), RandomForestClassifier])
def test_what_does_not_predict_is_refused(model):
    with pytest.raises(InputError, match="predict"):
        BlackBox(model)


@pytest.mark.parametrize("attack", [APGD(steps=2), PGD(steps=2)])
def test_attacks_that_need_gradients_refuse_it(attack):
    x, y, model = torch.tensor(X), torch.tensor(Y), nn.Sequential(BlackBox(forest()))
    assert not is_differentiable(model)
    with pytest.raises(InputError, match="gradients"):
        attack.draw(x, y, model, space=Space.like(x), num_draws=1, rng=stream(0, "x"))


def test_models_are_told_apart_by_what_they_learnt():
    same, other = hash_of(BlackBox(forest())), hash_of(BlackBox(forest(y=Y[::-1].copy())))
    assert hash_of(BlackBox(forest())) == same != other


def test_classes_in_another_order_than_the_data_are_refused():
    model = BlackBox(lambda x: np.where(x[:, 0] > 0, "yes", "no"), ("yes", "no"))
    with pytest.raises(InputError, match=r"in the order of the data \(no, yes\), got yes, no"):
        as_module(model, ("no", "yes"), who="model")
    assert as_module(model, ("yes", "no"), who="model") is model
