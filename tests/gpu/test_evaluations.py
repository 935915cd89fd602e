"""Evaluations on another device: outcomes are near those of the CPU."""

from copy import deepcopy

import pytest
import torch

from withstand.configuration import discover
from withstand.engine import Engine
from withstand.evaluation.base import Evaluation
from withstand.evaluation.certificate import Certificate
from withstand.evaluation.minimal_norm import MinimalNorm
from withstand.evaluation.randomized_smoothing import RandomizedSmoothing
from withstand.evaluation.sandwich import Sandwich

LONG = (Certificate, MinimalNorm, RandomizedSmoothing, Sandwich)
EXAMPLES = [
    pytest.param(each, id=f"{cls.__name__}-{number}", marks=pytest.mark.slow if number or cls in LONG else ())
    for cls in discover(Evaluation)
    for number, each in enumerate(cls.examples())
]


@pytest.mark.parametrize("evaluation", EXAMPLES)
def test_outcomes_are_those_of_the_cpu(evaluation, tiny_model, tiny_split, place):
    expected = evaluation.measure(tiny_model, tiny_split, seed=0, engine=Engine(batch_size=10))
    with place.equal_draws():
        model = deepcopy(tiny_model).to(place.device)
        found = evaluation.measure(model, tiny_split, seed=0, engine=Engine(device=place.device, batch_size=10))
    assert torch.equal(found.number, expected.number)
    assert found.columns.keys() == expected.columns.keys()
    for condition, columns in found.columns.items():
        for name, values in columns.items():
            other = expected.columns[condition][name]
            assert values.device.type == "cpu"
            near = torch.isclose(values.double(), other.double(), rtol=1e-3, atol=1e-4)
            assert near.float().mean() >= 0.9, (condition, name)
