"""Averages of the weights, and batch normalisation that fits them."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from withstand.configuration import to_plain
from withstand.data.base import TensorSplit
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.functional.random import stream
from withstand.objectives.adversarial_noise import AdversarialNoise
from withstand.objectives.auxiliary_batch_norm import AuxiliaryBatchNorm
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.ball import Ball
from withstand.perturbations.gaussian import Gaussian
from withstand.training.batch_norm import reestimate
from withstand.training.checkpoint import save
from withstand.training.optimizers import SGD
from withstand.training.schedules import Constant
from withstand.training.settings import Training
from withstand.training.trainer import Trainer

SETTINGS = Training(epochs=4, batch_size=16, optimizer=SGD(lr=0.1), schedule=Constant())
SWA, EMA = replace(SETTINGS, swa_start=0.5), replace(SETTINGS, ema_decay=0.8, reestimate_batch_norm=True)
PLAIN, NOISY = PerturbedRisk(), PerturbedRisk(perturbation=Gaussian(std=0.7))


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8, momentum=0.3), nn.ReLU(), nn.Linear(8, 3))


def make_trainer(training=SWA, objective=PLAIN) -> Trainer:
    generator = torch.Generator().manual_seed(1)
    y = torch.arange(72) % 3
    x = torch.randn((72, 6), generator=generator) + y[:, None]
    split, model = TensorSplit(x, y, classes=("a", "b", "c"), box=None), network()

    def validate(current: nn.Module) -> float:
        with torch.no_grad():
            return -nn.functional.cross_entropy(current.eval()(x), y).item()

    options = {"objective": objective, "training": training, "seed": 5, "engine": Engine()}
    return Trainer(model, split, validate=validate, **options)


class Watching:
    """Calls a function after every step, or epoch, with the numbers of both done."""

    def __init__(self, after_step=lambda *_: None, after_epoch=lambda: None):
        self.after_step, self.after_epoch = after_step, after_epoch

    def on_step(self, epoch, step, *_):
        self.after_step(epoch, step)

    def on_epoch(self, _):
        self.after_epoch()


def batches(trainer: Trainer) -> list[torch.Tensor]:
    """Return the batches of the re-estimation, with the noise of the objective."""
    order = torch.randperm(72, generator=stream(5, "batch norm/order"))
    found = []
    for step, (total, share, sample) in enumerate(trainer._shared(order)):
        (x, y, *_), rng = trainer.with_source(sample, share, total, "batch norm", step)
        options = {"space": trainer.space, "num_draws": 1, "rng": rng}
        found.append(trainer.objective.perturbation.draw(x, y, trainer.model, **options).inputs[0])
    return found


@pytest.mark.parametrize("objective", [PLAIN, NOISY])
def test_swa_is_the_average_of_the_last_epochs_with_statistics_of_the_training_batches(objective):
    trainer = make_trainer(SWA, objective)
    expected, epochs = AveragedModel(network()), []

    def after_epoch():
        epochs.append(len(trainer.history))
        if epochs[-1] > 2:
            expected.update_parameters(trainer.model)

    result = trainer.fit(watch=Watching(after_epoch=after_epoch))
    update_bn(batches(trainer), expected.module)
    assert epochs == [1, 2, 3, 4]
    assert trainer.update.swa.n_averaged == 2
    for name, each in result.state_dict().items():
        torch.testing.assert_close(each, expected.module.state_dict()[name], check_dtype=False)
    assert result[1].momentum == 0.3


def test_an_exponential_average_can_have_statistics_of_its_own():
    kept, fresh = make_trainer(replace(EMA, reestimate_batch_norm=False)), make_trainer(EMA)
    expected = AveragedModel(network(), multi_avg_fn=get_ema_multi_avg_fn(0.8), use_buffers=True)
    kept.fit(watch=Watching(lambda *_: expected.update_parameters(kept.model)))
    assert all(torch.equal(each, kept.result.state_dict()[name]) for name, each in expected.module.state_dict().items())
    update_bn(batches(fresh), expected.module)
    result = fresh.fit()
    for name, each in result.state_dict().items():
        torch.testing.assert_close(each, expected.module.state_dict()[name])
    assert not torch.allclose(result[1].running_var, kept.result[1].running_var)


def test_statistics_can_be_estimated_anew_without_an_average():
    trainer = make_trainer(replace(SETTINGS, reestimate_batch_norm=True), NOISY)
    plain = make_trainer(SETTINGS, NOISY).fit()
    update_bn(batches(trainer), plain)
    for name, each in trainer.fit().state_dict().items():
        torch.testing.assert_close(each, plain.state_dict()[name])


OBJECTIVES = {
    "noise": NOISY,
    "attack": PerturbedRisk(perturbation=PGD(ball=Ball("linf", 0.2), steps=2)),
    "a generator": AdversarialNoise(radius=1.0, restart_steps=2),
    "two branches": AuxiliaryBatchNorm(auxiliary=NOISY),
}


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("training", [SWA, replace(EMA, keep="best")], ids=["swa", "ema"])
@pytest.mark.parametrize(("epoch", "step"), [(1, 2), (3, 1), (3, 5)])
def test_stopping_and_resuming_equals_not_stopping(tmp_path, name, training, epoch, step):
    whole = make_trainer(training, OBJECTIVES[name])
    expected = whole.fit().state_dict()
    stopped = make_trainer(training, OBJECTIVES[name])

    def stop(*place):
        if place == (epoch, step):
            save(tmp_path, stopped.state_dict(), identity="")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped.fit(watch=Watching(stop))
    again = make_trainer(training, OBJECTIVES[name])
    found = again.fit(folder=tmp_path).state_dict()
    assert all(torch.equal(each, found[name]) for name, each in expected.items())
    assert again.history == whole.history
    assert str(again.state.state_dict()) == str(whole.state.state_dict())
    finished = make_trainer(training, OBJECTIVES[name]).fit(folder=tmp_path).state_dict()
    assert all(torch.equal(each, finished[name]) for name, each in expected.items())


def test_attacks_of_a_pass_meet_the_statistics_from_before():
    model, x = network(), torch.rand((8, 6), generator=torch.Generator().manual_seed(0))
    model[1].running_mean.fill_(0.5)
    before, seen = model.eval()(x), []

    def run():
        seen.append(model.eval()(x))
        model.train()(x)

    reestimate(model, [run, run])
    assert all(torch.equal(each, before) for each in seen)
    torch.testing.assert_close(model[1].running_mean, model[0](x).mean(0))


@pytest.mark.parametrize("name", ["a generator", "two branches"])
def test_the_passes_leave_the_state_of_the_objective_as_it_is(name):
    states = []
    for again in (False, True):
        trainer = make_trainer(replace(SETTINGS, epochs=1, reestimate_batch_norm=again), OBJECTIVES[name])
        trainer.fit()
        states.append(str(trainer.state.state_dict()))
    assert states[0] == states[1]


def test_only_one_average_is_returned():
    with pytest.raises(InputError, match=r"^training: .*ema_decay.*swa_start.*0\.9 and 0\.5"):
        Training(ema_decay=0.9, swa_start=0.5)


def test_earlier_configurations_keep_their_identity():
    assert not {"swa_start", "reestimate_batch_norm"} & set(to_plain(Training()))
    assert {"swa_start", "reestimate_batch_norm"} <= set(to_plain(replace(SWA, reestimate_batch_norm=True)))
