"""Two losses through separate batch normalisation."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from withstand.configuration import identity
from withstand.data.base import TensorSplit
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.functional.random import branches, stream
from withstand.objectives import two_passes
from withstand.objectives.adversarial_noise import AdversarialNoise
from withstand.objectives.auxiliary_batch_norm import AuxiliaryBatchNorm
from withstand.objectives.folds.soft_maximum import SoftMaximum
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.augmentations.fourier_noise import FourierNoise
from withstand.perturbations.ball import Ball
from withstand.perturbations.gaussian import Gaussian
from withstand.training.checkpoint import load, save
from withstand.training.optimizers import SGD
from withstand.training.settings import Training
from withstand.training.trainer import Trainer

SETTINGS = Training(epochs=3, batch_size=16, optimizer=SGD(lr=0.1, weight_decay=0.01), clip_norm=0.5, ema_decay=0.9)
NOISY = AuxiliaryBatchNorm(auxiliary=PerturbedRisk(perturbation=Gaussian(std=0.3)))


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4 * 36, 3),
            nn.BatchNorm1d(3),
        )


def images(count: int = 40) -> TensorSplit:
    x = torch.rand((count, 3, 8, 8), generator=torch.Generator().manual_seed(1))
    return TensorSplit(x, torch.arange(count) % 3, classes=("a", "b", "c"), box=(0.0, 1.0))


def make_trainer(objective=NOISY, model=None, training=SETTINGS) -> Trainer:
    split = images()
    options = {"objective": objective, "training": training, "seed": 5, "engine": Engine()}
    return Trainer(model or network(), split, **options)


def flat(tree) -> list:
    if isinstance(tree, dict):
        return [each for key, value in tree.items() for each in (key, *flat(value))]
    if isinstance(tree, list | tuple):
        return [each for value in tree for each in flat(value)]
    return [tree.tolist() if isinstance(tree, torch.Tensor) else tree]


def shared_with(model: nn.Module) -> nn.Module:
    """Return a second network with the same convolutions and linear maps, but batch normalisations of its own."""
    norms = (nn.BatchNorm2d, nn.BatchNorm1d)
    return nn.Sequential(*(copy.deepcopy(each) if isinstance(each, norms) else each for each in model))


def test_the_steps_of_afa_equal_two_networks_that_share_all_but_their_batch_norms():
    objective, x, y = AuxiliaryBatchNorm(), *(images().x, images().y)
    space = Space.like(x, box=(0.0, 1.0))
    own, first = network(), network()
    second = shared_with(first)
    state = objective.init(x[:1], model=own, rng=stream(0, "init"))
    mine = torch.optim.SGD(nn.ModuleList([own, objective.trained(state)]).parameters(), lr=0.1)
    theirs = torch.optim.SGD({id(each): each for each in (*first.parameters(), *second.parameters())}.values(), lr=0.1)
    for count in range(3):
        step = objective.step(own, x, y, space=space, state=state, count=count, rng=stream(0, "train", count))
        mine.zero_grad()
        step.loss.backward()
        mine.step()
        source = branches(stream(0, "train", count))(1)
        waves = FourierNoise().draw(x, y, first, space=space, num_draws=1, rng=source).inputs[0]
        loss = (cross_entropy(first(x), y) + cross_entropy(second(waves), y)) / 2
        theirs.zero_grad()
        loss.backward()
        theirs.step()
        assert step.loss.item() == pytest.approx(loss.item(), abs=1e-6)
    for name, each in own.state_dict().items():
        torch.testing.assert_close(each, first.state_dict()[name])
    for name, each in state.norms.tensors():
        torch.testing.assert_close(each, second.state_dict()[name])
    assert not torch.allclose(first[1].running_var, second[1].running_var)


def test_the_resulting_model_has_its_own_norms_only_and_their_statistics_follow_the_main_inputs():
    trainer = make_trainer(training=replace(SETTINGS, ema_decay=None, optimizer=SGD(lr=1e-12), epochs=1))
    plain = make_trainer(PerturbedRisk(), training=trainer.training)
    result, expected = trainer.fit(), plain.fit()
    assert list(result.state_dict()) == list(network().state_dict())
    for name, each in expected.named_buffers():
        torch.testing.assert_close(each, result.state_dict()[name])
    auxiliary = dict(trainer.state.norms.tensors())
    assert not torch.allclose(auxiliary["1.running_var"], result[1].running_var)


def test_auxiliary_norms_are_trained_with_the_settings_of_the_model():
    trainer = make_trainer()
    before = {name: each.clone() for name, each in trainer.state.norms.tensors()}
    trainer.fit()
    assert all(not torch.equal(each, before[name]) for name, each in trainer.state.norms.tensors())
    known = {id(each) for each in trainer.update.parameters}
    assert known == {id(each) for each in (*trainer.model.parameters(), *trainer.state.norms.parameters())}


OBJECTIVES = {
    "noise": NOISY,
    "an attack": AuxiliaryBatchNorm(auxiliary=PerturbedRisk(perturbation=PGD(ball=Ball("linf", 0.1), steps=2))),
    "objectives with a state": AuxiliaryBatchNorm(
        main=AdversarialNoise(restart_steps=2, radius=1.0),
        auxiliary=PerturbedRisk(
            perturbation=Gaussian(std=0.3), num_draws=2, fold=SoftMaximum(temperature=1.0, last_temperature=0.1)
        ),
    ),
}


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize(("epoch", "step"), [(0, 2), (2, 1)])
def test_stopping_and_resuming_equals_not_stopping(tmp_path, name, epoch, step):
    whole = make_trainer(OBJECTIVES[name])
    whole.fit()
    stopped = make_trainer(OBJECTIVES[name])

    class Stop:
        def on_step(self, now, count, *_):
            if (now, count) == (epoch, step):
                save(tmp_path, stopped.state_dict(), identity="")
                raise KeyboardInterrupt

        def on_epoch(self, entry):
            pass

    with pytest.raises(KeyboardInterrupt):
        stopped.fit(watch=Stop())
    assert load(tmp_path, identity="") is not None
    again = make_trainer(OBJECTIVES[name])
    again.fit(folder=tmp_path)
    assert flat(again.state_dict()) == flat(whole.state_dict())


def test_an_attack_through_the_auxiliary_norms_leaves_their_statistics_alone():
    """Only the pass of the loss counts: one update per step, as for the model's own."""
    trainer = make_trainer(OBJECTIVES["an attack"])
    trainer.fit()
    counts = [each.item() for name, each in trainer.state.norms.tensors() if name.endswith("tracked")]
    assert counts == [9, 9]
    assert trainer.model[1].num_batches_tracked.item() == 9


