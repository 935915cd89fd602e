"""What every attack promises: legal points, independence of the batch, and the closed form on linear models."""

from dataclasses import fields, replace
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from withstand.configuration import discover
from withstand.data.space import Space
from withstand.data.tables.features import Features
from withstand.errors import InputError
from withstand.functional.changes import Change
from withstand.functional.margins import is_wrong
from withstand.functional.planes import step_to_plane
from withstand.functional.random import row_streams
from withstand.perturbations.attacks.attack import Attack, Attacked
from withstand.perturbations.ball import Ball

ROWS, FEATURES = 12, 6
NORMS = ("linf", "l2", "l1")
BOXES = (None, (0.0, 1.0))
ORDERS = {"linf": torch.inf, "l2": 2, "l1": 1}


def table() -> Features:
    """Six columns: the third may not change, the fifth is one of two levels, the sixth is counted."""
    return Features(
        names=tuple("abcdef"),
        columns=tuple("abcdef"),
        kinds=("continuous",) * 4 + ("category", "integer"),
        movable=(True, True, False, True, False, False),
        offset=(0.0,) * 6,
        scale=(1.0, 2.0, 1.0, 0.5, 1.0, 1.0),
        iqr=(1.0, 1.5, 1.0, 0.25, 1.0, 1.0),
        changes=(Change((4,), ((0.0,), (1.0,))), Change((5,), ((0.0,), (0.25,)), added=True)),
    )


TABLE = Space(shape=(FEATURES,), features=table())
IMAGE = Space(shape=(3, 32, 32), box=(0.0, 1.0))


@cache
def examples() -> list[Attack]:
    return [each for cls in discover(Attack) for each in cls.examples() if isinstance(each, Attack)]


def within(attack: Attack, ball: Ball) -> Attack:
    """The attack on another ball; skips balls that its class refuses."""
    try:
        return attack.within(ball)
    except InputError as problem:
        pytest.skip(str(problem))


def every_attack(**options):
    return pytest.mark.parametrize("attack", examples(), ids=lambda each: each.condition[:60], **options)


def inputs(space: Space, rows: int = ROWS) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(rows, *space.shape, generator=generator)
    if space.features is not None:
        x[:, 4] = (x[:, 4] > 0.5).float()
    return x


def network(space: Space, num_classes: int, hidden: int = 16) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(num_classes)
        size = torch.Size(space.shape).numel()
        layers = nn.Flatten(), nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, num_classes)
    return nn.Sequential(*layers).eval()


