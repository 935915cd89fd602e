"""What a run promises: stopped anywhere and continued, it equals one that was not."""

import math

import pytest
import torch
from torch import nn

from withstand.data.base import Split, TensorSplit
from withstand.data.images.digits import Digits
from withstand.engine import Engine
from withstand.errors import InputError, TrainingError
from withstand.models.mlp import MLP
from withstand.models.small_cnn import SmallCNN
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.ball import Ball
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Mixture
from withstand.perturbations.uniform import Uniform
from withstand.training.optimizers import SGD, Adam
from withstand.training.schedules import Cosine
from withstand.training.settings import Training
from withstand.training.trainer import Trainer

NOISY = PerturbedRisk(perturbation=Mixture(parts=(Identity(), Gaussian(std=0.3))))
SETTINGS = Training(
    epochs=3,
    batch_size=32,
    optimizer=SGD(lr=0.05),
    schedule=Cosine(warmup=0.5),
    clip_norm=1.0,
    ema_decay=0.9,
    keep="best",
)


class Stopped(Exception):
    """Stands for whatever ends a process."""


class StopAt:
    """Raises at one step, after recording the losses so far."""

    def __init__(self, epoch=None, step=None):
        self.at, self.losses = (epoch, step), []

    def on_step(self, epoch, step, steps_per_epoch, loss, rows):
        self.losses.append(loss)
        if (epoch, step) == self.at:
            raise Stopped

    def on_epoch(self, entry):
        if (entry["epoch"], None) == self.at:
            raise Stopped


def blobs(num_samples=200, num_features=6, num_classes=3):
    generator = torch.Generator().manual_seed(1)
    y = torch.arange(num_samples) % num_classes
    centres = torch.randn(num_classes, num_features, generator=generator) * 2
    x = centres[y] + torch.randn(num_samples, num_features, generator=generator)
    return TensorSplit(x, y, classes=("a", "b", "c"), box=None)


def make_trainer(training=SETTINGS, objective=NOISY, split=None, model=None, engine=None, validate=None):
    split = split or blobs()
    model = model or MLP(hidden=(16,)).build(split.shape, len(split.classes), seed=0)

    def loss_of(current):
        with torch.no_grad():
            return -nn.functional.cross_entropy(current(split.x), split.y).item()

    return Trainer(
        model,
        split,
        objective=objective,
        training=training,
        seed=5,
        engine=engine or Engine(),
        validate=validate or loss_of,
    )


def flat(tree, prefix=""):
    """Return a nested state as one dictionary, tensors as lists."""
    if isinstance(tree, dict):
        return {k: v for name, each in tree.items() for k, v in flat(each, f"{prefix}/{name}").items()}
    if isinstance(tree, list | tuple):
        return {k: v for i, each in enumerate(tree) for k, v in flat(each, f"{prefix}/{i}").items()}
    return {prefix: tree.tolist() if isinstance(tree, torch.Tensor) else tree}


@pytest.mark.parametrize(("epoch", "step"), [(0, 1), (1, 3), (1, None), (2, 6)])
def test_stopping_and_resuming_equals_not_stopping(tmp_path, epoch, step):
    whole = make_trainer()
    whole.fit(folder=tmp_path / "whole")

    watch, parts = StopAt(epoch, step), make_trainer()
    with pytest.raises(Stopped):
        stop_with_checkpoint(parts, tmp_path / "parts", watch)
    again = make_trainer()
    again.fit(folder=tmp_path / "parts")
    assert flat(again.state_dict()) == flat(whole.state_dict())
    assert again.history == whole.history


def stop_with_checkpoint(trainer, folder, watch):
    """Run until the watch stops it; the newest checkpoint is of the step before or of this one."""
    from withstand.training.checkpoint import Keeper

    keeper, fit = Keeper(folder, identity=""), trainer.fit

    class Saving:
        def on_step(self, *arguments):
            keeper.save(trainer.state_dict)
            watch.on_step(*arguments)

        def on_epoch(self, entry):
            keeper.save(trainer.state_dict)
            watch.on_epoch(entry)

    fit(watch=Saving())


def test_resuming_repeats_no_step_and_leaves_none_out(tmp_path):
    whole = StopAt()
    make_trainer().fit(watch=whole)
    first, second = StopAt(1, 2), StopAt()
    with pytest.raises(Stopped):
        stop_with_checkpoint(make_trainer(), tmp_path, first)
    make_trainer().fit(folder=tmp_path, watch=second)
    assert first.losses + second.losses == whole.losses


