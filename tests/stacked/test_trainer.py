"""Trials that are trained in one batch: each equals the training it would have had alone."""

import pytest
import torch

from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.errors import InputError, TrainingError
from withstand.functional.random import derive_seed, stream
from withstand.models.mlp import MLP
from withstand.objectives.folds.soft_maximum import SoftMaximum
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.attacks.langevin import Langevin
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.attacks.vertices import Vertices
from withstand.perturbations.ball import Ball
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Mixture
from withstand.perturbations.sobol import Sobol
from withstand.perturbations.uniform import Uniform
from withstand.stacked.trainer import Together
from withstand.training.checkpoint import load
from withstand.training.optimizers import SGD, Adam, AdamW
from withstand.training.schedules import Constant, Cosine
from withstand.training.settings import Training
from withstand.training.trainer import Trainer

SEEDS = [3, 8, 1]
BALL = Ball("linf", 0.1)


class Stopped(Exception):
    """Stands for whatever ends a process."""


class StopAt:
    def __init__(self, epoch, step):
        self.at = (epoch, step)

    def on_step(self, epoch, step, steps_per_epoch, loss, rows):
        if (epoch, step) == self.at:
            raise Stopped

    def on_epoch(self, entry):
        pass


def blobs(num_samples=103, num_features=5, augment=None, weight=None):
    generator = torch.Generator().manual_seed(1)
    y = torch.arange(num_samples) % 3
    centres = torch.randn(3, num_features, generator=generator) * 2
    x = centres[y] + torch.randn(num_samples, num_features, generator=generator)
    return TensorSplit(x, y, classes=("a", "b", "c"), box=None, augment=augment, weight=weight)


def build(split, seed, hidden=(16, 12)):
    return MLP(hidden=hidden).build(split.shape, len(split.classes), seed=derive_seed(seed, "model/init"))


def settings(**changes):
    defaults = {"epochs": 3, "batch_size": 32, "optimizer": SGD(lr=0.05), "schedule": Cosine(warmup=0.5)}
    return Training(**(defaults | changes))


def make_trainer(seed, *, training=None, objective=None, split=None):
    split = split or blobs()
    return Trainer(
        build(split, seed),
        split,
        objective=objective or PerturbedRisk(),
        training=training or settings(),
        seed=seed,
        engine=Engine(checkpoint_seconds=0.0),
        validate=lambda model: (model(split.x).argmax(1) == split.y).float().mean().item(),
    )


def make_together(*, seeds=SEEDS, training=None, objective=None, split=None, states=(), models=None):
    split = split or blobs()

    def validate(model):
        logits = model(split.x.repeat_interleave(model.num_networks, dim=0))
        correct = logits.argmax(1) == split.y.repeat_interleave(model.num_networks)
        return correct.view(-1, model.num_networks).float().mean(0).tolist()

    return Together(
        models or [build(split, seed) for seed in seeds],
        split,
        objective=objective or PerturbedRisk(),
        training=training or settings(),
        seeds=seeds,
        engine=Engine(checkpoint_seconds=0.0),
        validate=validate,
        states=states,
    )


def fitted_singles(**options):
    singles = [make_trainer(seed, **options) for seed in SEEDS]
    for each in singles:
        each.fit()
    return singles


def fitted_together(**options):
    together = make_together(**options)
    together.fit()
    return together


