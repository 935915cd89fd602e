"""The risk under a perturbation: plain, noise, adversarial and smoothed training."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from withstand import limits
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.losses import Loss, loss_per_sample
from withstand.functional.random import Rng
from withstand.functional.risks import soft_maximum
from withstand.functional.tensors import PerRow, Points, Targets
from withstand.limits import PositiveInt, Share
from withstand.objectives.base import Batches, Objective, Stateful, Step, weighted_mean
from withstand.objectives.two_passes import TwoPasses
from withstand.perturbations.base import Perturbation, targets_of
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Mixture

Mode = Literal["exact", "two_pass", "resampled"]
Cooling = Literal["constant", "linear", "log_linear"]


class Temperature(nn.Module):
    """The state: the temperature of the epoch."""

    def __init__(self, value: float) -> None:
        """Start with a temperature in nats."""
        super().__init__()
        self.value = value

    def get_extra_state(self) -> dict[str, Any]:
        """Return the temperature."""
        return {"temperature": self.value}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the temperature."""
        self.value = state["temperature"]


@dataclass(frozen=True, kw_only=True)
class PerturbedRisk(Objective):
    r"""Batch mean of the soft maximum of the loss over perturbed copies.

    .. math:: \frac{1}{B} \sum_i \tau \log \sum_s w_{si} \exp(\ell_{si} / \tau)

    With `Identity`, this is plain training; with noise and one draw, noise training; with `PGD`, adversarial training;
    and with draws from a ball and a low temperature, smoothed robust training.

    Attributes:
        perturbation: Applied to the inputs.
        num_draws: Copies per sample and step.
        temperature: tau >= 0 in nats: 0 takes the worst draw, infinity the mean; not used with a single draw.
            Perturbations whose own temperature is None use this one.
        last_temperature: tau in the last epoch; None keeps tau constant.
        cooling: How tau changes from epoch to epoch: `linear`, or `log_linear` (by equal factors).
        loss: Loss of every draw: `cross_entropy`, `binary_cross_entropy`, `hinge` or `squared_error`.
        mode: `exact` backpropagates through all draws at once. `two_pass` and `resampled` first compute all losses
            without gradients, some draws at a time. `two_pass` then backpropagates through the draws that matter for
            the gradient; `resampled` through `num_kept` draws per sample, sampled by weight, which is unbiased. Both
            store only a few numbers per draw.
        num_kept: Draws per sample through which `resampled` backpropagates, at least 1.
        tolerance: Share of a sample's gradient that `two_pass` may leave out, in [0, 1).
        points_at_once: Number of inputs per forward pass in `two_pass` and `resampled`.
        label_smoothing: Share of the target that is spread over all classes, in [0, 1); only for cross entropy.

    Source:
        Piat, Fadili, Jurie, da Veiga: "Regularized Robust Optimization with Application to Robust Learning".
        Differs: the log-sum-exp is normalised, so losses with different numbers of draws are comparable; the
        temperature falls with every epoch, not with every step.
    """

    perturbation: Perturbation = Identity()
    num_draws: PositiveInt = 1
    temperature: limits.Temperature = 1.0
    last_temperature: limits.Temperature | None = None
    cooling: Cooling = "log_linear"
    loss: Loss = "cross_entropy"
    mode: Mode = "exact"
    num_kept: PositiveInt = 16
    tolerance: Share = 1e-3
    points_at_once: PositiveInt = 6400
    label_smoothing: Share = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        ends = (self.temperature, self.last_temperature)
        if self.last_temperature is not None and self.cooling == "log_linear" and 0 in ends:
            raise InputError("PerturbedRisk: log_linear cooling needs temperatures > 0, got 0; linear can end there.")
        if self.last_temperature is not None and self.cooling != "constant" and math.inf in ends:
            raise InputError("PerturbedRisk: cooling needs finite temperatures, got inf; leave out last_temperature.")
        if self.label_smoothing and self.loss != "cross_entropy":
            raise InputError(f"PerturbedRisk: label_smoothing needs the loss cross_entropy, got {self.loss}.")

    def check(self, space: Space) -> None:
        """Check the perturbation."""
        self.perturbation.check(space)

    def init(self, x: Points, *, rng: Rng) -> Stateful:
        """Return the first temperature, if it will change."""
        return nn.Module() if self.last_temperature is None else Temperature(self.temperature)

    def begin_epoch(
        self, model: nn.Module, batches: Batches, *, space: Space, state: Stateful, epoch: int, epochs: int, rng: Rng
    ) -> None:
        """Set the temperature of the epoch."""
        if isinstance(state, Temperature):
            state.value = self.temperature_in(epoch, epochs)

    def temperature_in(self, epoch: int, epochs: int) -> float:
        """Return the temperature of an epoch (from 0) of a training of `epochs` epochs.

        Example:
            >>> PerturbedRisk(temperature=1.0, last_temperature=0.01).temperature_in(1, 3)
            0.1
        """
        first, last = self.temperature, self.last_temperature
        if last is None or self.cooling == "constant":
            return first
        share = min(1.0, epoch / max(1, epochs - 1))
        return first + share * (last - first) if self.cooling == "linear" else first * (last / first) ** share

    def step(
        self,
        model: nn.Module,
        x: Points,
        y: Targets,
        *,
        weight: PerRow | None = None,
        space: Space,
        state: Stateful,
        count: int,
        rng: Rng,
    ) -> Step:
        """Draw, combine the losses of the draws, and average over the batch."""
        if self.mode != "exact" and self.num_draws > 1:
            temperature = self._temperature(state)
            fold = TwoPasses(
                perturbation=self.perturbation.tempered(temperature),
                num_draws=self.num_draws,
                temperature=temperature,
                loss=self.loss,
                label_smoothing=self.label_smoothing,
                num_kept=self.num_kept if self.mode == "resampled" else None,
                tolerance=self.tolerance,
                points_at_once=self.points_at_once,
            )
            return Step(fold(model, x, y, weight=weight, space=space, rng=rng), {})
        losses = self.losses(model, x, y, space=space, state=state, rng=rng)
        return Step(weighted_mean(losses, weight), {})

    def losses(self, model: nn.Module, x: Tensor, y: Tensor, *, space: Space, state: Stateful, rng: Rng) -> PerRow:
        """Return the soft maximum of the losses of each sample, with gradients through all draws at once."""
        temperature = self._temperature(state)
        perturbation = self.perturbation.tempered(temperature)
        draws = perturbation.draw(x, y, model, space=space, num_draws=self.num_draws, rng=rng)
        outputs = model(draws.inputs.flatten(0, 1))
        losses = loss_per_sample(outputs, targets_of(draws, y), self.loss, label_smoothing=self.label_smoothing)
        if self.num_draws == 1:
            return losses
        losses = losses.view(self.num_draws, len(y))
        return soft_maximum(losses, temperature=temperature, log_weights=draws.log_weights)

    def _temperature(self, state: Stateful) -> float:
        return state.value if isinstance(state, Temperature) else self.temperature

    @classmethod
    def examples(cls) -> list[Objective]:
        """Plain, half noisy, and smoothed over several draws in every mode."""
        half_noisy = Mixture()
        return [
            cls(),
            cls(perturbation=half_noisy),
            cls(perturbation=half_noisy, num_draws=3, temperature=0.1),
            cls(perturbation=half_noisy, num_draws=5, mode="two_pass", points_at_once=8, last_temperature=0.1),
            cls(perturbation=half_noisy, num_draws=5, mode="resampled", num_kept=2),
        ]
