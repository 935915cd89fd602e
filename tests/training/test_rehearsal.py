"""What a training step cannot take is found beforehand, and the rehearsal leaves no trace."""

import copy

import pytest
import torch
from torch import nn

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.errors import InputError, TrainingError
from withstand.experiment import Experiment, run
from withstand.objectives.adversarial_noise import AdversarialNoise
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.gaussian import Gaussian
from withstand.training.rehearsal import rehearse
from withstand.training.settings import Training
from withstand.training.trainer import Trainer


def split(num_samples=12, shape=(6,)):
    x = torch.rand(num_samples, *shape, generator=torch.Generator().manual_seed(0))
    return TensorSplit(x, torch.arange(num_samples) % 3, classes=("a", "b", "c"), box=None)


def with_statistics():
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Dropout(), nn.Linear(5, 3))


def trainer(model=None, *, data=None, batch_size=4, objective=None, engine=None, **training):
    return Trainer(
        with_statistics() if model is None else model,
        data or split(),
        objective=objective or PerturbedRisk(),
        training=Training(batch_size=batch_size, **training),
        seed=0,
        engine=engine or Engine(),
    )


def refusal(trainer):
    with pytest.raises(InputError) as caught:
        rehearse(trainer)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("amp", ["no", "bf16"])
@pytest.mark.parametrize(
    "objective",
    [
        PerturbedRisk(),
        PerturbedRisk(perturbation=Gaussian(std=0.1), num_draws=3),
        AdversarialNoise(radius=0.5),
    ],
)
def test_a_rehearsal_leaves_no_trace(objective, amp):
    made = trainer(objective=objective, amp=amp)
    made.model[1].eval()  # a part of a mode of its own keeps it
    before, state = copy.deepcopy(made.state_dict()), torch.random.get_rng_state()
    modes = [each.training for each in made.model.modules()]
    buffers = list(made.model.buffers())
    rehearse(made)
    after = made.state_dict()
    for name, each in before["update"]["model"].items():
        assert torch.equal(after["update"]["model"][name], each), name
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [each.training for each in made.model.modules()] == modes
    assert all(one is other for one, other in zip(made.model.buffers(), buffers, strict=True))
    assert all(each.grad is None for each in made.model.parameters())


def test_training_is_the_same_with_and_without_a_rehearsal():
    results = []
    for is_rehearsed in (True, False):
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(0)
            made = trainer(epochs=2)
        if is_rehearsed:
            rehearse(made)
        results.append(made.fit().state_dict())
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


class Reassigned(nn.Module):
    """Keeps a count by making a new buffer of it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        self.count = self.count + 1
        return self.layer(x)


def test_buffers_that_are_made_anew_are_put_back_too():
    made = trainer(Reassigned())
    rehearse(made)
    assert made.model.count == 0


@pytest.mark.parametrize(
    ("num_samples", "batch_size", "world_size"),
    [(12, 1, 1), (1, 4, 1), (12, 2, 2), (12, 3, 2), (11, 3, 2)],
)
def test_one_sample_and_batch_normalisation_is_one_sentence(num_samples, batch_size, world_size):
    sentence = refusal(trainer(data=split(num_samples), batch_size=batch_size, engine=Engine(world_size=world_size)))
    assert "a batch of 1" in sentence
    assert "batch_size" in sentence


@pytest.mark.parametrize(
    ("num_samples", "batch_size", "rows"), [(12, 4, [4, 4, 4]), (13, 4, [4, 4, 5]), (2, 64, [2]), (3, 2, [3])]
)
def test_batches_of_two_or_more_are_fine_and_every_sample_is_in_one(num_samples, batch_size, rows):
    made = trainer(data=split(num_samples), batch_size=batch_size, epochs=1)
    rehearse(made)
    assert [total for _, total in made.steps()] == rows


def test_one_sample_is_fine_without_batch_normalisation_and_with_it_where_an_image_has_many_values():
    rehearse(trainer(nn.Linear(6, 3), batch_size=1))
    images = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 3))
    rehearse(trainer(images, data=split(shape=(1, 8, 8)), batch_size=1))


class Odd(nn.Module):
    """Fails in training mode only."""

    def __init__(self, problem):
        super().__init__()
        self.layer, self.problem = nn.Linear(6, 3), problem

    def forward(self, x):
        if self.training:
            raise self.problem
        return self.layer(x)


@pytest.mark.parametrize("family", [RuntimeError, ValueError, TypeError, IndexError, NotImplementedError])
def test_any_model_whose_training_step_fails_is_one_sentence_with_what_came(family):
    model = Odd(family("it does not\nwork."))
    assert "got an error (it does not)." in refusal(trainer(model))
    assert model.training


@pytest.mark.parametrize("problem", [InputError("own."), TrainingError("own."), torch.OutOfMemoryError("full")])
def test_what_is_said_already_and_missing_memory_pass_unchanged(problem):
    with pytest.raises(type(problem)) as caught:
        rehearse(trainer(Odd(problem)))
    assert caught.value is problem


def test_a_run_that_cannot_be_trained_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("withstand.experiment.build_model", lambda *_: Odd(RuntimeError("no")))
    with pytest.raises(InputError, match="in training mode"):
        run(Experiment(), tmp_path, load=lambda _: (split(), split(), split()))
    assert not list(tmp_path.iterdir())