class RowByRow(nn.Module):
    """A network of two layers whose products are summed row by row, so that batches cannot differ by rounding."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.layers = [each for each in network if isinstance(each, nn.Linear)]

    def forward(self, x: Tensor) -> Tensor:
        first, last = ((each.weight.detach(), each.bias.detach()) for each in self.layers)
        hidden = ((x[:, None] * first[0]).sum(2) + first[1]).relu()
        return (hidden[:, None] * last[0]).sum(2) + last[1]


def attacked(attack: Attack, model: nn.Module, x: Tensor, y: Tensor, space: Space, batch: int = ROWS) -> Attacked:
    parts = []
    for rows in torch.arange(len(x)).split(batch):
        rng = row_streams(0, "attack", index=rows)
        parts.append(attack.attack(x[rows], y[rows], model, space=space, rng=rng))
    return Attacked(*(torch.cat(each) for each in zip(*parts, strict=True)))


def assert_legal(found: Attacked, ball: Ball, x: Tensor, y: Tensor, model: nn.Module, space: Space) -> None:
    points = found.points
    assert points.dtype == torch.float32
    broken = points[found.success]
    if space.box is not None:
        assert points.min() >= space.box[0]
        assert points.max() <= space.box[1]
    distance = ball.distance(x.double(), points.double(), space=space)
    assert distance.max().item() <= 1 + 1e-6
    if len(broken):
        assert is_wrong(model(broken), y[found.success]).all()
    if space.features is not None:
        assert torch.equal(points[:, 2], x[:, 2])
        assert torch.isin(points[:, 4], torch.tensor([0.0, 1.0])).all()
        moved = points[:, 5] - x[:, 5]
        assert (torch.isclose(moved, torch.tensor(0.0)) | torch.isclose(moved, torch.tensor(0.25))).all()


@pytest.mark.parametrize(("norm", "radius", "num_classes"), [("linf", 0.1, 3), ("l2", 0.3, 10), ("l1", 0.5, 2)])
@every_attack()
def test_points_lie_in_ball_and_box_and_are_wrong(attack, norm, radius, num_classes):
    for space, ball in (
        (Space(shape=(FEATURES,)), Ball(norm, radius)),
        (Space(shape=(FEATURES,), box=(0.0, 1.0)), Ball(norm, (radius, 0.0, radius / 2, 1e-3, 1.0, radius))),
        (TABLE, Ball(norm, radius, "iqr")),
        (TABLE, Ball(norm, radius, "raw")),
        (TABLE, Ball(norm, (radius, 2 * radius, 0.0, 1e-4, 1.0, 0.0), "std")),
    ):
        own, model, x = within(attack, ball), network(space, num_classes), inputs(space)
        y = model(x).argmax(1).detach()
        y[0] = (y[0] + 1) % num_classes
        found = attacked(own, model, x, y, space)
        assert_legal(found, ball, x, y, model, space)
        assert found.success[0]
        assert found.distance[0] == 0 or own.counts_fields


@every_attack()
def test_points_of_images_lie_in_ball_and_box(attack):
    own, model, x = within(attack, Ball(attack.ball.norm, 0.05)), network(IMAGE, 10), inputs(IMAGE, 3)
    y = model(x).argmax(1).detach()
    assert_legal(attacked(own, model, x, y, IMAGE), own.ball, x, y, model, IMAGE)


@pytest.mark.slow
@every_attack()
def test_a_rows_result_does_not_depend_on_its_batch(attack):
    for space in (Space(shape=(FEATURES,), box=(0.0, 1.0)), TABLE):
        own, model, x = within(attack, Ball(attack.ball.norm, 0.2)), RowByRow(network(space, 3)), inputs(space, 64)
        y = model(x).argmax(1)
        small, large = (attacked(own, model, x, y, space, batch) for batch in (7, 64))
        assert (large.passes > 1).sum() > 30
        for one, other in zip(small, large, strict=True):
            assert_close(one, other, rtol=1e-5, atol=1e-5)


def linear(num_classes: int) -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        return nn.Linear(FEATURES, num_classes)


def closed_form(model: nn.Linear, x: Tensor, y: Tensor, norm: str, box: tuple[float, float] | None) -> Tensor:
    """Distance of each row to the nearest point of another class, by bisection over the length of the best step."""
    low, high = (torch.full_like(x, torch.inf).neg(), torch.full_like(x, torch.inf)) if box is None else (-x, 1 - x)
    best = torch.full((len(x),), torch.inf)
    logits = model(x).detach()
    for other in range(logits.shape[1]):
        slope = (model.weight[other] - model.weight[y]).detach()
        lead = logits[:, other] - logits.gather(1, y[:, None])[:, 0]
        near, far = torch.zeros(len(x)), torch.full((len(x),), 1e3)
        for _ in range(60):
            length = (near + far) / 2
            reaches = most_gain(slope, length, norm, low, high) + lead >= 0
            near, far = torch.where(reaches, near, length), torch.where(reaches, length, far)
        best = torch.where((y != other) & (far < 900), torch.minimum(best, far), best)
    return best


def most_gain(slope: Tensor, length: Tensor, norm: str, low: Tensor, high: Tensor) -> Tensor:
    """Highest growth of a linear function over a ball of some length within a box."""
    room = torch.where(slope > 0, high, -low)
    if norm == "linf":
        return (slope.abs() * torch.minimum(room, length[:, None])).sum(1)
    if norm == "l1":
        order = slope.abs().argsort(1, descending=True)
        steep, room = slope.abs().gather(1, order), room.gather(1, order).clamp_max(1e4)
        before = torch.cat([torch.zeros(len(room), 1), room.cumsum(1)[:, :-1]], 1)
        return (steep * torch.minimum((length[:, None] - before).clamp_min(0), room)).sum(1)
    small, large = torch.zeros(len(slope)), torch.full((len(slope),), 1e4)
    for _ in range(60):
        middle = (small + large) / 2
        step = torch.minimum(slope.abs() * middle[:, None], room)
        fits = torch.linalg.vector_norm(step, dim=1) <= length
        small, large = torch.where(fits, middle, small), torch.where(fits, large, middle)
    return (slope.abs() * torch.minimum(slope.abs() * small[:, None], room)).sum(1)


def stronger(attack: Attack) -> Attack:
    """The attack with enough steps, queries or draws for a linear model."""
    enough = {"steps": 30 if hasattr(attack, "num_targets") else 100, "num_targets": 9}
    changed = {each.name: enough[each.name] for each in fields(attack) if each.name in enough}
    return replace(attack, **changed)


def by_gradient() -> list[Attack]:
    """One attack of each class and loss that follows gradients, in balls of a norm."""
    return [
        each for each in examples() if each.needs_gradient and not each.counts_fields and not hasattr(each, "attacks")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize(("norm", "num_classes"), [("linf", 10), ("l2", 3), ("l1", 2), ("l1", 10)])
@pytest.mark.parametrize(
    "attack", [each for each in by_gradient() if not each.finds_distance], ids=lambda each: each.condition[:60]
)
def test_attacks_of_a_radius_break_exactly_the_rows_whose_boundary_is_nearer(attack, norm, num_classes, box):
    model, x, space = linear(num_classes), inputs(Space(shape=(FEATURES,)), 16), Space(shape=(FEATURES,), box=box)
    y = model(x).argmax(1).detach()
    distance = closed_form(model, x, y, norm, box)
    radius = distance[distance.isfinite()].median().item()
    found = attacked(stronger(within(attack, Ball(norm, radius))), model, x, y, space)
    assert not found.success[distance > radius * 1.001].any()
    # Without targets, ascent of one loss may meet another class than the nearest.
    if num_classes == 2 or getattr(attack, "loss", "") == "targeted":
        assert found.success[distance < radius * 0.99].all()


@pytest.mark.slow
@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize(("norm", "num_classes"), [("linf", 10), ("l2", 3), ("l1", 2), ("l1", 10)])
@pytest.mark.parametrize(
    "attack", [each for each in by_gradient() if each.finds_distance], ids=lambda each: each.condition[:60]
)
def test_minimum_norm_attacks_find_the_closed_form(attack, norm, num_classes, box):
    if not hasattr(attack, "num_targets"):
        num_classes = 2  # without targets only the class that the margin leads to is found
    model, x, space = linear(num_classes), inputs(Space(shape=(FEATURES,)), 16), Space(shape=(FEATURES,), box=box)
    y = model(x).argmax(1).detach()
    distance = closed_form(model, x, y, norm, box)
    found = attacked(stronger(within(attack, Ball(norm, 0.1))), model, x, y, space)
    known = distance.isfinite()
    assert (found.distance[known] * 0.1 >= distance[known] * (1 - 1e-4)).all()
    ratio = found.distance[known] * 0.1 / distance[known]
    assert ratio.median() < 1.005
    assert (ratio < 1.03).float().mean() >= 0.9


@pytest.mark.parametrize("norm", NORMS)
def test_steps_to_a_plane_are_the_shortest_inside_the_box(norm):
    generator = torch.Generator().manual_seed(2)
    u, gradient = torch.rand(30, FEATURES, generator=generator), torch.randn(30, FEATURES, generator=generator)
    value, zero, one = torch.randn(30, generator=generator), torch.zeros(30, FEATURES), torch.ones(30, FEATURES)
    step = step_to_plane(u, gradient, value, norm, zero, one)
    assert (u + step >= -1e-6).all()
    assert (u + step <= 1 + 1e-6).all()
    length = torch.linalg.vector_norm(step, ORDERS[norm], dim=1)
    slope = -gradient * value.sign()[:, None]
    reached = most_gain(slope, length * 1.0001, norm, zero - u, one - u)
    gained = (slope * step).sum(1)
    assert (gained >= reached - 1e-3 * reached.abs() - 1e-6).all(), "a step of this length could gain more"
    assert_close(gained, torch.minimum(value.abs(), most_gain(slope, torch.full((30,), 1e3), norm, zero - u, one - u)))


def test_every_class_of_attacks_has_examples():
    assert {type(each) for each in examples()} == set(discover(Attack))
