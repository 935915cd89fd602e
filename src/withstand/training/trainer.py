"""The trainer."""

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from withstand.data.base import Split
from withstand.data.sample import Sample
from withstand.engine import Engine
from withstand.errors import InputError, stop_if_asked
from withstand.functional.random import BatchStream, derive_seed, stream
from withstand.objectives.base import Objective
from withstand.training.batch_norm import reestimate
from withstand.training.checkpoint import Keeper
from withstand.training.settings import Training
from withstand.training.update import Update
from withstand.training.watch import Watch


class Trainer:
    """Minimises an objective; `state_dict` holds everything needed to resume.

    Every random number derives from (seed, purpose, epoch, step): a resumed run equals an uninterrupted one, bit for
    bit on a CPU, and processes that share a batch draw the same numbers as one process.
    """

    def __init__(
        self,
        model: nn.Module,
        split: Split,
        *,
        objective: Objective,
        training: Training,
        seed: int,
        engine: Engine,
        validate: Callable[[nn.Module], float] | None = None,
    ) -> None:
        """Prepare the first step.

        Args:
            model: Maps inputs to logits; on the engine's device. It is changed in place.
            split: Training samples.
            objective: The objective to minimise.
            training: The settings.
            seed: Seed of the order of the samples and every draw.
            engine: Device and processes; does not affect results.
            validate: Returns the score that selects the best epoch (higher is better), the same in every process.

        Raises:
            InputError: If the split is empty, there is nothing to train, or model, objective and settings do not fit.
        """
        if len(split) == 0:
            raise InputError("training: the training part has no samples.")
        if training.needs_validation and validate is None:
            raise InputError("training: keep=best and patience need a validation part, got an empty one.")
        if not any(each.requires_grad for each in model.parameters()):
            raise InputError("training: expected a model with parameters that require gradients, got one without.")
        objective.check(split.space)
        self.model, self.split, self.objective, self.training = model, split, objective, training
        self.space = split.space
        self.seed, self.engine, self.validate = seed, engine, validate
        self.steps_per_epoch = len(batches_of(torch.arange(len(split)), training.batch_size))
        like = torch.zeros(1, *split.shape, device=engine.device)
        self.state = objective.init(like, model=model, rng=stream(seed, "objective/init"))
        self.trained = nn.ModuleList([model, objective.trained(self.state)])
        options = {"training": training, "engine": engine, "steps_per_epoch": self.steps_per_epoch}
        self.update = Update(model, trained=self.trained, **options)
        self.progress: dict[str, Any] = {"epoch": 0, "step": 0, "rows": 0, "loss_sum": 0.0, "history": []}
        self.best: dict[str, Any] = {"value": -math.inf, "epoch": -1, "model": None}

    @property
    def result(self) -> nn.Module:
        """The resulting model: the running mean of its weights, once there is one."""
        average = self.update.average
        return self.model if average is None or average.n_averaged == 0 else average.module

    @property
    def history(self) -> list[dict[str, float]]:
        """One entry per epoch: its number from 1, mean loss, learning rate and validation accuracy."""
        return self.progress["history"]

    @property
    def done(self) -> int:
        """Number of steps done."""
        return self.progress["epoch"] * self.steps_per_epoch + self.progress["step"]

    @property
    def is_finished(self) -> bool:
        """Whether the last epoch is done, or patience has run out."""
        epoch, patience = self.progress["epoch"], self.training.patience
        out_of_patience = patience is not None and epoch > 0 and epoch - 1 - self.best["epoch"] >= patience
        return epoch >= self.training.epochs or out_of_patience

    def fit(self, *, folder: Path | None = None, identity: str = "", watch: Watch | None = None) -> nn.Module:
        """Train to the end, resuming from the newest checkpoint, and return the resulting model in evaluation mode.

        Args:
            folder: Where checkpoints are kept; None keeps none.
            identity: Identity of the configuration; a checkpoint of another one is rejected.
            watch: Receives a callback per step and epoch.

        Raises:
            TrainingError: If a loss or gradient is not finite. The last checkpoint is kept.
        """
        keeper = Keeper(folder, identity=identity, writes=self.engine.is_first, seconds=self.engine.checkpoint_seconds)
        keeper.resume(self.load_state_dict)
        # Dropout and similar layers use the global generators, whose state is restored afterwards.
        devices = [self.engine.device] if self.engine.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            while not self.is_finished:
                for loss, rows in self.steps():
                    if watch:
                        watch.on_step(self.progress["epoch"], self.progress["step"], self.steps_per_epoch, loss, rows)
                    keeper.save_now_and_then(self.state_dict)
                self.end_epoch()
                if watch:
                    watch.on_epoch(self.history[-1])
        keeper.save(self.state_dict)
        if self.training.keep == "best" and self.best["model"] is not None:
            self.result.load_state_dict(self.best["model"])
        if self.training.reestimate_batch_norm or self.update.swa:
            with torch.random.fork_rng(devices=devices):
                self.reestimate_batch_norm(self.result)
        return self.result.eval()

    def steps(self) -> Iterator[tuple[float, int]]:
        """Do the remaining steps of the epoch; yield each one's loss and number of samples."""
        epoch = self.progress["epoch"]
        order = torch.randperm(len(self.split), generator=stream(self.seed, "data/order", epoch))
        augmentation_seed = derive_seed(self.seed, "augmentation", epoch) if self.training.augment else None
        batches = self._shared(order, start=self.progress["step"], augmentation_seed=augmentation_seed)
        self.model.train()
        if self.progress["step"] == 0:
            with self.update.autocast():
                more, rng = self.more_batches(epoch), stream(self.seed, "objective/epoch", epoch)
                options = {"space": self.space, "state": self.state, "epoch": epoch, "epochs": self.training.epochs}
                self.objective.begin_epoch(self.model, more, rng=rng, **options)
        for total, share, sample in batches:
            stop_if_asked()
            loss = self.do_step(sample, share=share, total=total)
            counted = total if len(sample.x) else 0
            self.progress["step"] += 1
            self.progress["rows"] += counted
            self.progress["loss_sum"] += loss * counted
            yield loss, total

    def more_batches(self, epoch: int) -> Iterator[tuple[Sample, BatchStream]]:
        """Yield endless shuffled batches for an objective's work between epochs."""
        for turn in count():
            order = torch.randperm(len(self.split), generator=stream(self.seed, "objective/order", epoch, turn))
            for step, (total, share, sample) in enumerate(self._shared(order)):
                stop_if_asked()
                yield self.with_source(sample, share, total, "objective", epoch, turn, step)

    def _shared(
        self, order: Tensor, *, start: int = 0, augmentation_seed: int | None = None
    ) -> Iterator[tuple[int, tuple[int, int, float], Sample]]:
        """Yield the size of every batch from a step on, this process's share of it, and the samples of the share."""
        whole = batches_of(order, self.training.batch_size)[start:]
        shares = [self.engine.share(len(rows)) for rows in whole]
        batches = self.split.batches(
            [rows[first:last] for rows, (first, last, _) in zip(whole, shares, strict=True)],
            device=self.engine.device,
            num_workers=self.engine.num_workers,
            augmentation_seed=augmentation_seed,
        )
        return zip(map(len, whole), shares, batches, strict=True)

    def do_step(self, sample: Sample, *, share: tuple[int, int, float], total: int) -> float:
        """Take one optimiser step and return the loss, over all processes."""
        place = self.progress["epoch"], self.progress["step"]
        loss, rng = self.loss_of(self.model, sample, share, total, "train", *place)
        return self.update.apply(loss, weight=rng.weight, count=self.done)

    def loss_of(
        self, model: nn.Module, sample: Sample, share: tuple[int, int, float], total: int, purpose: str, *place: int
    ) -> tuple[Tensor, BatchStream]:
        """Return the loss of this process's share of a batch, and the source of randomness of the whole batch."""
        named = "model" if purpose == "train" else f"model/{purpose}"
        self.engine.seed_global_generators(derive_seed(self.seed, named, *place, self.engine.rank))
        (x, y, _, weight), rng = self.with_source(sample, share, total, purpose, *place)
        options = {"weight": weight, "space": self.space, "state": self.state, "count": self.done}
        with self.update.autocast():
            return self.objective.step(model, x, y, rng=rng, **options).loss, rng

    def with_source(
        self, sample: Sample, share: tuple[int, int, float], total: int, *names: str | int
    ) -> tuple[Sample, BatchStream]:
        """Return this process's share of a batch, with the source of randomness of the whole batch."""
        start, stop, counts_for = share
        if len(sample.x) == 0:  # every image of the share was bad and is skipped: take part with weight 0
            sample, counts_for = sample.map(lambda each: each.new_zeros(1, *each.shape[1:])), 0.0
        held = len(sample.x)
        if held != stop - start:
            start, stop, total = 0, held, held
        make = partial(stream, self.seed, *names, device=self.engine.device)
        return sample, BatchStream(make, start=start, stop=stop, total=total, weight=counts_for)

    def reestimate_batch_norm(self, model: nn.Module) -> None:
        """Compute the statistics of batch normalisation anew, in the training's own passes over all batches."""
        order = torch.randperm(len(self.split), generator=stream(self.seed, "batch norm/order"))
        seed = derive_seed(self.seed, "batch norm/augmentation") if self.training.augment else None
        before = deepcopy(self.state.state_dict())

        def passes() -> Iterator[Callable[[], object]]:
            for step, (total, share, sample) in enumerate(self._shared(order, augmentation_seed=seed)):
                stop_if_asked()
                yield partial(self.loss_of, model, sample, share, total, "batch norm", step)

        reestimate(model, passes())
        self.state.load_state_dict(before)
        self.engine.copy_first(model.buffers())

    def end_epoch(self) -> None:
        """Record the epoch, compare it with the best one, and advance."""
        self.engine.copy_first(self.trained.buffers())
        progress = self.progress
        self.update.end_epoch(progress["epoch"] + 1)
        entry = {"epoch": progress["epoch"] + 1, "loss": progress["loss_sum"] / max(1, progress["rows"])}
        entry["lr"] = self.update.optimizer.param_groups[0]["lr"]
        if self.validate is not None:
            entry["validation"] = self.validate(self.result)
            if entry["validation"] > self.best["value"]:
                weights = {name: each.clone() for name, each in self.result.state_dict().items()}
                kept = weights if self.training.keep == "best" else None
                self.best = {"value": entry["validation"], "epoch": progress["epoch"], "model": kept}
        self.history.append(entry)
        progress.update(epoch=progress["epoch"] + 1, step=0, rows=0, loss_sum=0.0)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the training."""
        parts = {"update": self.update.state_dict(), "objective": self.state.state_dict()}
        return parts | {"progress": self.progress, "best": self.best}

    def load_state_dict(self, content: dict[str, Any]) -> None:
        """Resume from a `state_dict`."""
        self.update.load_state_dict(content["update"])
        self.state.load_state_dict(content["objective"])
        self.progress, self.best = content["progress"], content["best"]


def batches_of(order: Tensor, size: int) -> list[Tensor]:
    """Return an order of samples cut into batches; a last one of a single sample joins the one before.

    Batch normalisation fails on a single sample.

    Example:
        >>> [len(rows) for rows in batches_of(torch.arange(9), 4)]
        [4, 5]
    """
    batches = list(order.split(size))
    if len(batches) > 1 and len(batches[-1]) == 1 and size > 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
