"""Calibration: how well confidence agrees with accuracy, before and after temperature scaling."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from withstand.data.base import Split
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.base import Columns, Evaluation, Numbers, answers
from withstand.functional.calibration import best_temperature
from withstand.functional.random import RowStreams, derive_seed
from withstand.functional.tensors import Labels, Points
from withstand.limits import NonEmpty, PositiveInt
from withstand.models.wrappers.as_logits import AsLogits, is_probability, sums_to_one
from withstand.perturbations.attacks.pgd import PGD
from withstand.perturbations.ball import Ball
from withstand.perturbations.base import Perturbation
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.imagenet_c import ImageNetC
from withstand.perturbations.masking.diagnosis import Diagnosis
from withstand.perturbations.mixing import check_measured
from withstand.study.measures.measure import Measure
from withstand.study.measures.note import Note

MOST_FITTED = 8192  # samples that the temperatures are fitted on
SCALED = "_scaled"
TOPIC = "Calibration"


class Fitted(NamedTuple):
    """What is fitted on unchanged samples.

    Attributes:
        temperatures: For each half of the samples.
        are_probabilities: Whether the outputs are probabilities, whose logarithms are scaled.
        diagnosis: Whether gradients are masked.
    """

    temperatures: tuple[float, float] = (1.0, 1.0)
    are_probabilities: bool = False
    diagnosis: Diagnosis = Diagnosis()


@dataclass(frozen=True, kw_only=True)
class Calibration(Evaluation):
    """Expected calibration error, Brier score and negative log-likelihood, with and without temperature scaling.

    Temperatures are fitted on unchanged samples, split into two halves by their numbers. Each half is scaled with the
    temperature fitted on the other, so a sample's own label does not affect it. Perturbed samples use the same
    temperatures, as in deployment. Outputs that are probabilities are replaced by their logarithms.

    Attributes:
        perturbations: The conditions: Identity is clean, PGD the worst point of a ball, Uniform a random one. ImageNetC
            is replaced by all of its corruptions.
        bins: Number of confidence bins of equal width, at least 1.

    Source:
        Guo et al. 2017, arXiv 1706.04599, equation 3 and section 4.2. Brier 1950, Monthly Weather Review 78, 1: the sum
        over the classes, from 0 to 2.
        Differs: the temperature is fitted by halves of the samples, not on a validation part.
    """

    perturbations: Annotated[tuple[Perturbation, ...], NonEmpty] = (Identity(),)
    bins: PositiveInt = 15

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.conditions)) < len(self.conditions):
            raise InputError(f"Calibration: perturbations must have different conditions, got {self.conditions}.")

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions of the perturbations, marked as calibration."""
        return tuple(f"{each.condition} calibration" for each in self.perturbations)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Each number without and with temperature scaling, and the temperature."""
        found: list[Measure] = []
        for end, words in (("", ""), (SCALED, ", scaled")):
            look: dict[str, Any] = {"better": "lower", "topic": TOPIC}
            error = look | {"reduction": "calibration_error", "parameters": {"bins": self.bins}, "percent": True}
            nll, brier = f"negative log-likelihood{words}", f"Brier score{words}"
            found += [
                Measure(name=f"ece{end}", column=f"confidence{end}", words=f"calibration error{words}", **error),
                Measure(name=f"nll{end}", column=f"nll{end}", words=nll, unit="nats", primary=False, **look),
                Measure(name=f"brier{end}", column=f"brier{end}", words=brier, primary=False, **look),
            ]
        number: dict[str, Any] = {"reduction": "number", "parameters": {"samples": True}, "primary": False}
        return (*found, Measure(name="temperature", column="temperature", topic=TOPIC, **number))

    def only(self, conditions: Sequence[str]) -> "Calibration":
        """Leave out the other perturbations."""
        known = zip(self.perturbations, self.conditions, strict=True)
        return replace(self, perturbations=tuple(each for each, name in known if name in conditions))

    def adapted(self, split: Split) -> "Calibration":
        """Replace ImageNetC by its cells, with the parameters for the size of the images."""
        found: list[Perturbation] = []
        for each in self.perturbations:
            check_measured(each, split.space)
            found += each.cells(*split.shape[1:]) if isinstance(each, ImageNetC) else [each]
        return replace(self, perturbations=tuple(found))

    @property
    def needs_gradient(self) -> bool:
        """Whether a perturbation does."""
        return bool(self.gradient_balls)

    @property
    def gradient_balls(self) -> dict[str, tuple[Ball, ...]]:
        """The balls of perturbations that follow gradients."""
        known = zip(self.conditions, self.perturbations, strict=True)
        return {name: balls for name, each in known if (balls := each.gradient_balls)}

    def prepare(self, model: nn.Module, fit_on: Split, *, space: Space, seed: int, engine: Engine) -> Fitted:
        """Return the temperature for each half of the samples, fitted on the other half; 1 if that is empty."""
        diagnosis = super().prepare(model, fit_on, space=space, seed=seed, engine=engine)
        chosen = torch.linspace(0, len(fit_on) - 1, min(MOST_FITTED, len(fit_on))).round().long()
        plan = chosen.split(engine.samples_per_batch(fit_on.shape))
        logits, labels, halves = [], [], []
        with torch.no_grad():
            for x, y, number, *_ in fit_on.batches(plan, device=engine.device, num_workers=engine.num_workers):
                if len(x):
                    own = model(x).float()
                    finite = own.isfinite().all(1)
                    logits.append(own[finite].cpu())
                    labels.append(y[finite].cpu())
                    halves.append(_halves(number.cpu())[finite.cpu()])
        if not logits:
            return Fitted(diagnosis=diagnosis)
        every, y, half = torch.cat(logits), torch.cat(labels), torch.cat(halves)
        if are_probabilities := len(every) > 0 and is_probability(every) and sums_to_one(every):
            every = AsLogits(nn.Identity())(every)
        fitted = [best_temperature(every[half == k], y[half == k]) if (half == k).any() else 1.0 for k in (1, 0)]
        return Fitted((fitted[0], fitted[1]), are_probabilities, diagnosis)

    def outcomes(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: Fitted, rng: RowStreams
    ) -> dict[str, Columns]:
        """Perturb, and score the probabilities of all classes."""
        found = {}
        attacked, model = state.diagnosis.adapted(model), AsLogits(model) if state.are_probabilities else model
        temperature = torch.tensor(state.temperatures, device=x.device)[_halves(rng.index.cpu()).to(x.device)]
        for perturbation, condition in zip(self.perturbations, self.conditions, strict=True):
            source = rng.named(perturbation.noise)
            own = attacked if perturbation.gradient_balls else model
            draws = perturbation.draw(x, y, own, space=space, num_draws=1, rng=source)
            logits = own(draws.inputs[0]).float()
            scaled = logits / temperature[:, None]
            confidence = {f"confidence{SCALED}": answers(scaled, y)["confidence"]}
            found[condition] = answers(logits, y) | confidence | _scores(logits, y, "") | _scores(scaled, y, SCALED)
        return found

    def conclude(
        self,
        model: nn.Module,
        split: Split,
        outcomes: Mapping[str, Columns],
        *,
        state: Fitted,
        engine: Engine,
    ) -> dict[str, Numbers]:
        """Return the mean of the two temperatures."""
        return {condition: {"temperature": sum(state.temperatures) / 2} for condition in self.conditions}

    def remarks(self, outcomes: Mapping[str, Columns], *, state: Fitted) -> dict[str, tuple[Note, ...]]:
        """Report outputs that are probabilities, and gradient masking."""
        note = Note("The outputs are probabilities; calibration uses their logarithms.")
        said, masked = (note,) if state.are_probabilities else (), super().remarks(outcomes, state=state.diagnosis)
        return {name: (*said, *masked.get(name, ())) for name in outcomes}

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """Clean inputs and noise; the worst point of a ball."""
        return [
            cls(perturbations=(Identity(), Gaussian(std=0.2)), bins=5),
            cls(perturbations=(PGD(ball=Ball("linf", 0.1), steps=2),)),
        ]


def _scores(logits: Tensor, y: Tensor, end: str) -> Columns:
    """Return the loss and the Brier score; the worst possible values where a logit is not finite."""
    finite = logits.isfinite().all(1)
    loss = cross_entropy(logits, y, reduction="none").where(finite, torch.inf)
    distance = (logits.softmax(1) - one_hot(y, logits.shape[1])).square().sum(1)
    return {f"nll{end}": loss, f"brier{end}": distance.where(finite, 2.0)}


def _halves(number: Tensor) -> Tensor:
    """Return 0 or 1 for each sample, from its number alone."""
    return torch.tensor([derive_seed(each, "calibration") % 2 for each in number.tolist()], dtype=torch.int64)