def assert_equals_singles(together, singles, *, rtol=1e-4, atol=1e-6):
    for trial, single in enumerate(singles):
        expected, got = single.result.state_dict(), together.result(trial)
        assert list(got) == list(expected)
        for name, each in expected.items():
            torch.testing.assert_close(got[name], each, rtol=rtol, atol=atol)
        for ours, theirs in zip(together.history(trial), single.history, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize(
    "training",
    [
        settings(),
        settings(optimizer=SGD(lr=0.05, nesterov=True, weight_decay=0.1), clip_norm=0.5),
        settings(optimizer=Adam(lr=0.01, weight_decay=0.1), schedule=Constant()),
        settings(optimizer=AdamW(lr=0.01, weight_decay=0.5), keep="best"),
        settings(batch_size=34),  # the last batch of an epoch would have a single row
    ],
)
def test_weights_and_history_equal_those_of_the_single_runs(training):
    together = fitted_together(training=training)
    singles = fitted_singles(training=training)
    assert_equals_singles(together, singles)


@pytest.mark.parametrize(
    "objective",
    [
        PerturbedRisk(perturbation=Gaussian(std=(0.1, 0.5)), loss="hinge"),
        PerturbedRisk(perturbation=Uniform(ball=Ball("l2", 0.3)), num_draws=3, fold=SoftMaximum(temperature=0.0)),
        PerturbedRisk(perturbation=Sobol(ball=Ball("l1", 0.3)), num_draws=4, label_smoothing=0.1),
        PerturbedRisk(perturbation=Vertices(ball=Ball("linf", (0.1, 0.0, 0.2, 0.3, 0.0))), num_draws=4),
        PerturbedRisk(perturbation=PGD(ball=Ball("l2", 0.3), steps=3), num_draws=2),
        PerturbedRisk(
            perturbation=Langevin(ball=BALL, burn_in=2, thinning=1), num_draws=2, fold=SoftMaximum(temperature=0.1)
        ),
        PerturbedRisk(
            perturbation=Tilted(ball=BALL), num_draws=8, fold=SoftMaximum(temperature=0.5, last_temperature=0.05)
        ),
        PerturbedRisk(
            perturbation=Mixture(parts=(Identity(), Gaussian(std=0.3), PGD(ball=Ball("l2", 0.2), steps=2))),
            num_draws=2,
        ),
    ],
    ids=lambda objective: type(objective.perturbation).__name__,
)
def test_draws_of_every_trial_are_those_of_its_single_run(objective):
    training = settings(epochs=2)
    together = fitted_together(training=training, objective=objective)
    singles = fitted_singles(training=training, objective=objective)
    assert_equals_singles(together, singles, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("augment", [None, lambda x, numbers, seed: x + 0.01 * (numbers[:, None] + seed % 7)])
def test_weights_of_samples_count_as_in_the_single_runs(augment):
    split = blobs(augment=augment, weight=torch.linspace(0, 2, 103))
    together = fitted_together(split=split)
    singles = fitted_singles(split=split)
    assert_equals_singles(together, singles)


def test_trials_have_orders_of_their_own():
    together = make_together()
    for trial, seed in enumerate(SEEDS):
        order = torch.randperm(103, generator=stream(seed, "data/order", 0))
        seen = torch.cat([batch.number[trial :: len(SEEDS)] for batch in together.batches()])
        assert torch.equal(seen, order)


def test_augmentation_is_that_of_each_trial():
    def augment(x, numbers, seed):
        return x + (numbers[:, None] % 7) * (seed % 5) * 0.1

    split = blobs(augment=augment)
    together = fitted_together(split=split)
    singles = fitted_singles(split=split)
    assert_equals_singles(together, singles)


def test_one_trial_that_diverges_fails_alone():
    split = blobs()
    models = [build(split, seed) for seed in SEEDS]
    with torch.no_grad():
        models[1].get_submodule("network")[0].weight.fill_(torch.nan)
    together = fitted_together(models=models, training=settings(clip_norm=1.0))
    assert together.failures == {1: "training: non-finite loss (nan) at epoch 1, step 1."}
    assert together.going == [0, 2]
    whole = make_together(training=settings(clip_norm=1.0))
    whole.fit()
    for trial in (0, 2):
        for name, each in whole.result(trial).items():
            assert torch.equal(together.result(trial)[name], each)
        assert together.history(trial) == whole.history(trial)


def test_a_trial_that_diverges_later_fails_at_the_step_of_its_single_run():
    training = settings(optimizer=SGD(lr=1e6), schedule=Constant())
    together = fitted_together(training=training)
    for trial, seed in enumerate(SEEDS):
        with pytest.raises(TrainingError) as failure:
            make_trainer(seed, training=training).fit()
        assert together.failures[trial].split(" at ")[1] == str(failure.value).split(" at ")[1]
    assert together.going == []


@pytest.mark.slow
@pytest.mark.parametrize(("epoch", "step"), [(0, 2), (1, 1), (2, 3)])
@pytest.mark.parametrize("optimizer", [SGD(lr=0.05), Adam(lr=0.01)], ids=["SGD", "Adam"])
def test_checkpoints_are_continued_by_single_runs_and_the_other_way_round(tmp_path, epoch, step, optimizer):
    training = settings(optimizer=optimizer, keep="best")
    singles = fitted_singles(training=training)

    folders, names = [tmp_path / str(seed) for seed in SEEDS], [str(seed) for seed in SEEDS]
    with pytest.raises(Stopped):
        make_together(training=training).fit(folders=folders, identities=names, watch=StopAt(epoch, step))
    continued = [make_trainer(seed, training=training) for seed in SEEDS]
    states = [load(folder, identity=name) for folder, name in zip(folders, names, strict=True)]
    assert all(state is not None and state["progress"]["step"] + state["progress"]["epoch"] > 0 for state in states)
    for each, folder, name in zip(continued, folders, names, strict=True):
        each.fit(folder=folder, identity=name)
    together = fitted_together(training=training)
    assert_equals_singles(together, continued)

    stopped = [make_trainer(seed, training=training) for seed in SEEDS]
    for each in stopped:
        for _ in range(epoch):
            list(each.steps())
            each.end_epoch()
        steps = each.steps()
        for _ in range(step):
            next(steps)
    again = make_together(training=training, states=[each.state_dict() for each in stopped])
    assert (again.epoch, again.step) == (epoch, step)
    again.fit()
    assert_equals_singles(again, singles)


@pytest.mark.parametrize(
    ("rows", "keep", "sentence"), [(103, "best", "need a validation part"), (0, "last", "has no samples")]
)
def test_what_has_no_validation_part_or_no_samples_is_refused(rows, keep, sentence):
    split, training = blobs().select(torch.arange(rows)), settings(keep=keep)
    with pytest.raises(InputError, match=sentence):
        Together([build(split, 0)], split, objective=PerturbedRisk(), training=training, seeds=[0], engine=Engine())