def test_what_is_computed_again_in_the_backward_pass_goes_through_the_auxiliary_norms_too(monkeypatch):
    split = images(8)
    risk = PerturbedRisk(perturbation=Gaussian(std=0.3), num_draws=8, mode="two_pass", points_at_once=8, tolerance=0.0)
    objective, gradients = AuxiliaryBatchNorm(auxiliary=risk), []
    for pieces_kept in (1000, 0):
        monkeypatch.setattr(two_passes, "PIECES_KEPT", pieces_kept)
        model = network().eval()
        state = objective.init(split.x[:1], model=model, rng=stream(0, "init"))
        with torch.no_grad():
            state.norms.copies[0].weight.fill_(3.0)
        options = {"space": split.space, "state": state, "count": 0, "rng": stream(0, "x")}
        objective.step(model, split.x, split.y, **options).loss.backward()
        gradients.append([state.norms.copies[0].weight.grad, model[1].weight.grad, model[0].weight.grad])
    for kept, computed_again in zip(*gradients, strict=True):
        torch.testing.assert_close(computed_again, kept)


def test_a_model_without_batch_norm_is_refused_before_training():
    plain = nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.LayerNorm(3))
    with pytest.raises(InputError, match=r"^AuxiliaryBatchNorm: .*batch normalisation.*Sequential"):
        make_trainer(model=plain)


def test_identities_tell_the_branches_apart():
    noisy, plain = PerturbedRisk(perturbation=Gaussian()), PerturbedRisk()
    one, other = AuxiliaryBatchNorm(main=noisy, auxiliary=plain), AuxiliaryBatchNorm(main=plain, auxiliary=noisy)
    assert identity(one) != identity(other)


def test_processes_keep_the_auxiliary_statistics_of_the_first_after_every_epoch(monkeypatch):
    copied = []
    monkeypatch.setattr(Engine, "copy_first", lambda _, tensors: copied.append({id(each) for each in tensors}))
    trainer = make_trainer()
    trainer.fit()
    assert len(copied) == 3
    assert {id(each) for each in (*trainer.model.buffers(), *trainer.state.norms.buffers())} <= copied[-1]
