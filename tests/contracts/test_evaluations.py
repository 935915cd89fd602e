"""What every evaluation promises."""

import math
from collections import defaultdict

import pytest
import torch
from torch import nn

from withstand.configuration import discover
from withstand.engine import Engine
from withstand.evaluation.base import Evaluation
from withstand.perturbations.settle import within

EXAMPLES = [
    pytest.param(within(example, (0.0, 1.0)), id=f"{cls.__name__}-{number}")
    for cls in discover(Evaluation)
    for number, example in enumerate(cls.examples())
]
ADDITIVE = [each for each in EXAMPLES if each.values[0].additive]
additive_evaluation = pytest.mark.parametrize("evaluation", ADDITIVE)
every_evaluation = pytest.mark.parametrize("evaluation", EXAMPLES)


def totals(rows):
    found = defaultdict(lambda: (0.0, 0))
    for row in rows:
        total, count = found[row.measure, row.condition]
        found[row.measure, row.condition] = total + row.total, count + row.count
    return dict(found)


@pytest.fixture
def model():
    """A model with everything that a measurement could change."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = nn.Sequential(
            nn.Flatten(), nn.Linear(192, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3)
        )
    model[2].eval()
    for each in model.parameters():
        each.grad = torch.full_like(each, 0.125)
    return model


@every_evaluation
def test_every_row_counts_samples_and_has_a_finite_total(evaluation, model, tiny_split):
    rows = list(evaluation.measure(model, tiny_split, seed=0, engine=Engine(batch_size=8)))
    assert tuple(dict.fromkeys(row.condition for row in rows)) == evaluation.conditions
    assert len({(row.measure, row.condition) for row in rows}) == len(rows)
    for row in rows:
        assert row.count > 0
        assert math.isfinite(row.total)
        assert isinstance(row.total, float)


@every_evaluation
def test_the_model_and_the_global_generators_stay_as_they_were(evaluation, model, tiny_split, untouched_generators):
    state = {name: each.clone() for name, each in model.state_dict().items()}
    modes = [each.training for each in model.modules()]
    with untouched_generators():
        list(evaluation.measure(model, tiny_split, seed=0, engine=Engine(batch_size=8)))
    assert all(torch.equal(each, state[name]) for name, each in model.state_dict().items())
    assert all((each.grad == 0.125).all() and each.requires_grad for each in model.parameters())
    assert [each.training for each in model.modules()] == modes
    assert torch.is_grad_enabled()


@every_evaluation
def test_a_measurement_that_is_given_up_leaves_the_model_as_it_was(evaluation, model, tiny_split):
    modes = [each.training for each in model.modules()]
    rows = evaluation.measure(model, tiny_split, seed=0, engine=Engine(batch_size=8))
    next(iter(rows))
    rows.close()
    assert [each.training for each in model.modules()] == modes


@every_evaluation
def test_the_mode_of_the_model_does_not_matter(evaluation, model, tiny_split):
    first = list(evaluation.measure(model.train(), tiny_split, seed=0, engine=Engine()))
    assert list(evaluation.measure(model.eval(), tiny_split, seed=0, engine=Engine())) == first


@every_evaluation
def test_the_batch_size_decides_no_number(evaluation, model, tiny_split):
    by_size = [
        list(evaluation.measure(model, tiny_split, seed=0, engine=Engine(batch_size=size))) for size in (7, 64, 1)
    ]
    assert by_size[0] == by_size[1] == by_size[2]


@additive_evaluation
def test_rows_of_parts_add_up_to_rows_of_the_whole(evaluation, model, tiny_split):
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    parts = [tiny_split.select(rows) for rows in (order[:7], order[7:])]
    engine = Engine(batch_size=4)
    whole = totals(evaluation.measure(model, tiny_split, seed=0, engine=engine))
    added = totals(row for part in parts for row in evaluation.measure(model, part, seed=0, engine=engine))
    assert added.keys() == whole.keys()
    for name, (total, count) in whole.items():
        assert added[name] == (pytest.approx(total, rel=1e-6), count)


@additive_evaluation
def test_the_samples_of_two_processes_are_those_of_one(evaluation, model, tiny_split, monkeypatch):
    # Without processes: each share measured alone, with what would be added up over the network left out.
    monkeypatch.setattr(Engine, "add_up", lambda self, tensor: tensor)
    whole = totals(evaluation.measure(model, tiny_split, seed=0, engine=Engine()))
    engines = [Engine(rank=rank, world_size=2, batch_size=4) for rank in (0, 1)]
    shares = totals(row for each in engines for row in evaluation.measure(model, tiny_split, seed=0, engine=each))
    assert shares == whole


@every_evaluation
def test_another_seed_is_the_same_measurement_of_the_same_samples(evaluation, model, tiny_split):
    first, second = (list(evaluation.measure(model, tiny_split, seed=seed, engine=Engine())) for seed in (0, 1))
    for one, other in zip(first, second, strict=True):
        assert (one.measure, one.condition, one.count) == (other.measure, other.condition, other.count)
