"""Distances of minimum-norm attacks, against closed forms on linear models."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from withstand.data.space import Space
from withstand.data.tables.features import Features
from withstand.errors import InputError
from withstand.functional.changes import Change
from withstand.functional.margins import is_wrong
from withstand.functional.random import RowStreams
from withstand.perturbations.attacks.attack import Attack
from withstand.perturbations.attacks.ddn import DDN
from withstand.perturbations.attacks.fmn import FMN
from withstand.perturbations.attacks.sigma_zero import SigmaZero
from withstand.perturbations.ball import Ball
from withstand.perturbations.search.frame import Frame
from withstand.perturbations.search.target import Target

ROWS, FEATURES = 12, 6
RADII = (0.5, 2.0, 1.0, 0.0, 30.0, 0.01)
BOX = (0.0, 1.0)
ATTACKS = [FMN(ball=Ball(norm, 0.1)) for norm in ("l1", "l2", "linf")] + [DDN(ball=Ball("l2", 0.1))]
by_name = {"ids": lambda each: f"{type(each).__name__}-{each.ball.norm}"}


class Linear(nn.Module):
    """Two classes whose difference of logits is linear; label 0 wins where it is negative."""

    def __init__(self, weight: torch.Tensor, offset: torch.Tensor | float) -> None:
        super().__init__()
        self.weight, self.offset = weight, offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = x @ self.weight + self.offset
        return torch.stack([torch.zeros_like(value), value], 1)


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


WEIGHT = numbers(FEATURES)
X = numbers(ROWS, FEATURES, seed=1).sigmoid()
Y = torch.zeros(ROWS, dtype=torch.int64)
# All rows are right; some points of the box are wrong.
MODEL = Linear(WEIGHT, -(X @ WEIGHT).max() - 0.1)


def run(attack: Attack, model: nn.Module = MODEL, x: torch.Tensor = X, y=None, *, box=None, features=None, rows=None):
    """Attack some rows; their labels are 0 if there are none."""
    rows = torch.arange(len(x)) if rows is None else rows
    space = Space(shape=tuple(x.shape[1:]), box=box, features=features)
    labels = torch.zeros(len(rows), dtype=torch.int64) if y is None else y[rows]
    return attack.attack(x[rows], labels, model, space=space, rng=RowStreams(0, rows))


def nearest(norm: str, weight: torch.Tensor, gap: torch.Tensor, room: torch.Tensor) -> torch.Tensor:
    """Return the least norm of u with weight . u = gap, where |u| is at most room against the sign of the weight."""
    weight, room, gap = weight.double().abs().expand_as(room), room.double(), gap.double()
    if norm == "l1":
        order = weight.argsort(dim=1, descending=True)
        gains = (weight * room).gather(1, order)
        before = gains.cumsum(1) - gains
        used = ((gap[:, None] - before) / weight.gather(1, order).clamp_min(1e-30)).clamp_min(0)
        total = torch.minimum(used, room.gather(1, order)).sum(1)
    else:
        low, high = torch.zeros_like(gap), torch.full_like(gap, 1e12)
        for _ in range(300):
            middle = (low + high) / 2
            u = middle[:, None] * (weight if norm == "l2" else weight.sign())
            enough = (weight * torch.minimum(u, room)).sum(1) >= gap
            low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
        u = torch.minimum(high[:, None] * (weight if norm == "l2" else weight.sign()), room)
        total = u.norm(dim=1) if norm == "l2" else u.amax(1)
    reachable = (weight * torch.where(weight > 0, room, 0)).sum(1) >= gap
    return torch.where(reachable, total, torch.inf)


def closed_form(norm: str, radii: torch.Tensor, box) -> torch.Tensor:
    room = torch.full_like(X, 1e9) if box is None else torch.where(WEIGHT > 0, box[1] - X, X - box[0])
    room = torch.where(radii > 0, room / radii.clamp_min(1e-30), 0)
    return nearest(norm, WEIGHT * radii, -(X @ WEIGHT + MODEL.offset), room)


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS, **by_name)
@pytest.mark.parametrize("box", [None, BOX], ids=["no box", "box"])
@pytest.mark.parametrize("radius", [1e-4, 0.1, 1e4, RADII], ids=["tiny", "usual", "huge", "per feature"])
def test_the_distance_of_a_linear_model_is_the_closed_form(attack, radius, box):
    norm = attack.ball.norm
    attack = type(attack)(ball=Ball(norm, radius), steps=600 if norm == "l1" else 200)
    radii = torch.tensor(radius) if isinstance(radius, tuple) else torch.full((FEATURES,), radius)
    exact = closed_form(attack.ball.norm, radii, box)
    found = run(attack, box=box).distance.double()
    assert torch.equal(found.isinf(), exact.isinf())
    finite = exact.isfinite()
    assert finite.sum() > ROWS / 2
    assert (found[finite] >= exact[finite] * (1 - 1e-4)).all()
    assert_close(found[finite], exact[finite], rtol=1e-2, atol=0)


@pytest.mark.parametrize("box", [None, BOX], ids=["no box", "box"])
@pytest.mark.parametrize("radius", [0.3, (0.5, 2.0, 1.0, 0.0, 3.0, 0.01)], ids=["equal", "per feature"])
def test_the_fewest_fields_of_a_linear_model_are_those_that_gain_most(box, radius):
    radii = torch.tensor(radius) if isinstance(radius, tuple) else torch.full((FEATURES,), radius)
    room = radii.expand_as(X) if box is None else torch.minimum(radii, torch.where(WEIGHT > 0, 1 - X, X))
    gains = (WEIGHT.abs() * room).sort(dim=1, descending=True).values.cumsum(1)
    gap = -(X @ WEIGHT + MODEL.offset)
    exact = (gains < gap[:, None] * (1 + 1e-5)).sum(1) + 1.0
    exact[gains[:, -1] < gap] = torch.inf
    assert exact.isfinite().any()
    assert torch.equal(run(SigmaZero(ball=Ball("linf", radius)), box=box).distance, exact)


def test_a_category_is_one_field_whatever_the_number_of_its_inputs():
    weight = torch.tensor([1.0, 0.0, 2.0, 3.0])
    x = torch.tensor([[0.0, 1.0, 0.0, 0.0]]).repeat(3, 1)
    levels = Change((1, 2, 3), ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    table = Features(
        names=tuple("abcd"),
        columns=("a", "b", "b", "b"),
        kinds=("continuous", *["category"] * 3),
        movable=(True, False, False, False),
        offset=(0.0,) * 4,
        scale=(1.0,) * 4,
        iqr=(1.0,) * 4,
        changes=(levels,),
    )
    # The feature alone adds up to 1, the category up to 3.
    for offset, fields, length in ((-0.5, 1.0, 0.0), (-2.5, 1.0, 0.0), (-3.5, 2.0, 0.5), (-4.5, torch.inf, 1.5)):
        found = run(SigmaZero(steps=20), Linear(weight, offset), x, features=table)
        assert found.distance.tolist() == [fields] * 3
        assert found.success.tolist() == [fields < torch.inf] * 3
        # In a ball options are free, whatever the radius.
        for norm in ("l1", "l2", "linf"):
            distance = run(FMN(ball=Ball(norm, 1.0)), Linear(weight, offset), x, features=table).distance
            assert_close(distance, torch.full((3,), length), rtol=5e-3, atol=1e-6)


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return nn.Sequential(nn.Linear(FEATURES, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)).eval()


class RowByRow(nn.Module):
    """Four curved logits, summed row by row, so that batches cannot differ by rounding."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = (x[:, None] * numbers(16, FEATURES, seed=3)).sum(2)
        return ((hidden * hidden.abs())[:, None] * numbers(4, 16, seed=4)).sum(2)


