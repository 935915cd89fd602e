"""StackedUpdate: the optimizer step of several trials at once."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.stacked.network import Stacked
from withstand.training.settings import Training


class StackedUpdate:
    """`Update` for several trials: optimizer, schedule and clipping of stacked networks.

    Optimizers work elementwise, so one optimizer of the stacked weights serves all trials.
    """

    def __init__(self, model: Stacked, *, training: Training, steps_per_epoch: int) -> None:
        """Make the optimiser, with the groups of weights that `Optimizer.build` makes for one network.

        Args:
            model: Its parameters are updated.
            training: Settings of the training.
            steps_per_epoch: For the schedule.
        """
        self.model, self.training, self.steps_per_epoch = model, training, steps_per_epoch
        weights = [each for each in model.parameters() if each.ndim > 2]
        vectors = [each for each in model.parameters() if each.ndim <= 2]
        groups = [{"params": weights}, {"params": vectors, "weight_decay": 0.0}]
        decays = training.optimizer.weight_decay != 0
        self.optimizer = training.optimizer.make(groups if decays else list(model.parameters()))
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.failures: dict[int, str] = {}

    @property
    def going(self) -> list[int]:
        """Numbers of the trials that have not failed."""
        return [trial for trial in range(self.model.num_networks) if trial not in self.failures]

    def apply(self, losses: Float[Tensor, " trial"], *, count: int) -> list[float]:
        """Follow the gradient of every trial's loss, and return the losses.

        A trial fails if its loss, or its gradient with clipping, is not finite. It stays in the batch, which does not
        affect the others.

        Args:
            losses: Mean over each trial's rows.
            count: Number of steps done before.
        """
        schedule, epochs = self.training.schedule, self.training.epochs
        factor = schedule.factor(count, steps_per_epoch=self.steps_per_epoch, epochs=epochs)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        # No weight is shared, so the gradient of the sum is each trial's own.
        losses.sum().backward()
        values = losses.detach().tolist()
        place = f"epoch {count // self.steps_per_epoch + 1}, step {count % self.steps_per_epoch + 1}"
        for trial in self.going:
            if not math.isfinite(values[trial]):
                self.failures[trial] = f"training: non-finite loss ({values[trial]}) at {place}."
        if self.training.clip_norm is not None:
            norms = self._clip(self.training.clip_norm).tolist()
            for trial in self.going:
                if not math.isfinite(norms[trial]):
                    self.failures[trial] = f"training: non-finite gradient at {place}."
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return values

    def state_of(self, trial: int) -> dict[str, Any]:
        """Return the state of a trial, including the model, as `Update.state_dict`."""
        content = self.optimizer.state_dict()
        content["state"] = {number: slice_of(each, trial) for number, each in content["state"].items()}
        model = {name: each.clone() for name, each in self.model.state_of(trial).items()}
        return {"model": model, "optimizer": content}

    def load_optimizers(self, states: Sequence[dict[str, Any]]) -> None:
        """Resume from the states of the trials' optimisers; the model has their weights already."""
        optimizers = [each["optimizer"] for each in states]
        numbers = optimizers[0]["state"]
        merged = {number: stack_of([each["state"][number] for each in optimizers]) for number in numbers}
        self.optimizer.load_state_dict(optimizers[0] | {"state": merged})

    def _clip(self, limit: float) -> Float[Tensor, " trial"]:
        """Clip the gradient norm of each trial, and return the norms before."""
        gradients = [each.grad for each in self.model.parameters() if each.grad is not None]
        lengths = torch.stack([torch.linalg.vector_norm(each.flatten(1), dim=1) for each in gradients])
        norms = torch.linalg.vector_norm(lengths, dim=0)
        # As torch.nn.utils.clip_grad_norm_ does it.
        factors = (limit / (norms + 1e-6)).clamp(max=1.0)
        for each in gradients:
            each.mul_(factors.view(-1, *[1] * (each.ndim - 1)))
        return norms


def slice_of(state: dict[str, Any], trial: int) -> dict[str, Any]:
    """Return one trial's part of the optimiser state of a stacked weight; scalars are common to all."""
    return {
        name: each[trial].clone() if isinstance(each, Tensor) and each.ndim > 0 else each
        for name, each in state.items()
    }


def stack_of(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the optimiser state of a stacked weight from the states of the trials."""
    return {
        name: torch.stack([state[name] for state in states]) if isinstance(each, Tensor) and each.ndim > 0 else each
        for name, each in states[0].items()
    }
