"""Evaluation: the base of what is measured on a finished model, sample by sample."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from withstand.configuration import Configuration
from withstand.data.base import Split
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.functional.random import RowStreams
from withstand.functional.tensors import Labels, Points
from withstand.limits import Seed, checked
from withstand.perturbations.ball import Ball
from withstand.perturbations.masking.diagnosis import NUM_PROBES, Diagnosis, diagnose
from withstand.study.measures.measure import Measure
from withstand.study.measures.note import Note

Columns = dict[str, Shaped[Tensor, " sample"]]
Numbers = dict[str, float]


class Outcomes(NamedTuple):
    """Outcomes of all samples of a split, on the CPU, in the order of the samples' numbers.

    Attributes:
        number: Number of each sample in its split.
        label: Its class.
        columns: By condition and column, one value per sample.
        numbers: By condition and column, numbers about the model as a whole.
        notes: By condition, what a reader of the numbers must know; see `Evaluation.remarks`.
    """

    number: Int[Tensor, " sample"]
    label: Int[Tensor, " sample"]
    columns: dict[str, Columns]
    numbers: dict[str, Numbers]
    notes: dict[str, tuple[Note, ...]]


class Evaluation(Configuration, ABC):
    """A measurement of a finished model: a frozen keyword-only dataclass.

    A subclass implements `conditions`, `measures`, `outcomes` and `examples`. Batches, devices
    and processes are in `withstand.evaluation.loop`; progress, files and resuming in `withstand.measuring`.

    Contract of every subclass: the model (weights, gradients, mode, batch statistics) and the global generators are not
    changed. The outcome of a sample depends only on the model, the sample, its number and the seed, not on other
    samples in the batch or on the engine.
    """

    @property
    @abstractmethod
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions, in order."""

    @property
    @abstractmethod
    def measures(self) -> tuple[Measure, ...]:
        """The measures computed from the outcomes under each condition, in order."""

    def only(self, conditions: Sequence[str]) -> "Evaluation":
        """Return the evaluation under some of its conditions; all of them if they cannot be separated."""
        return self

    def adapted(self, split: Split) -> "Evaluation":
        """Return the evaluation adapted to a split; called before the first sample is fetched.

        Raises:
            InputError: If the evaluation does not fit the split.
        """
        return self

    def check(self, model: nn.Module, space: Space) -> None:
        """Reject a model that cannot be measured; called before the first sample is fetched.

        Raises:
            InputError: If the evaluation does not fit the model.
        """

    @property
    def needs_gradient(self) -> bool:
        """Whether models without gradients cannot be measured; False by default."""
        return False

    @property
    def most_per_block(self) -> int | None:
        """Largest number of samples that are measured before outcomes are kept, if each takes long; None by default."""
        return None

    @property
    def needs_training_samples(self) -> bool:
        """Whether `prepare` needs samples of the training part."""
        return False

    @property
    def gradient_balls(self) -> Mapping[str, Sequence[Ball]]:
        """By condition, the balls in which it follows gradients of the model; none by default."""
        return {}

    def prepare(self, model: nn.Module, fit_on: Split, *, space: Space, seed: int, engine: Engine) -> Any:
        """Return a state for `outcomes`, such as a trained noise generator.

        By default, a `Diagnosis`: gradients are checked for masking if there are `gradient_balls`.

        Called once before the first sample, in every process; all processes must get the same result.

        Args:
            model: Maps inputs to logits; on the engine's device, in evaluation mode.
            fit_on: Samples to train on: the training part, or else the samples that are evaluated.
            space: The input space.
            seed: Seed of every draw.
            engine: Device and processes; does not affect results.
        """
        balls = dict.fromkeys(ball for own in self.gradient_balls.values() for ball in own)
        if not balls or len(fit_on) == 0 or len(x := first_inputs(fit_on, NUM_PROBES, engine)) == 0:
            return Diagnosis()
        return diagnose(model, x, balls=tuple(balls), space=space)

    @abstractmethod
    def outcomes(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: Any, rng: RowStreams
    ) -> dict[str, Columns]:
        """Return the outcomes of a batch: by condition and column, one value per sample.

        Tables of samples show the columns `prediction` (a class, or -1 if an output is not finite), `confidence` (its
        probability) and `correct` (0, 1 or a share). Other columns are specific to the evaluation.

        Args:
            model: Maps inputs to logits; in evaluation mode. Gradients are disabled; enable them if needed.
            x: Inputs; at least one.
            y: Labels.
            space: The input space.
            state: From `prepare`.
            rng: One random stream per sample, derived from the seed and the sample's number; `rng.named(condition)`
                derives the streams of a condition.
        """

    def further(self, outcomes: Mapping[str, Columns], *, state: Any) -> Any | None:
        """Return the state of another pass over all samples; by default None: one pass is enough.

        The outcomes of all passes are joined, so that columns of different passes have different names.

        Args:
            outcomes: Outcomes of all batches in the passes so far, in the order of their numbers, on the CPU.
            state: From `prepare`.
        """
        return None

    def conclude(
        self, model: nn.Module, split: Split, outcomes: Mapping[str, Columns], *, state: Any, engine: Engine
    ) -> dict[str, Numbers]:
        """Return numbers about the model as a whole, by condition and column; none by default.

        Args:
            model: As for `outcomes`.
            split: All samples.
            outcomes: Outcomes of all batches, in the order of their numbers, on the CPU.
            state: From `prepare`.
            engine: Device; does not affect results.
        """
        return {}

    def remarks(self, outcomes: Mapping[str, Columns], *, state: Any) -> dict[str, tuple[Note, ...]]:
        """Return notes on the numbers, by condition; by default on the gradients in `gradient_balls`.

        They are printed below every table.

        Args:
            outcomes: Outcomes of all batches, on the CPU.
            state: From `prepare`.
        """
        return {
            name: tuple(dict.fromkeys(note for ball in balls for note in state.notes(ball)))
            for name, balls in self.gradient_balls.items()
        }

    @final
    @checked
    def measure(
        self, model: nn.Module, split: Split, *, seed: Seed, engine: Engine, fit_on: Split | None = None
    ) -> Outcomes:
        """Return the outcomes of all samples, the same in every process.

        Args:
            model: Maps inputs to logits; on the engine's device.
            split: The samples.
            seed: Seed of every draw.
            engine: Device, processes and batch size.
            fit_on: Samples to train on; None takes the samples that are evaluated.
        """
        from withstand.evaluation.loop import measure_all

        return measure_all(self, model, split, seed=seed, engine=engine, fit_on=fit_on)

    @classmethod
    @abstractmethod
    def examples(cls) -> list["Evaluation"]:
        """Return a few small instances, on which the contract tests run."""