@pytest.mark.slow
@pytest.mark.parametrize("attack", [*ATTACKS, SigmaZero()], **by_name)
def test_a_rows_result_does_not_depend_on_its_batch(attack):
    attack, model, x = replace(attack, steps=30), RowByRow(), numbers(64, FEATURES, seed=2)
    y = model(x).argmax(1)
    whole = run(attack, model, x, y)
    assert (whole.distance.isfinite() & (whole.distance > 0)).sum() > 40
    parts = [run(attack, model, x, y, rows=rows) for rows in torch.arange(64).split(7)]
    for values, *others in zip(whole, *parts, strict=True):
        assert_close(torch.cat(others), values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("attack", [*ATTACKS, SigmaZero()], **by_name)
def test_no_nearer_wrong_point_is_forgotten(attack, monkeypatch):
    model, x = network(), numbers(64, FEATURES, seed=2)
    visited, keep = [], Target._keep

    def watching(self, place, rows, logits):
        frame = self.frame.rows(rows)
        length = frame.num_changed(place) if self.counts_fields else frame.length(place.u)
        visited.append((rows, torch.where(is_wrong(logits, self.y[rows]), length, torch.inf)))
        return keep(self, place, rows, logits)

    monkeypatch.setattr(Target, "_keep", watching)
    least = torch.full((64,), torch.inf)
    y = model(x).argmax(1)
    distance = run(attack, model, x, y).distance
    for rows, length in visited:
        least[rows] = torch.minimum(least[rows], length)
    assert least.isfinite().float().mean() > 0.9
    assert len(visited) > 20
    assert_close(distance, least, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("attack", [*ATTACKS, SigmaZero()], **by_name)
def test_a_row_that_is_wrong_has_a_distance_of_0_and_a_blind_one_is_still_searched(attack):
    always = Linear(torch.zeros(FEATURES), 1.0)
    found = run(attack, always)
    assert found.distance.tolist() == [0.0] * ROWS
    assert found.passes.tolist() == [1] * ROWS
    never = Linear(torch.zeros(FEATURES), -1.0)
    assert run(attack, never, box=BOX).distance.isinf().all()


def test_points_are_where_the_distance_says():
    for attack in (FMN(ball=Ball("l2", 5.0)), DDN(ball=Ball("l2", 5.0)), FMN(ball=Ball("linf", 5.0))):
        found = run(attack)
        assert found.success.all()
        frame = Frame(X, attack.ball, Space(shape=(FEATURES,)))
        assert_close(frame.length(frame.place_of(found.points).u), found.distance, rtol=1e-4, atol=1e-6)
        assert is_wrong(MODEL(found.points), Y).all()


def test_the_norm_of_a_ball_must_fit():
    for attack in (DDN, SigmaZero):
        with pytest.raises(InputError, match=rf"^{attack.__name__}: the ball must be .*, got l1"):
            attack(ball=Ball("l1", 1.0))
