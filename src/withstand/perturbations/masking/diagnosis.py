"""Diagnosis: whether the gradients of a model are masked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.functional.margins import log_odds
from withstand.functional.random import normal, row_streams
from withstand.functional.tensors import Labels, Points
from withstand.models.frozen import frozen
from withstand.models.wrappers.as_logits import AsLogits, is_probability, sums_to_one
from withstand.models.wrappers.black_box import is_differentiable
from withstand.models.wrappers.expectation import NUM_DRAWS, Expectation, generators_kept
from withstand.models.wrappers.with_surrogate import WithSurrogate
from withstand.perturbations.ball import Ball
from withstand.perturbations.masking.surrogate import surrogate
from withstand.perturbations.search.ascent import ascend
from withstand.perturbations.search.frame import Flat, Frame, Place
from withstand.perturbations.search.target import Target
from withstand.study.measures.note import Note

NUM_PROBES = 64  # inputs on which gradients are tried
NUM_LEARNED = 4096  # inputs around which a surrogate learns
NUM_ANSWERS = 3  # of the same inputs, to see whether they differ
NUM_STEPS = 4  # random steps that a step along the gradient should beat
LENGTHS = (1.0, 1 / 4, 1 / 16)  # of these steps, in radii
# What to do about masking: before and after attacks have followed other gradients.
RETRY = "Measure `worst-case` with `--budget standard`; if you have a similar unmasked model, pass it as `surrogate=`."
REMOVE = "Remove the cause of the masking"
CLIMB = 20  # steps towards another class, in a ball that holds all probes

# Shares of the probes. Networks without masking, whether trained plainly, with noise or adversarially, stay below the
# first; with masking, the share that reveals it exceeds the second.
SUSPECT, MASKED = 0.05, 0.1


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What a model's outputs and gradients at a few inputs show about gradient masking.

    Attributes:
        count: Number of inputs that were tried.
        inputs: Which inputs, as text.
        is_random: Whether repeated passes of the same inputs gave different outputs.
        is_probability: Whether all outputs lie in [0, 1].
        sums_to_one: Whether they sum to 1 as well.
        blind: Share of the inputs whose gradient is zero or not finite.
        stuck: Share of the inputs from which ascent reaches no other class, although its ball contains inputs of
            other classes; includes `blind`.
        has_gradients: Whether the model can be differentiated.
        misled: By ball, the share of the inputs where steps along the gradient gain less than the best random one.
        surrogate: A network whose gradients attacks can follow instead; None if there is none.
        is_given: Whether the user gave the surrogate.
    """

    count: int = 0
    inputs: str = "checked inputs"
    is_random: bool = False
    is_probability: bool = False
    sums_to_one: bool = True
    blind: float = 0.0
    stuck: float = 0.0
    has_gradients: bool = True
    misled: Mapping[Ball, float] = field(default_factory=dict)
    surrogate: nn.Module | None = None
    is_given: bool = False

    def adapted(self, model: nn.Module) -> nn.Module:
        """Return the model that attacks use: deterministic, with logits as outputs."""
        if self.is_probability:
            model = AsLogits(model, sums_to_one=self.sums_to_one)
        return Expectation(model) if self.is_random else model

    def is_masked(self, ball: Ball, share: float = MASKED) -> bool:
        """Return whether the share of inputs with useless gradients counts as masking."""
        return max(self.stuck, self.misled.get(ball, 0.0)) >= share

    def needs_guides(self, ball: Ball) -> bool:
        """Return whether attacks in a ball should also follow other gradients than the model's."""
        return self.is_masked(ball, SUSPECT) or self.surrogate is not None

    def notes(self, ball: Ball, *, unseen: float = 0.0, reacts: bool = False) -> tuple[Note, ...]:
        """Return the notes on the numbers of a ball.

        Args:
            ball: The ball.
            unseen: Share of the samples broken only by attacks that do not use the model's gradient.
            reacts: Whether the budget lets attacks follow other gradients where they are needed.
        """
        done = f"attacks also used {self._guides(ball)}" if reacts and self.needs_guides(ball) else ""
        found: list[Note] = []
        if self.is_probability:
            what = "logarithms" if self.sums_to_one else "log odds"
            found.append(Note(f"The outputs are probabilities; attacks use their {what}."))
        if not self.has_gradients:
            how = "queries" if done else "queries alone, which find less than gradients do"
            found.append(Note(f"The model has no gradients; attacks use {how}."))
        if self.is_random:
            text = f"The model's outputs are random; attacks and accuracies use the mean of {NUM_DRAWS} passes."
            found.append(Note(text))
        seen, inputs = [], f"{self.count} {self.inputs}"
        if self.blind >= MASKED:
            seen.append(f"the gradient is zero or not finite on {_percent(self.blind)} of {inputs}")
        elif self.stuck >= MASKED:
            seen.append(f"unbounded ascent fails on {_percent(self.stuck)} of {inputs}")
        elif self.is_masked(ball):
            share = _percent(self.misled[ball])
            seen.append(f"random steps beat gradient steps on {share} of {inputs}")
        if unseen:
            seen.append(f"{_percent(unseen)} of the samples are broken only by points found without the gradient")
        if seen:
            why = "; ".join([", ".join(seen), *([done] if done else [])])
            text = f"Gradient masking: the model may be far less robust than measured, since {why}."
            todo = RETRY if not reacts else f"{REMOVE}." if self.is_given else f"{REMOVE}, or pass `surrogate=`."
            found.append(Note(f"{text} {todo}", is_doubt=True))
        elif done and self.is_given:
            found.append(Note(f"{done.capitalize()}."))
        if self.is_given and not reacts:
            text = "The given surrogate is followed only by the attacks of budgets, not by the chosen attacks."
            found.append(Note(text))
        return tuple(found)

    def _guides(self, ball: Ball) -> str:
        """Return what attacks use besides the model's own gradients, as text."""
        which = "the given surrogate" if self.is_given else "a surrogate"
        names = [which] if self.surrogate is not None else []
        names += ["smoothed gradients", *(["queries"] if self.is_masked(ball) else [])]
        return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), names[-1]])