def first_inputs(split: Split, num: int, engine: Engine) -> Points:
    """Return the first inputs of a split that can be read."""
    plan = torch.arange(min(num, len(split))).split(engine.samples_per_batch(split.shape))
    return torch.cat([each[0] for each in split.batches(plan, device=engine.device, num_workers=engine.num_workers)])


def unfinished_note(wrong: int, count: int, what: str) -> tuple[Note, ...]:
    """Return the note on outputs that are not finite, if there are any.

    Example:
        >>> unfinished_note(2, 10, "draws")[0].text, unfinished_note(0, 10, "draws")
        ('At 2 of 10 draws, outputs are not finite (NaN or infinity) and count as wrong.', ())
    """
    sentence = f"At {wrong:,} of {count:,} {what}, outputs are not finite (NaN or infinity) and count as wrong."
    return (Note(sentence),) if wrong else ()


def answers(logits: Float[Tensor, "batch class"], y: Labels, ranks: Labels | None = None) -> Columns:
    """Return the columns `prediction`, `confidence` and `correct` of some logits.

    The prediction is the class with the highest logit, the first of equal ones; -1, with a confidence of 0, if a logit
    is NaN or infinite. A sample is correct if the label's logit is higher than all others; a tie is wrong.

    Args:
        logits: Minus infinity excludes a class.
        y: Labels.
        ranks: Result of `rank`, if known.

    Example:
        >>> found = answers(torch.tensor([[2.0, 0.0], [torch.nan, 0.0]]), torch.tensor([0, 1]))
        >>> found["prediction"].tolist(), found["correct"].tolist()
        ([0, -1], [True, False])
    """
    logits = logits.float()
    # The maximum is NaN if any logit is.
    highest, prediction = logits.max(1)
    finite = highest.isfinite()
    return {
        "prediction": prediction.where(finite, -1),
        "confidence": logits.softmax(1).amax(1).where(finite, 0.0),
        "correct": (rank(logits[None], y)[0] if ranks is None else ranks) == 0,
    }


def rank(logits: Float[Tensor, "draw batch class"], y: Labels) -> Int[Tensor, "draw batch"]:
    """Return how many classes have a logit at least as high as the label's own; a tie does not count as a hit.

    Returns:
        0 if the label wins; the number of classes if its logit is NaN.

    Example:
        >>> rank(torch.tensor([[[0.1, 0.7, 0.2]]]), torch.tensor([2]))
        tensor([[1]])
    """
    own = logits.gather(2, y.expand(len(logits), -1).unsqueeze(2))
    # x - x is 0 unless x is NaN or infinite, which counts as one more class that wins.
    return logits.shape[2] - 1 - (logits < own).sum(2) + (own - own != 0).squeeze(2)