def test_a_finished_training_is_not_done_again(tmp_path):
    make_trainer().fit(folder=tmp_path)
    watch = StopAt()
    again = make_trainer()
    again.fit(folder=tmp_path, watch=watch)
    assert watch.losses == []


def test_dropout_is_the_same_after_resuming_and_leaves_the_global_generator(tmp_path):
    def model():
        torch.random.default_generator.manual_seed(3)
        return nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.5), nn.Linear(16, 3))

    whole = make_trainer(model=model())
    before = torch.random.get_rng_state()
    whole.fit()
    assert torch.equal(torch.random.get_rng_state(), before)
    with pytest.raises(Stopped):
        stop_with_checkpoint(make_trainer(model=model()), tmp_path, StopAt(1, 3))
    again = make_trainer(model=model())
    again.fit(folder=tmp_path)
    assert flat(again.state_dict()) == flat(whole.state_dict())


def test_a_loss_that_is_not_a_number_takes_no_step_and_keeps_the_checkpoint(tmp_path):
    class Turns(nn.Module):
        """Gives nan from the fourth forward pass on."""

        def __init__(self):
            super().__init__()
            self.inner, self.count = MLP(hidden=(4,)).build((6,), 3, seed=0), 0

        def forward(self, x):
            self.count += self.training
            return self.inner(x) * (math.nan if self.count > 3 else 1.0)

    trainer = make_trainer(Training(batch_size=32, epochs=1), model=Turns())
    seen = []

    class Saving:
        def on_step(self, *arguments):
            from withstand.training.checkpoint import save

            save(tmp_path, trainer.state_dict(), identity="")
            seen.append(flat(trainer.state_dict()["update"]["model"]))

        def on_epoch(self, entry):
            raise AssertionError("the epoch must not end")

    with pytest.raises(TrainingError, match=r"non-finite loss \(nan\) at epoch 1, step 4"):
        trainer.fit(watch=Saving())
    assert flat(trainer.model.state_dict()) == seen[-1]
    from withstand.training.checkpoint import load

    content = load(tmp_path, identity="")
    assert content is not None
    assert content["progress"]["step"] == 3
    assert flat(content["update"]["model"]) == seen[-1]


def test_a_gradient_that_is_not_finite_is_refused_where_gradients_are_clipped():
    class Steep(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(6, 3))

        def forward(self, x):
            # sqrt has an infinite slope at 0, so the loss is finite and its gradient is not
            return x @ self.weight.square().sqrt()

    trainer = make_trainer(Training(batch_size=32, epochs=1, clip_norm=1.0), model=Steep())
    with pytest.raises(TrainingError, match="non-finite gradient at epoch 1, step 1"):
        trainer.fit()
    assert torch.equal(trainer.model.weight, torch.zeros(6, 3))


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    make_trainer().fit(folder=tmp_path, identity="one")
    with pytest.raises(InputError, match="was made by configuration one, expected other"):
        make_trainer().fit(folder=tmp_path, identity="other")


def test_patience_ends_training_and_keep_best_returns_the_best_weights():
    values = iter([0.5, 0.9, 0.8, 0.7, 0.6])
    seen = []

    def validate(model):
        seen.append(flat(model.state_dict()))
        return next(values)

    training = Training(epochs=5, batch_size=50, keep="best", patience=2)
    trainer = make_trainer(training, validate=validate)
    model = trainer.fit()
    assert [entry["validation"] for entry in trainer.history] == [0.5, 0.9, 0.8, 0.7]
    assert flat(model.state_dict()) == seen[1]
    assert not model.training


def test_best_and_patience_need_validation():
    with pytest.raises(InputError, match="need a validation part"):
        Trainer(nn.Linear(6, 3), blobs(), objective=NOISY, training=SETTINGS, seed=0, engine=Engine())