def diagnose(model: nn.Module, x: Points, *, balls: Sequence[Ball], space: Space) -> Diagnosis:
    """Check a model's outputs and gradients at a few inputs.

    Args:
        model: Maps inputs to logits or probabilities; in evaluation mode.
        x: Inputs, at least one.
        balls: The balls in which it will be attacked.
        space: The input space.
    """
    with frozen(model), torch.no_grad():
        found = _answers(model, x)
        if isinstance(model, WithSurrogate):
            found = replace(found, surrogate=model.surrogate, is_given=True)
        if not is_differentiable(model):
            return replace(found, has_gradients=False)
        model = found.adapted(model)
        classes = model(x).argmax(1)
        if len(classes.unique()) == 1:  # ascent may rightly find no other class
            return found
        blind, stuck = _climbs(model, x, classes, space)
        misled = {ball: _misled(model, Frame(x, ball, space), classes) for ball in balls}
        return replace(found, blind=blind, stuck=stuck, misled=misled)


def needs_surrogate(found: Diagnosis) -> bool:
    """Return whether attacks should use a surrogate, since gradients may be masked, and none was given."""
    return not found.is_given and any(found.is_masked(ball, SUSPECT) for ball in found.misled)


def with_surrogate(found: Diagnosis, model: nn.Module, x: Points, *, space: Space) -> Diagnosis:
    """Return a diagnosis with a surrogate trained on a model's outputs near the inputs."""
    with frozen(model):
        model = found.adapted(model)
        with torch.no_grad():
            num_classes = model(x[:1]).shape[1]
        return replace(found, surrogate=surrogate(model, x, space=space, num_classes=num_classes))


def _answers(model: nn.Module, x: Tensor) -> Diagnosis:
    """Return whether a model is random, and whether its outputs are probabilities."""
    with generators_kept(x.device):
        outputs = torch.stack([model(x).float() for _ in range(NUM_ANSWERS)])
    size = outputs.abs().nan_to_num(posinf=0).amax(2, keepdim=True)
    differ = (outputs - outputs[:1]).abs().nan_to_num() > 1e-4 * size
    return Diagnosis(
        count=len(x),
        is_random=bool(differ.any()),
        is_probability=is_probability(outputs),
        sums_to_one=sums_to_one(outputs.flatten(0, 1)),
    )


def _objective(logits: Tensor, y: Labels, rows: Tensor) -> Tensor:  # noqa: ARG001
    return log_odds(logits, y)


def _climbs(model: nn.Module, x: Tensor, classes: Tensor, space: Space) -> tuple[float, float]:
    """Return the shares of inputs without a gradient, and of inputs from which ascent reaches no other class."""
    low, high = space.box or (x.min().item(), x.max().item())
    frame = Frame(x, Ball("linf", high - low), space)
    target, rows = Target(model, frame, classes), torch.arange(len(x), device=x.device)
    gradient = target.slope(frame.centre, rows, _objective).gradient
    blind = ~(gradient.isfinite().all(1) & (gradient != 0).any(1))
    if not space.fixed and not space.changes:
        # Every other input lies in this ball, so points of other classes do.
        ascend(target, rows[~blind], frame.centre.rows(rows[~blind]), _objective, steps=CLIMB)
        return _share(blind), _share(~target.is_broken)
    return _share(blind), _share(blind)


def _misled(model: nn.Module, frame: Frame, classes: Tensor) -> float:
    """Return the share of inputs where steps along the gradient, of any length, gain less than the best random one."""
    target, rows = Target(model, frame, classes), torch.arange(len(classes), device=classes.device)
    slope = target.slope(frame.centre, rows, _objective)
    gradient = slope.gradient.nan_to_num()
    room = torch.where(gradient > 0, frame.high, -frame.low).clamp_max(1)
    rng = row_streams(0, "diagnosis", index=rows, device=classes.device)
    draws = [normal(gradient.shape, rng=rng).to(gradient.dtype) for _ in range(NUM_STEPS)]
    steps = [_step(frame, each) for each in (gradient * room, *draws)]

    def value(step: Flat, length: float) -> Tensor:
        part = frame.rows(rows)
        return log_odds(target.logits(Place(part.clip(length * step[rows]), part.centre.picks), rows), classes[rows])

    for length in LENGTHS:
        after, *others = (value(each, length) for each in steps)
        best = torch.stack(others).amax(0)
        # Where another class is reached, a longer step need not gain more.
        rows = rows[(after < 0) & (best - after > 1e-4 * (1 + slope.value[rows].abs()))]
        if len(rows) == 0:
            break
    return len(rows) / len(classes)


def _step(frame: Frame, direction: Flat) -> Flat:
    """Return a step of a radius; in l1 of all features, as a single one may not gain much."""
    if frame.norm == "linf":
        return direction.sign()
    return direction / frame.length(direction).clamp_min(1e-30)[:, None]


def _share(chosen: Tensor) -> float:
    return chosen.float().mean().item()


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
