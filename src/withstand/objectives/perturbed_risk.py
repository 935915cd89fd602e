"""The risk under a perturbation: plain, noise, adversarial and smoothed training are its fields."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from withstand.errors import InputError
from withstand.functional.random import Rng
from withstand.functional.risks import soft_maximum
from withstand.objectives.base import Objective, Stateful, Step
from withstand.perturbations.base import Perturbation
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Mixture


@dataclass(frozen=True, kw_only=True)
class PerturbedRisk(Objective):
    r"""Mean over the batch of the soft maximum, over draws of a perturbation, of the cross entropy.

    .. math:: \frac{1}{B} \sum_i \tau \log \sum_s w_{si} \exp(\ell_{si} / \tau)

    With Identity this is plain training, with noise and one draw noise training, with draws from a ball and a low
    temperature smoothed robust training.

    Attributes:
        perturbation: What the inputs are replaced by.
        num_draws: Copies per sample and step.
        temperature: tau >= 0 in nats: 0 takes the worst draw, infinity the mean; without effect for one draw.
        label_smoothing: Share of the target that is spread over all classes, in [0, 1).

    Source:
        Piat, Fadili, Jurie, da Veiga: "Regularized Robust Optimization with Application to Robust Learning".
        Differs: the log-sum-exp is normalised, so losses compare across numbers of draws.
    """

    perturbation: Perturbation = Identity()
    num_draws: int = 1
    temperature: float = 1.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.num_draws < 1:
            raise InputError(f"PerturbedRisk: num_draws must be at least 1, got {self.num_draws}.")
        if not self.temperature >= 0:
            raise InputError(f"PerturbedRisk: temperature must be >= 0, got {self.temperature}.")
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"PerturbedRisk: label_smoothing must be in [0, 1), got {self.label_smoothing}.")

    def step(
        self,
        model: nn.Module,
        x: Float[Tensor, "batch *feature"],
        y: Int[Tensor, " batch"],
        *,
        state: Stateful,  # noqa: ARG002
        count: int,  # noqa: ARG002
        rng: Rng,
    ) -> Step:
        """Draw, fold the losses of the draws, average over the batch."""
        draws = self.perturbation.draw(x, y, model, num_draws=self.num_draws, rng=rng)
        if self.num_draws == 1:
            logits = model(draws.inputs[0]).float()
            return Step(cross_entropy(logits, y, label_smoothing=self.label_smoothing), {})
        logits = model(draws.inputs.flatten(0, 1)).float()
        losses = cross_entropy(
            logits, y.repeat(self.num_draws), reduction="none", label_smoothing=self.label_smoothing
        ).view(self.num_draws, len(y))
        folded = soft_maximum(losses, temperature=self.temperature, log_weights=draws.log_weights)
        return Step(folded.mean(), {})

    @classmethod
    def examples(cls) -> list[Objective]:
        """Plain, half noisy, and smoothed over several draws."""
        half_noisy = Mixture()
        return [
            cls(),
            cls(perturbation=half_noisy),
            cls(perturbation=half_noisy, num_draws=3, temperature=0.1),
        ]
