"""The risk under a perturbation: plain, noise, adversarial and smoothed training."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.losses import Loss, loss_per_sample
from withstand.functional.random import Rng
from withstand.functional.tensors import PerRow, Points, Targets
from withstand.limits import PositiveInt, Share
from withstand.objectives.base import Batches, Objective, Stateful, Step, weighted_mean
from withstand.objectives.folds.base import Fold, folded, tempered
from withstand.objectives.folds.consistency import Consistency
from withstand.objectives.folds.mean import Mean
from withstand.objectives.folds.soft_maximum import SoftMaximum
from withstand.objectives.folds.trades import Trades
from withstand.objectives.two_passes import TwoPasses
from withstand.perturbations.base import Perturbation
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Mixture

Mode = Literal["exact", "two_pass", "resampled"]


class Progress(nn.Module):
    """The state: how far the training is, from 0 in the first epoch to 1 in the last."""

    def __init__(self) -> None:
        """Start at 0."""
        super().__init__()
        self.share = 0.0

    def get_extra_state(self) -> dict[str, Any]:
        """Return the share."""
        return {"progress": self.share}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the share."""
        self.share = state["progress"]


@dataclass(frozen=True, kw_only=True)
class PerturbedRisk(Objective):
    """Batch mean of a fold of the losses of perturbed copies.

    With `Identity`, this is plain training; with noise and one draw, noise training; with `PGD`, adversarial training;
    with draws from a ball and a soft maximum of low temperature, smoothed robust training; with `Consistency` or
    `Trades`, training for equal predictions on an input and its copies.

    Attributes:
        perturbation: Applied to the inputs.
        num_draws: Copies per sample and step.
        fold: How the outputs for the copies of a sample become one loss.
        loss: Loss of every copy: `cross_entropy`, `binary_cross_entropy`, `hinge` or `squared_error`.
        mode: `exact` backpropagates through all draws at once. `two_pass` and `resampled` first compute all losses
            without gradients, some draws at a time. `two_pass` then backpropagates through the draws that matter for
            the gradient; `resampled` through `num_kept` draws per sample, sampled by weight, which is unbiased. Both
            store only a few numbers per draw, and need the fold `SoftMaximum`, or `Mean` of the draws alone.
        num_kept: Draws per sample through which `resampled` backpropagates, at least 1.
        tolerance: Share of a sample's gradient that `two_pass` may leave out, in [0, 1).
        points_at_once: Number of inputs per forward pass in `two_pass` and `resampled`.
        label_smoothing: Share of the target that is spread over all classes, in [0, 1); only for cross entropy.
    """

    operations: ClassVar = frozenset()

    perturbation: Perturbation = Identity()
    num_draws: PositiveInt = 1
    fold: Fold = SoftMaximum()
    loss: Loss = "cross_entropy"
    mode: Mode = "exact"
    num_kept: PositiveInt = 16
    tolerance: Share = 1e-3
    points_at_once: PositiveInt = 6400
    label_smoothing: Share = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        own, fold = type(self).__name__, type(self.fold).__name__
        if self.label_smoothing and self.loss != "cross_entropy":
            raise InputError(f"{own}: label_smoothing needs the loss cross_entropy, got {self.loss}.")
        if self.fold.needs_probabilities and self.loss != "cross_entropy":
            raise InputError(f"{own}: the fold {fold} needs the loss cross_entropy, got {self.loss}.")
        if self.fold.as_temperature is None and self.mode != "exact":
            raise InputError(f"{own}: mode {self.mode} needs the fold SoftMaximum or Mean without clean, got {fold}.")

    def check(self, space: Space) -> None:
        """Check the perturbation."""
        self.perturbation.check(space)

    def init(self, x: Points, *, model: nn.Module, rng: Rng) -> Stateful:
        """Return the progress of the training, if the fold depends on it."""
        return nn.Module() if self.fold.at(1.0) == self.fold else Progress()

    def begin_epoch(
        self, model: nn.Module, batches: Batches, *, space: Space, state: Stateful, epoch: int, epochs: int, rng: Rng
    ) -> None:
        """Store the progress."""
        if isinstance(state, Progress):
            state.share = min(1.0, epoch / max(1, epochs - 1))

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
        """Draw, fold the losses of the draws, and average over the batch."""
        if self.mode != "exact" and self.num_draws > 1:
            temperature = self._fold(state).as_temperature
            assert temperature is not None
            passes = TwoPasses(
                perturbation=self.perturbation.tempered(temperature),
                num_draws=self.num_draws,
                temperature=temperature,
                loss=self.loss,
                label_smoothing=self.label_smoothing,
                num_kept=self.num_kept if self.mode == "resampled" else None,
                tolerance=self.tolerance,
                points_at_once=self.points_at_once,
            )
            return Step(passes(model, x, y, weight=weight, space=space, rng=rng), {})
        losses = self.losses(model, x, y, space=space, state=state, rng=rng)
        return Step(weighted_mean(losses, weight), {})

    def losses(self, model: nn.Module, x: Tensor, y: Tensor, *, space: Space, state: Stateful, rng: Rng) -> PerRow:
        """Return the folded loss of each sample, with gradients through all draws at once."""
        fold, loss = self._fold(state), partial(loss_per_sample, loss=self.loss, label_smoothing=self.label_smoothing)
        perturbation = tempered(self.perturbation, fold)
        draws = perturbation.draw(x, y, model, space=space, num_draws=self.num_draws, rng=rng)
        return folded(fold, model, x, y, draws, loss=loss)

    def _fold(self, state: Stateful) -> Fold:
        return self.fold.at(state.share) if isinstance(state, Progress) else self.fold

    @classmethod
    def examples(cls) -> list[Objective]:
        """Plain, half noisy, and every fold over several draws; smoothed in every mode."""
        half_noisy = Mixture()
        falling = SoftMaximum(last_temperature=0.1)
        return [
            cls(),
            cls(perturbation=half_noisy),
            cls(perturbation=half_noisy, num_draws=3, fold=SoftMaximum(temperature=0.1)),
            cls(perturbation=half_noisy, num_draws=5, mode="two_pass", points_at_once=8, fold=falling),
            cls(perturbation=half_noisy, num_draws=5, mode="resampled", num_kept=2),
            cls(perturbation=half_noisy, fold=Mean(clean=True)),
            cls(perturbation=half_noisy, num_draws=2, fold=Consistency()),
            cls(perturbation=half_noisy, fold=Trades()),
        ]
