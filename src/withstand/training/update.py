"""Optimiser steps with scaling, clipping and averaging."""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from withstand.engine import Engine, sum_over_processes
from withstand.errors import InputError, TrainingError
from withstand.models.wrappers.mixed_precision import check_bf16
from withstand.training.settings import Training

AMP = {"no": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Update:
    """The optimiser with its schedule, loss scaling, clipping and running mean of the weights."""

    def __init__(
        self, model: nn.Module, *, trained: nn.Module, training: Training, engine: Engine, steps_per_epoch: int
    ) -> None:
        """Make the optimiser.

        Args:
            model: Its weights are averaged and saved.
            trained: Its parameters are updated: the model, and what the objective trains with it.
            training: The settings.
            engine: Device and processes; gradients are summed over processes.
            steps_per_epoch: For the schedule.
        """
        if training.amp == "fp16" and engine.device.type != "cuda":
            raise InputError(f"training: amp fp16 needs a CUDA device, got {engine.device.type}; bf16 works there.")
        if training.amp == "bf16":
            check_bf16(engine.device, who="training")
        self.model, self.training, self.engine, self.steps_per_epoch = model, training, engine, steps_per_epoch
        self.optimizer = training.optimizer.build(trained)
        self.parameters = [each for group in self.optimizer.param_groups for each in group["params"]]
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.scaler = torch.amp.GradScaler(engine.device.type) if training.amp == "fp16" else None
        self.ema = self.swa = None
        if training.ema_decay is not None:
            mean = get_ema_multi_avg_fn(training.ema_decay)
            self.ema = AveragedModel(model, multi_avg_fn=mean, use_buffers=True)
        if training.swa_start is not None:
            self.swa = AveragedModel(model, use_buffers=True)

    @property
    def average(self) -> AveragedModel | None:
        """The running mean of the weights, if any."""
        return self.ema or self.swa

    def autocast(self) -> AbstractContextManager[object, bool | None]:
        """Return the autocast context for losses."""
        dtype = AMP[self.training.amp]
        return nullcontext() if dtype is None else torch.autocast(self.engine.device.type, dtype=dtype)

    def apply(self, loss: Tensor, *, weight: float, count: int) -> float:
        """Take one optimiser step, and return the loss over all processes.

        Args:
            loss: Mean over this process's rows.
            weight: Share of the batch that these rows are.
            count: Number of steps done before.

        Raises:
            TrainingError: If the loss, or a gradient to clip, is not finite; no step is taken.
        """
        schedule, epochs = self.training.schedule, self.training.epochs
        factor = schedule.factor(count, steps_per_epoch=self.steps_per_epoch, epochs=epochs)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        if weight != 1:
            loss = loss * weight
        (self.scaler.scale(loss) if self.scaler else loss).backward()
        value = self._add_up(loss.detach()).item()
        if not math.isfinite(value):
            raise TrainingError(f"training: non-finite loss ({value}) at {self._place(count)}.")
        if self.training.clip_norm is not None:
            self._clip(self.training.clip_norm, count)
        if self.scaler:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        for each in self.parameters:
            each.grad = None
        if self.ema:
            self.ema.update_parameters(self.model)
        return value

    def end_epoch(self, done: int) -> None:
        """Average the weights of the epoch, if SWA has started.

        Args:
            done: Number of epochs done, this one included.
        """
        start = self.training.swa_start
        if self.swa and start is not None and done > start * self.training.epochs:
            self.swa.update_parameters(self.model)

    def state_dict(self) -> dict[str, Any]:
        """Return the state, including the model."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume from a `state_dict`."""
        for name, part in self._parts().items():
            part.load_state_dict(state_dict[name])

    def _clip(self, most: float, count: int) -> None:
        """Scale the gradients to a norm of at most `most`."""
        if self.scaler:
            self.scaler.unscale_(self.optimizer)
        norm = nn.utils.get_total_norm([each.grad for each in self.parameters if each.grad is not None])
        if self.scaler:  # which skips steps that are not finite; its norm is not read, as that waits for the device
            nn.utils.clip_grads_with_norm_(self.parameters, most, norm)
            return
        value = norm.item()
        if not math.isfinite(value):
            raise TrainingError(f"training: non-finite gradient at {self._place(count)}.")
        if value + 1e-5 > most:  # below, the factor is exactly 1
            nn.utils.clip_grads_with_norm_(self.parameters, most, norm)

    def _place(self, count: int) -> str:
        return f"epoch {count // self.steps_per_epoch + 1}, step {count % self.steps_per_epoch + 1}"

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self.model, "optimizer": self.optimizer, "scaler": self.scaler}
        parts |= {"ema": self.ema, "swa": self.swa}
        return {name: part for name, part in parts.items() if part is not None}

    def _add_up(self, loss: Tensor) -> Tensor:
        if self.engine.world_size == 1:
            return loss
        gradients = [each.grad for each in self.parameters if each.grad is not None]
        flat = sum_over_processes(torch.cat([loss.view(1), *(each.flatten() for each in gradients)]))
        for gradient, added in zip(gradients, flat[1:].split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(added.view_as(gradient))
        return flat[0]