def test_an_epoch_sees_every_sample_once_in_another_order_each_time():
    seen = []

    class Recorded(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(1, 3)

        def forward(self, x):
            if self.training:
                seen.append(x[:, 0].long().tolist())
            return self.layer(x / 200)

    x = torch.arange(200.0)[:, None]
    split = TensorSplit(x, torch.arange(200) % 3, classes=("a", "b", "c"), box=None)
    training = Training(epochs=2, batch_size=64)
    model = Recorded()
    make_trainer(training, objective=PerturbedRisk(), split=split, model=model, validate=lambda _: 0.0).fit()
    first, second = ([number for batch in part for number in batch] for part in (seen[:4], seen[4:]))
    assert [len(batch) for batch in seen] == [64, 64, 64, 8] * 2
    assert sorted(first) == sorted(second) == list(range(200))
    assert first != second != sorted(second)


def test_weights_of_samples_multiply_their_losses():
    split, weight = blobs(60), torch.linspace(0, 2, 60)
    training = Training(epochs=1, batch_size=60, optimizer=SGD(lr=0.5, momentum=0.0))
    model = MLP(hidden=(16,)).build(split.shape, 3, seed=0)
    losses = nn.functional.cross_entropy(model(split.x), split.y, reduction="none")
    loss = (weight * losses).mean()
    steps = torch.autograd.grad(loss, list(model.parameters()))
    wanted = [each - 0.5 * step for each, step in zip(model.parameters(), steps, strict=True)]
    weighted = TensorSplit(split.x, split.y, classes=split.classes, box=None, weight=weight)
    trainer = make_trainer(training, PerturbedRisk(), split=weighted, model=model)
    trainer.fit()
    assert trainer.history[0]["loss"] == pytest.approx(loss.item(), rel=1e-5)
    for got, each in zip(model.parameters(), wanted, strict=True):
        torch.testing.assert_close(got, each)


def test_a_space_that_does_not_fit_is_refused_before_anything_is_trained():
    objective = PerturbedRisk(perturbation=Mixture(parts=(Identity(), Uniform(ball=Ball("linf", 0.1, unit="raw")))))
    with pytest.raises(InputError, match="unit raw needs a table whose features are scaled"):
        make_trainer(objective=objective)


def test_the_history_has_the_mean_loss_over_samples():
    losses = []

    class Weighing:
        def on_step(self, epoch, step, steps_per_epoch, loss, rows):
            losses.append((loss, rows))

        def on_epoch(self, entry):
            pass

    trainer = make_trainer(Training(epochs=1, batch_size=64))
    trainer.fit(watch=Weighing())
    assert trainer.history[0]["loss"] == pytest.approx(sum(loss * rows for loss, rows in losses) / 200)


@pytest.mark.parametrize("amp", ["no", "bf16"])
def test_training_learns_the_digits(amp):
    split = Digits().load("train")
    model = SmallCNN(width=8).build(split.shape, 10, seed=0)
    training = Training(epochs=3, batch_size=64, optimizer=Adam(lr=3e-3), amp=amp)
    trainer = Trainer(model, split, objective=PerturbedRisk(), training=training, seed=0, engine=Engine())
    trainer.fit()
    assert trainer.history[-1]["loss"] < 0.6 < trainer.history[0]["loss"]


def test_half_precision_with_loss_scaling_needs_a_gpu():
    with pytest.raises(InputError, match="amp fp16 needs a CUDA device, got cpu"):
        make_trainer(Training(amp="fp16"))


class Vanishing(Split):
    """Loses some of its samples, as a folder with bad images does."""

    def __init__(self, whole, lost):
        self.whole, self.lost = whole, set(lost)
        self.classes, self.shape, self.box = whole.classes, whole.shape, whole.box

    def __len__(self):
        return len(self.whole)

    def batches(self, plan, **options):
        kept = [torch.tensor([n for n in rows.tolist() if n not in self.lost], dtype=torch.int64) for rows in plan]
        return self.whole.batches(kept, **options)


def test_batches_that_vanish_change_neither_the_number_of_steps_nor_resuming(tmp_path):
    def trainer():
        split = Vanishing(blobs(30), lost=range(0, 30, 3))
        return make_trainer(Training(epochs=2, batch_size=2), split=split, validate=lambda _: 0.0)

    watch, whole = StopAt(), trainer()
    whole.fit(watch=watch)
    assert len(watch.losses) == 2 * 15
    with pytest.raises(Stopped):
        stop_with_checkpoint(trainer(), tmp_path, StopAt(1, 9))
    again = trainer()
    again.fit(folder=tmp_path)
    assert flat(again.state_dict()) == flat(whole.state_dict())


def test_a_last_batch_of_one_joins_the_one_before():
    model = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3))
    watch = StopAt()
    make_trainer(Training(epochs=1, batch_size=20), split=blobs(41), model=model).fit(watch=watch)
    assert len(watch.losses) == 2
