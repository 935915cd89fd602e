"""The one training loop."""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from withstand.data.base import Split
from withstand.engine import Engine
from withstand.errors import InputError, TrainingError
from withstand.functional.random import BatchStream, derive_seed, stream
from withstand.objectives.base import Objective
from withstand.training import checkpoint
from withstand.training.settings import Training
from withstand.training.watch import Watch


class Trainer:
    """Minimises an objective; everything it would lose when killed is in `state_dict`.

    Every random number derives from (seed, purpose, epoch, step), so a run that is stopped anywhere and continued
    equals one that was not, bit for bit on a CPU, and processes that share a batch draw what one process would.
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
            objective: What is minimised.
            training: How.
            seed: Decides the order of the samples and every draw.
            engine: Device and processes; decides no number.
            validate: Returns the number by which epochs are compared (more is better), the same in every process.
        """
        if len(split) == 0:
            raise InputError("training: the training part has no samples.")
        if training.needs_validation and validate is None:
            raise InputError("training: keep=best and patience need a validation part, got an empty one.")
        if training.amp == "fp16" and engine.device.type != "cuda":
            raise InputError(f"training: amp fp16 needs a CUDA device, got {engine.device.type}; bf16 works there.")
        self.model, self.split, self.objective, self.training = model, split, objective, training
        self.seed, self.engine, self.validate = seed, engine, validate
        self.steps_per_epoch = math.ceil(len(split) / training.batch_size)
        self.optimizer = training.optimizer.build(model)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.scaler = torch.amp.GradScaler(engine.device.type, enabled=training.amp == "fp16")
        like = torch.zeros(1, *split.shape, device=engine.device)
        self.state = objective.init(like, rng=stream(seed, "objective/init"))
        decay = training.ema_decay
        mean = get_ema_multi_avg_fn(decay) if decay else None
        self.ema = AveragedModel(model, multi_avg_fn=mean, use_buffers=True) if mean else None
        self.uses_default_generator = any("drop" in type(each).__name__.lower() for each in model.modules())
        self.epoch, self.step, self.loss_sum = 0, 0, 0.0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Any] = {"value": -math.inf, "epoch": -1, "model": None}

    @property
    def result(self) -> nn.Module:
        """The model whose weights count: the running mean if there is one."""
        return self.ema.module if self.ema else self.model

    @property
    def is_finished(self) -> bool:
        """Whether the last epoch is done, or patience has run out."""
        patience = self.training.patience
        waited = self.epoch - 1 - self.best["epoch"]
        return self.epoch >= self.training.epochs or (patience is not None and self.epoch > 0 and waited >= patience)

    def fit(self, *, folder: Path | None = None, identity: str = "", watch: Watch | None = None) -> nn.Module:
        """Train to the end, or on from the newest checkpoint, and return the resulting model in evaluation mode.

        Args:
            folder: Where checkpoints are kept; None keeps none.
            identity: Of the configuration; a checkpoint of another is refused.
            watch: Is told of every step and epoch.

        Raises:
            TrainingError: If a loss or gradient is not finite. No step is taken then, the last checkpoint stays.
        """
        if folder is not None:
            checkpoint.clear(folder)
            content = checkpoint.load(folder, identity=identity)
            if content is not None:
                self.load_state_dict(content)
        saved, cost = time.monotonic(), 0.0
        with torch.random.fork_rng(devices=range(torch.cuda.device_count()), enabled=self.uses_default_generator):
            while not self.is_finished:
                for loss, rows in self.steps():
                    if watch:
                        watch.on_step(self.epoch, self.step, self.steps_per_epoch, loss, rows)
                    # Often enough to lose little, seldom enough to cost less than a twentieth of the time.
                    now = time.monotonic()
                    if folder and self.engine.is_first and now - saved > max(10.0, 20 * cost):
                        checkpoint.save(folder, self.state_dict(), identity=identity)
                        saved, cost = time.monotonic(), time.monotonic() - now
                self.end_epoch()
                if watch:
                    watch.on_epoch(self.history[-1])
        if folder and self.engine.is_first:
            checkpoint.save(folder, self.state_dict(), identity=identity)
        if self.training.keep == "best" and self.best["model"] is not None:
            self.result.load_state_dict(self.best["model"])
        return self.result.eval()

    def steps(self) -> Iterator[tuple[float, int]]:
        """Do the remaining steps of the epoch; yield each one's loss and number of samples."""
        order = torch.randperm(len(self.split), generator=stream(self.seed, "data/order", self.epoch))
        whole = order.split(self.training.batch_size)[self.step :]
        augmentation = derive_seed(self.seed, "data/augmentation", self.epoch) if self.training.augment else None
        batches = self.split.batches(
            [rows[slice(*self.share(len(rows))[:2])] for rows in whole],
            device=self.engine.device,
            num_workers=self.engine.num_workers,
            augmentation_seed=augmentation,
        )
        self.model.train()
        for rows, (x, y, _) in zip(whole, batches, strict=True):
            loss = self.do_step(x, y, total=len(rows))
            self.step += 1
            self.loss_sum += loss * len(rows)
            yield loss, len(rows)

    def share(self, total: int) -> tuple[int, int, float]:
        """Return the first row of this process's share of a batch, the one behind the last, and the share's weight.

        Where there are fewer rows than processes, a process without any borrows the first one with weight 0.
        """
        start, stop = self.engine.share(total)
        return (start, stop, (stop - start) / total) if stop > start else (0, 1, 0.0)

    def do_step(self, x: Tensor, y: Tensor, *, total: int) -> float:
        """Follow the gradient of one batch and return its loss, over all processes."""
        count = self.epoch * self.steps_per_epoch + self.step
        factor = self.training.schedule.factor(
            count, steps_per_epoch=self.steps_per_epoch, epochs=self.training.epochs
        )
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        if self.uses_default_generator:
            torch.manual_seed(derive_seed(self.seed, "model", self.epoch, self.step, self.engine.rank))
        epoch, step, device = self.epoch, self.step, self.engine.device
        start, stop, weight = self.share(total)
        make = partial(stream, self.seed, "train", epoch, step, device=device)
        rng = BatchStream(make, start=start, stop=stop, total=total)
        amp = {"no": None, "bf16": torch.bfloat16, "fp16": torch.float16}[self.training.amp]
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=amp, enabled=amp is not None):
            loss = self.objective.step(self.model, x, y, state=self.state, count=count, rng=rng).loss
        if self.engine.world_size > 1:
            loss = loss * weight
        self.scaler.scale(loss).backward()
        value = self.add_up_gradients(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(f"training: non-finite loss ({value}) at epoch {epoch + 1}, step {step + 1}.")
        if self.training.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip_norm)
            if amp != torch.float16 and not math.isfinite(norm.item()):
                raise TrainingError(f"training: non-finite gradient at epoch {epoch + 1}, step {step + 1}.")
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.ema:
            self.ema.update_parameters(self.model)
        return value

    def add_up_gradients(self, loss: Tensor) -> float:
        """Add the gradients, and the loss, over the processes."""
        if self.engine.world_size > 1:
            gradients = [each.grad for each in self.model.parameters() if each.grad is not None]
            flat = self.engine.add_up(torch.cat([loss.view(1), *(each.flatten() for each in gradients)]))
            loss, rest = flat[0], flat[1:].split([each.numel() for each in gradients])
            for gradient, added in zip(gradients, rest, strict=True):
                gradient.copy_(added.view_as(gradient))
        return loss.item()

    def end_epoch(self) -> None:
        """Record the epoch, compare it with the best one, and go to the next."""
        self.engine.copy_first(self.model.buffers())
        entry = {
            "epoch": self.epoch + 1,
            "loss": self.loss_sum / len(self.split),
            "lr": self.optimizer.param_groups[0]["lr"],
        }
        if self.validate is not None:
            entry["validation"] = self.validate(self.result)
            if entry["validation"] > self.best["value"]:
                weights = {name: each.clone() for name, each in self.result.state_dict().items()}
                kept = weights if self.training.keep == "best" else None
                self.best = {"value": entry["validation"], "epoch": self.epoch, "model": kept}
        self.history.append(entry)
        self.epoch, self.step, self.loss_sum = self.epoch + 1, 0, 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return everything that changes in training."""
        parts = {name: getattr(self, name).state_dict() for name in self.stateful}
        plain = {name: getattr(self, name) for name in ("epoch", "step", "loss_sum", "history", "best")}
        return parts | plain

    def load_state_dict(self, content: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        for name in self.stateful:
            getattr(self, name).load_state_dict(content[name])
        for name in ("epoch", "step", "loss_sum", "history", "best"):
            setattr(self, name, content[name])

    @property
    def stateful(self) -> list[str]:
        """Names of the parts that have a state of their own."""
        return ["model", "optimizer", "scaler", "state", *(["ema"] if self.ema else [])]
