"""Attacks beyond a model's own gradients: random points, and gradients of other modules."""

from collections.abc import Iterator

from torch import nn

from withstand.functional.random import RowStreams, normal
from withstand.models.wrappers.straight_through import StraightThrough, rounds
from withstand.perturbations.attacks.apgd import APGD
from withstand.perturbations.attacks.square import Square
from withstand.perturbations.masking.diagnosis import Diagnosis
from withstand.perturbations.masking.smoothed import Smoothed, noise_of
from withstand.perturbations.search.frame import Place
from withstand.perturbations.search.target import Target

NUM_RANDOM = 4  # points per row
NUM_QUERIES = 2000  # of a search without gradients, if the model's are masked
NUM_NOISE = 20  # draws of a smoothed model
MOST_FEATURES = 256  # that differences resolve


def search_beyond(target: Target, diagnosis: Diagnosis, *, number: int, reacts: bool, rng: RowStreams) -> None:
    """Try points of the remaining rows that the model's own gradients do not lead to.

    Args:
        target: The rows under attack.
        diagnosis: What is known about the model's gradients.
        number: Stored in `target.by` for the rows broken here.
        reacts: Whether to follow other gradients, if the model's own are suspect.
        rng: One source per row of the target.
    """
    before = target.rows
    _random_points(target, rng=rng.named("random"))
    if reacts and diagnosis.needs_guides(target.frame.ball):
        for turn, (guide, attacks) in enumerate(_guides(target, diagnosis)):
            target.guide = guide
            for each in attacks:
                each.search(target, rng=rng.named("guided", turn, each.loss))
        target.guide = None
        if diagnosis.is_masked(target.frame.ball):
            Square(ball=target.frame.ball, num_queries=NUM_QUERIES).search(target, rng=rng.named("guided", "square"))
    target.by[before[target.is_broken[before]]] = number


def _random_points(target: Target, *, rng: RowStreams) -> None:
    """Try random points of the sphere; of its corners in linf."""
    rows = target.rows
    if len(rows) == 0:
        return
    frame, rng = target.frame.rows(rows), rng.subset(rows)
    for _ in range(NUM_RANDOM):
        step = normal(frame.low.shape, rng=rng, device=frame.x.device).to(frame.x.dtype)
        target.logits(Place(frame.clip(frame.uphill(step)), frame.centre.picks), rows)


def _guides(target: Target, diagnosis: Diagnosis) -> Iterator[tuple[nn.Module, tuple[APGD, ...]]]:
    """Yield modules whose gradients attacks follow, cheap ones first, with the attacks."""
    ball, model, rows = target.frame.ball, target.model, target.rows
    if len(rows) and diagnosis.has_gradients and rounds(model, target.frame.x[rows[:1]]):
        yield StraightThrough(model), (APGD(ball=ball, steps=20), APGD(ball=ball, steps=20, loss="targeted"))
    if diagnosis.surrogate is not None:
        yield (
            diagnosis.surrogate,
            (
                APGD(ball=ball, steps=40, restarts=3),
                APGD(ball=ball, steps=20, loss="targeted", restarts=2),
            ),
        )
    if len(target.y) == 0:
        return
    noise = noise_of(target.frame, num_draws=NUM_NOISE)
    if diagnosis.has_gradients and diagnosis.blind < 1:
        yield Smoothed(model, noise), (APGD(ball=ball, steps=20),)
    if rows.numel() and target.frame.low.shape[1] <= MOST_FEATURES:
        noise = noise_of(target.frame, num_draws=2 * NUM_NOISE)
        yield Smoothed(model, noise, differences=True), (APGD(ball=ball, steps=20),)
