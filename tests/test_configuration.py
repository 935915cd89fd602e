import abc
from dataclasses import dataclass
from pathlib import Path

import pytest

from withstand.configuration import check_final, discover, identity, to_plain
from withstand.data.base import Dataset
from withstand.errors import InputError
from withstand.models.base import Model
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Corruption, Perturbation
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.uniform import Uniform
from withstand.training.optimizers import Optimizer


def test_a_family_is_found_in_order_and_without_abstract_classes():
    names = [cls.__name__ for cls in discover(Perturbation)]
    assert names == sorted(names)
    assert {"Gaussian", "Identity", "Mixture", "Speckle", "Uniform", "UniformNoise"} <= set(names)
    assert Corruption not in discover(Perturbation)
    assert [cls.__name__ for cls in discover(Optimizer)] == ["Adam", "AdamW", "SGD"]
    assert {"Digits", "Mnist"} <= {cls.__name__ for cls in discover(Dataset)}
    assert {"External", "InMemory", "MLP", "Released", "SmallCNN", "Vision", "WideResNet"} == {
        cls.__name__ for cls in discover(Model)
    }


def test_classes_of_other_packages_are_not_found():
    class Own(Perturbation):
        def draw(self, x, y, model, *, num_draws, rng):
            raise NotImplementedError

        @classmethod
        def examples(cls):
            return []

    assert Own not in discover(Perturbation)
    with pytest.raises(TypeError, match=r"^Sub subclasses Own, which is concrete"):
        type("Sub", (Own,), {})


def test_abstract_classes_may_be_subclassed():
    class Family(abc.ABC):
        @abc.abstractmethod
        def act(self): ...

    class Branch(Family):
        @abc.abstractmethod
        def more(self): ...

    class Leaf(Branch):
        def act(self): ...

        def more(self): ...

    check_final(Leaf)
    with pytest.raises(TypeError, match="Hold it in a field instead"):
        check_final(type("Twig", (Leaf,), {}))


def test_the_plain_form_says_the_class_of_members_of_a_family_only():
    assert to_plain(Uniform(ball=Ball("l2", (0.5, 1.0)))) == {
        "class_path": "withstand.perturbations.uniform.Uniform",
        "init_args": {"ball": {"norm": "l2", "radius": [0.5, 1], "unit": "std"}},
    }
    assert to_plain(((1, 2.5), None, True, {"a": Path("b/c")})) == [[1, 2.5], None, True, {"a": "b/c"}]


def test_what_has_no_plain_form_is_refused():
    sentence = "configuration: a field must be a number, text, list or configuration, got set."
    with pytest.raises(InputError) as caught:
        to_plain({"a": {1}})
    assert str(caught.value) == sentence


def test_identities_are_the_same_in_every_version():
    # Folders of finished runs are named by them: a change here orphans every run there is.
    assert identity(Gaussian(std=0.5)) == "9c70ff808a7accd5"
    assert identity(Uniform()) == "f28485e9ee7e3eae"


def test_identities_tell_classes_with_equal_fields_apart():
    @dataclass(frozen=True, kw_only=True)
    class Other(abc.ABC):  # noqa: B024
        std: float = 0.5

    assert identity(Other()) != identity(Gaussian())
    assert identity((1, 2)) == identity([1, 2]) != identity([2, 1])
