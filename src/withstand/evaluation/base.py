"""Evaluation: the base of what is measured on a finished model, sample by sample."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from withstand.configuration import Configuration
from withstand.data.base import Split
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.functional.random import RowStreams
from withstand.functional.tensors import Labels, Points
from withstand.study.measures.measure import Measure

Columns = dict[str, Shaped[Tensor, " sample"]]
Numbers = dict[str, float]


class Outcomes(NamedTuple):
    """What was found of every sample of a split, on the CPU, in the order of the samples' numbers.

    Attributes:
        number: Of each sample in its split.
        label: Its class.
        columns: By condition and column, one value per sample.
        numbers: By condition and column, what is said of the model as a whole.
    """

    number: Int[Tensor, " sample"]
    label: Int[Tensor, " sample"]
    columns: dict[str, Columns]
    numbers: dict[str, Numbers]


class Evaluation(Configuration, ABC):
    """A question about a finished model: a frozen keyword-only dataclass.

    An author writes `conditions`, `measures`, `outcomes` and `examples`. The loop over the samples, devices, processes,
    progress, files and resuming are written once, in `withstand.evaluation.loop` and `withstand.measuring`.

    Contract of every subclass: the model (weights, gradients, mode, batch statistics) and the global generators stay as
    they were; a sample's outcome depends on the model, the sample, its number and the seed only, neither on the samples
    beside it nor on the engine.
    """

    @property
    @abstractmethod
    def conditions(self) -> tuple[str, ...]:
        """The conditions under which the model is asked, in order."""

    @property
    @abstractmethod
    def measures(self) -> tuple[Measure, ...]:
        """The numbers that the outcomes under each condition are reduced to, in order."""

    def only(self, conditions: Sequence[str]) -> "Evaluation":
        """Return the evaluation under some of its conditions; under all of them, where they cannot be separated."""
        return self

    def adapted(self, split: Split) -> "Evaluation":
        """Return the question as it is asked of these samples; called before the first one is fetched.

        Raises:
            InputError: If it cannot be asked of them; the message says why.
        """
        return self

    def check(self, model: nn.Module, space: Space) -> None:
        """Refuse a model that the question cannot be asked of; called before anything is measured.

        Raises:
            InputError: If it cannot; the message says why.
        """

    @property
    def needs_training_samples(self) -> bool:
        """Whether `prepare` is to be given samples of the training part."""
        return False

    def prepare(self, model: nn.Module, fit_on: Split, *, space: Space, seed: int, engine: Engine) -> Any:
        """Return what `outcomes` needs besides the samples, such as a trained noise generator; nothing by default.

        Called once before the first sample, in every process, which must all return the same.

        Args:
            model: Maps inputs to logits; on the engine's device, in evaluation mode.
            fit_on: Samples that something may be trained on: those of the training part, or the samples themselves.
            space: What the inputs are.
            seed: Decides every draw.
            engine: Device and processes; does not affect results.
        """
        return None

    @abstractmethod
    def outcomes(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: Any, rng: RowStreams
    ) -> dict[str, Columns]:
        """Return what is found of a batch: by condition and column, one value per sample.

        Columns called `prediction` (a class, or -1 where an output is not finite), `confidence` (its probability) and
        `correct` (0, 1 or a share) are what tables of samples show; all others are up to the evaluation.

        Args:
            model: Maps inputs to logits; in evaluation mode, without gradients unless they are switched on.
            x: Inputs; at least one.
            y: Labels.
            space: What the inputs are.
            state: What `prepare` returned.
            rng: One source per sample, from the seed and the sample's number; `rng.named(condition)` makes those of a
                condition.
        """

    def conclude(
        self, model: nn.Module, split: Split, outcomes: Mapping[str, Columns], *, state: Any, engine: Engine
    ) -> dict[str, Numbers]:
        """Return what is said of the model as a whole, by condition and column; nothing by default.

        Args:
            model: As for `outcomes`.
            split: All samples.
            outcomes: Of all of them, in the order of their numbers, on the CPU.
            state: What `prepare` returned.
            engine: Device; does not affect results.
        """
        return {}

    @final
    def measure(
        self, model: nn.Module, split: Split, *, seed: int, engine: Engine, fit_on: Split | None = None
    ) -> Outcomes:
        """Return the outcomes of all samples, the same in every process.

        Args:
            model: Maps inputs to logits; on the engine's device.
            split: The samples.
            seed: Decides every draw.
            engine: Device, processes and batch size.
            fit_on: Samples that something may be trained on; None takes the samples themselves.
        """
        from withstand.evaluation.loop import measure_all

        return measure_all(self, model, split, seed=seed, engine=engine, fit_on=fit_on)

    @classmethod
    @abstractmethod
    def examples(cls) -> list["Evaluation"]:
        """Return a few small instances, on which the contract tests run."""


def answers(logits: Float[Tensor, "batch class"], y: Labels, ranks: Labels | None = None) -> Columns:
    """Return the columns `prediction`, `confidence` and `correct` of some logits.

    The prediction is the class with the highest logit, the lowest number of equal ones; -1, with a confidence of 0,
    where a logit is not a number or infinite. Correct is a label whose logit is higher than all others: a tie is a
    mistake.

    Args:
        logits: Minus infinity is a class that is ruled out.
        y: Labels.
        ranks: What `rank` returns of them, where it is known already.

    Example:
        >>> import torch
        >>> found = answers(torch.tensor([[2.0, 0.0], [torch.nan, 0.0]]), torch.tensor([0, 1]))
        >>> found["prediction"].tolist(), found["correct"].tolist()
        ([0, -1], [True, False])
    """
    logits = logits.float()
    # The highest of some logits is not a number where one of them is not.
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
        0 where the label wins. Where its logit is not a number, the number of classes.

    Example:
        >>> import torch
        >>> rank(torch.tensor([[[0.1, 0.7, 0.2]]]), torch.tensor([2]))
        tensor([[1]])
    """
    own = logits.gather(2, y.expand(len(logits), -1).unsqueeze(2))
    # A number minus itself is 0; infinity and what is no number are not, and count as another class that wins.
    return logits.shape[2] - 1 - (logits < own).sum(2) + (own - own != 0).squeeze(2)
