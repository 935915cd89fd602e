"""Trainer for several trials in one batch."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from withstand.data.base import Split
from withstand.data.sample import Sample
from withstand.engine import Engine
from withstand.errors import InputError, stop_if_asked
from withstand.functional.random import BatchStream, Rng, TrialStreams, derive_seed, stream
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.stacked.network import Stacked
from withstand.stacked.update import StackedUpdate
from withstand.training.checkpoint import save
from withstand.training.settings import Training
from withstand.training.trainer import batches_of
from withstand.training.watch import Watch


class Together:
    """Minimises one objective for several seeds at once; its balls may have a radius per trial.

    Row i of a batch belongs to trial i modulo their number. Sample order, draws and checkpoints of a trial are those of
    `Trainer`, and results are equal up to rounding. A trial with a non-finite loss ends; the others continue.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        split: Split,
        *,
        objective: PerturbedRisk,
        training: Training,
        seeds: Sequence[int],
        engine: Engine,
        validate: Callable[[Stacked], list[float]] | None = None,
        states: Sequence[dict[str, Any]] = (),
    ) -> None:
        """Prepare the next step.

        Args:
            models: One per trial, on the engine's device; they are not changed.
            split: Training samples.
            objective: The objective to minimise; a ball has a radius per row, from the trial of the row.
            training: Settings of the training.
            seeds: One per trial.
            engine: The device; does not affect results.
            validate: Returns the validation accuracies of the trials after an epoch.
            states: Checkpoints to resume from, one per trial, all of the same epoch and step; empty for a new start.

        Raises:
            InputError: If there is nothing to train on.
        """
        if len(split) == 0:
            raise InputError("training: the training part has no samples.")
        if training.needs_validation and validate is None:
            raise InputError("training: keep=best and patience need a validation part, got an empty one.")
        self.split, self.space, self.objective, self.training = split, split.space, objective, training
        self.seeds, self.engine, self.validate = list(seeds), engine, validate
        self.steps_per_epoch = len(batches_of(torch.arange(len(split)), training.batch_size))
        for model, state in zip(models, states, strict=False):
            model.load_state_dict(state["update"]["model"])
        self.model = Stacked(models)
        self.update = StackedUpdate(self.model, training=training, steps_per_epoch=self.steps_per_epoch)
        like = torch.zeros(1, *split.shape, device=engine.device)
        self.state = objective.init(like, model=self.model, rng=stream(self.seeds[0], "objective/init"))
        self.epoch, self.step = 0, 0
        trials = range(len(self.seeds))
        self.progress: list[dict[str, Any]] = [{"rows": 0, "loss_sum": 0.0, "history": []} for _ in trials]
        self.best: list[dict[str, Any]] = [{"value": -math.inf, "epoch": -1, "model": None} for _ in trials]
        if states:
            self._go_on(states)

    @property
    def going(self) -> list[int]:
        """Numbers of the trials that have not failed."""
        return self.update.going

    @property
    def failures(self) -> dict[int, str]:
        """Why trials failed, by their numbers."""
        return self.update.failures

    def history(self, trial: int) -> list[dict[str, float]]:
        """Return a trial's history, as `Trainer.history`."""
        return self.progress[trial]["history"]

    def result(self, trial: int) -> dict[str, Any]:
        """Return the state dict of a trial's resulting model."""
        best = self.best[trial]["model"]
        return self.model.state_of(trial) if self.training.keep == "last" or best is None else best

    def rehearse(self) -> None:
        """Compute one loss of random samples, to find mismatches before training."""
        rows = 2 * len(self.seeds)
        x = torch.zeros(rows, *self.split.shape, device=self.engine.device)
        y = torch.zeros(rows, dtype=torch.int64, device=self.engine.device)
        makes = [partial(stream, 0, "rehearsal", device=self.engine.device)] * len(self.seeds)
        self.losses(Sample(x, y, y), TrialStreams(makes))

    def fit(self, *, folders: Sequence[Path] = (), identities: Sequence[str] = (), watch: Watch | None = None) -> None:
        """Train to the end, or until every trial has failed.

        Args:
            folders: Where the checkpoints of each trial are kept; empty keeps none.
            identities: Identity of each trial's configuration.
            watch: Receives a callback per step and epoch, with means over the trials.
        """
        saved, cost = time.monotonic(), 0.0
        self.model.train()
        while self.epoch < self.training.epochs and self.going:
            for loss, rows in self.steps():
                stop_if_asked()
                if watch:
                    watch.on_step(self.epoch, self.step, self.steps_per_epoch, loss, rows)
                if time.monotonic() - saved > max(self.engine.checkpoint_seconds, 20 * cost):
                    cost = self.save(folders, identities)
                    saved = time.monotonic()
            self.end_epoch()
            if watch and self.going:
                last = [self.history(trial)[-1] for trial in self.going]
                watch.on_epoch({name: sum(each[name] for each in last) / len(last) for name in last[0]})
        self.save(folders, identities)
        self.model.eval()

    def steps(self) -> Iterator[tuple[float, int]]:
        """Do the remaining steps of the epoch; yield each one's mean loss over the trials and number of rows."""
        if self.step == 0:
            nothing: Iterator[tuple[Sample, BatchStream]] = iter(())
            rng = stream(self.seeds[0], "objective/epoch", self.epoch)
            options = {"space": self.space, "state": self.state, "epoch": self.epoch, "epochs": self.training.epochs}
            self.objective.begin_epoch(self.model, nothing, rng=rng, **options)
        for sample in self.batches():
            count = self.epoch * self.steps_per_epoch + self.step
            makes = [
                partial(stream, seed, "train", self.epoch, self.step, device=self.engine.device) for seed in self.seeds
            ]
            losses = self.losses(sample, TrialStreams(makes))
            values, rows = self.update.apply(losses, count=count), len(sample.x) // len(self.seeds)
            self.step += 1
            going = self.going
            for trial in going:
                self.progress[trial]["rows"] += rows
                self.progress[trial]["loss_sum"] += values[trial] * rows
            if not going:
                break
            yield sum(values[trial] for trial in going) / len(going), rows * len(going)

    def batches(self) -> Iterator[Sample]:
        """Yield the remaining batches of the epoch, the rows of the trials in turn."""
        orders = [
            torch.randperm(len(self.split), generator=stream(seed, "data/order", self.epoch)) for seed in self.seeds
        ]
        plans = [batches_of(order, self.training.batch_size)[self.step :] for order in orders]
        if getattr(self.split, "augment", None) is None or not self.training.augment:
            plan = (torch.stack(rows, dim=1).flatten() for rows in zip(*plans, strict=True))
            yield from self.split.batches(plan, device=self.engine.device)
            return
        seeds = [derive_seed(seed, "augmentation", self.epoch) for seed in self.seeds]
        own = [
            self.split.batches(plan, device=self.engine.device, augmentation_seed=seed)
            for plan, seed in zip(plans, seeds, strict=True)
        ]
        for parts in zip(*own, strict=True):
            stacked = [torch.stack(each, 1).flatten(0, 1) for each in zip(*parts, strict=True) if each[0] is not None]
            yield Sample(*stacked)

    def losses(self, sample: Sample, rng: Rng) -> Float[Tensor, " trial"]:
        """Return the mean loss of each trial, as the objective's step for one."""
        losses = self.objective.losses(self.model, sample.x, sample.y, space=self.space, state=self.state, rng=rng)
        if sample.weight is not None:
            losses = sample.weight * losses
        return losses.view(-1, len(self.seeds)).mean(0)

    def end_epoch(self) -> None:
        """Record the epoch of every trial, compare it with the best one, and advance."""
        accuracies = repeat(None, len(self.seeds)) if self.validate is None else self.validate(self.model)
        for trial, accuracy in enumerate(accuracies):
            progress, best = self.progress[trial], self.best[trial]
            if trial in self.failures:
                continue
            entry = {"epoch": self.epoch + 1, "loss": progress["loss_sum"] / max(1, progress["rows"])}
            entry["lr"] = self.update.optimizer.param_groups[0]["lr"]
            if accuracy is not None:
                entry["validation"] = accuracy
                if accuracy > best["value"]:
                    weights = {name: each.clone() for name, each in self.model.state_of(trial).items()}
                    best.update(value=accuracy, epoch=self.epoch)
                    best["model"] = weights if self.training.keep == "best" else None
            progress["history"].append(entry)
            progress.update(rows=0, loss_sum=0.0)
        self.epoch, self.step = self.epoch + 1, 0

    def save(self, folders: Sequence[Path], identities: Sequence[str]) -> float:
        """Write checkpoints of all trials that have not failed; return the seconds taken."""
        begun = time.monotonic()
        if folders:
            for trial in self.going:
                save(folders[trial], self.state_dict(trial), identity=identities[trial])
        return time.monotonic() - begun

    def state_dict(self, trial: int) -> dict[str, Any]:
        """Return the state of a trial's training, as `Trainer.state_dict`."""
        progress = {"epoch": self.epoch, "step": self.step} | self.progress[trial]
        state = {"update": self.update.state_of(trial), "objective": self.state.state_dict()}
        return state | {"progress": progress, "best": self.best[trial]}

    def _go_on(self, states: Sequence[dict[str, Any]]) -> None:
        self.update.load_optimizers([each["update"] for each in states])
        self.state.load_state_dict(states[0]["objective"])
        self.progress, self.best = [dict(each["progress"]) for each in states], [each["best"] for each in states]
        for each in self.progress:
            self.epoch, self.step = each.pop("epoch"), each.pop("step")
