"""Every layer: bounds hold at every point, and both kinds keep their order."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from withstand.certificates.activations import gelu, sigmoid, tanh
from withstand.certificates.graph import trace
from withstand.certificates.pooling import Maximum, Picks
from withstand.certificates.rows import Interval
from withstand.data.space import Space
from withstand.errors import InputError
from withstand.evaluation.certificate import Certificate
from withstand.models.mlp import MLP
from withstand.models.normalize import Normalize
from withstand.models.small_cnn import SmallCNN
from withstand.perturbations.ball import Ball

IMAGE, ROW = (2, 8, 8), (6,)


class Residual(nn.Module):
    """Two branches that are added, a difference, and a scale."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
        self.strided, self.shortcut = nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Conv2d(2, 3, 1, stride=2)
        self.norm, self.head = nn.BatchNorm2d(3), nn.Linear(3, 4)
        self.register_buffer("mean", torch.tensor([0.1, 0.2]).view(2, 1, 1))

    def forward(self, x):
        x = (x - self.mean) / 0.5
        x = functional.relu(x + self.second(self.first(x).relu()))
        x = self.norm(self.strided(x)) - self.shortcut(x)
        x = torch.relu(2 * x + 1)
        return self.head(x.mean((2, 3)))


class Dense(nn.Module):
    """Channels and features that are joined."""

    def __init__(self):
        super().__init__()
        self.conv, self.after, self.head = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(5, 2, 3), nn.Linear(78, 4)

    def forward(self, x):
        x = self.after(torch.cat([x, functional.leaky_relu(self.conv(x), 0.2)], 1))
        flat = x.view(x.size(0), -1)
        pooled = functional.max_pool2d(functional.adaptive_avg_pool2d(x, 3), 3).flatten(1)
        again = pooled * 0.5
        return self.head(torch.cat([flat, pooled, again, 1 - pooled], dim=1))


NETWORKS = {
    "relu": (lambda: nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 4)), ROW),
    "leaky": (lambda: nn.Sequential(nn.Linear(6, 9), nn.LeakyReLU(0.1), nn.Linear(9, 4)), ROW),
    "tanh": (lambda: nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 8), nn.Tanh(), nn.Linear(8, 4)), ROW),
    "sigmoid": (lambda: nn.Sequential(nn.Linear(6, 9), nn.Sigmoid(), nn.Linear(9, 4)), ROW),
    "gelu": (lambda: nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 9), nn.GELU(), nn.Linear(9, 4)), ROW),
    "batch norm": (lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 4)), ROW),
    "normalize": (lambda: nn.Sequential(Normalize([0.2] * 6, [0.3] * 6), nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 4)), ROW),
    "spread": (lambda: nn.Sequential(Normalize([0.2, 0.1, 0.3], [0.3] * 3), nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 4)), (1, 8, 8)),
    "strides": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False), nn.ReLU(), nn.Conv2d(3, 4, 2, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 4)), IMAGE),
    "dilation": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3, dilation=2, padding="same"), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4)), IMAGE),
    "average": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.AvgPool2d(2, padding=1), nn.Conv2d(3, 3, 2), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4)), IMAGE),
    "maximum": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 1, 1), nn.Dropout(), nn.Flatten(), nn.Linear(48, 4)), IMAGE),
    "maximum first": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveMaxPool2d(4), nn.ReLU(), nn.Conv2d(3, 3, 2), nn.MaxPool2d(2, ceil_mode=True), nn.Flatten(), nn.Linear(12, 4)), IMAGE),
    "residual": (Residual, IMAGE),
    "dense": (Dense, IMAGE),
}  # fmt: skip
every_network = pytest.mark.parametrize("name", NETWORKS)
every_ball = pytest.mark.parametrize(
    "ball", [Ball("linf", 0.1), Ball("l2", 0.4), Ball("l1", 0.8)], ids=lambda it: it.norm
)


@every_network
@every_ball
def test_no_point_of_the_ball_is_outside_of_the_bounds(name, ball, seeded, bounds, both_sides, grid):
    make, shape = NETWORKS[name]
    for seed in range(2):
        model = seeded(seed, make)
        x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(seed))
        space = Space(shape=shape, box=(0.0, 1.0))
        points = grid(x, ball, space=space)
        with torch.no_grad():
            outputs = model(points.flatten(0, 1)).unflatten(0, points.shape[:2])
        for lines in (False, True):
            lower, upper = both_sides(bounds(model, x, ball, lines=lines, space=space))
            assert (lower <= outputs).all()
            assert (upper >= outputs).all()
            assert (lower.isfinite() & upper.isfinite()).all()


@every_network
def test_without_a_radius_bounds_are_the_outputs(name, seeded, bounds, both_sides):
    make, shape = NETWORKS[name]
    model, x = seeded(0, make), torch.rand(3, *shape, generator=torch.Generator().manual_seed(0))
    lower, upper = both_sides(bounds(model, x, Ball("l2", 0.0)))
    torch.testing.assert_close(lower, model(x).detach(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(upper, model(x).detach(), rtol=1e-3, atol=1e-3)


@every_network
def test_lines_through_intervals_are_tighter_than_intervals_alone(name, seeded, bounds):
    make, shape = NETWORKS[name]
    model, x = seeded(1, make), torch.rand(3, *shape, generator=torch.Generator().manual_seed(1))
    plain, tight = (bounds(model, x, Ball("linf", 0.05), lines=lines) for lines in (False, True))
    for one, other in zip(plain.intervals, tight.intervals, strict=True):
        assert (other.lower >= one.lower - 1e-6).all()
        assert (other.upper <= one.upper + 1e-6).all()
    specification = torch.eye(4).expand(3, -1, -1)
    assert (tight.by_interval(specification) >= plain.by_interval(specification) - 1e-5).all()


@every_network
def test_a_sample_has_the_same_bounds_in_any_batch(name, seeded, bounds, both_sides):
    make, shape = NETWORKS[name]
    model, x = seeded(0, make), torch.rand(5, *shape, generator=torch.Generator().manual_seed(2))
    whole = both_sides(bounds(model, x, Ball("linf", 0.05)))
    alone = both_sides(bounds(model, x[3:4], Ball("linf", 0.05)))
    for one, other in zip(whole, alone, strict=True):
        torch.testing.assert_close(one[3:4], other, rtol=1e-5, atol=1e-5)


def test_curves_touch_their_lines():
    rng = torch.Generator().manual_seed(0)
    middle, half = torch.randn(400, generator=rng) * 4, torch.rand(400, generator=rng) * 5
    over = Interval(middle - half, middle + half)
    points = over.lower + (over.upper - over.lower) * torch.linspace(0, 1, 2001).unsqueeze(1)
    for curve in (tanh(), sigmoid(), gelu()):
        lines, values = curve.relax(over), curve.function(points)
        above = lines.upper * points + lines.above - values
        below = values - lines.lower * points - lines.below
        assert above.min() >= 0
        assert below.min() >= 0
        assert above.amin(0).max() < 1e-3, "a line that touches nothing is too far away"
        assert below.amin(0).max() < 1e-3
        # The envelope in the middle: no chord of the function is above the upper line or below the lower one there.
        left, right = values[:1001].flip(0), values[1000:]
        chords = (left + right) / 2
        assert (lines.upper * over.middle + lines.above >= chords.amax(0) - 1e-4).all()


def test_the_layers_of_the_package_are_followed_and_scales_are_folded():
    def names(model, shape):
        return [type(each.operation).__name__ for each in trace(model, shape, who="Test").nodes[1:]]

    assert names(MLP(hidden=(5,)).build((4,), 3, seed=0), (4,)) == ["Scale", "Linear", "Rectifier", "Linear"]
    plain, normed = (SmallCNN(width=4, batch_norm=each).build((1, 16, 16), 3, seed=0) for each in (False, True))
    assert names(plain, (1, 16, 16)) == names(normed, (1, 16, 16))
    training = SmallCNN(width=4, batch_norm=True).build((1, 16, 16), 3, seed=0).train()
    trace(training, (1, 16, 16), who="Test")
    assert training.training


@pytest.mark.parametrize(
    ("layer", "word"),
    [
        (nn.Softmax(1), "Softmax"),
        (nn.LayerNorm(6), "LayerNorm"),
        (nn.LeakyReLU(2.0), "LeakyReLU"),
        (nn.GELU("tanh"), "GELU"),
        (nn.BatchNorm1d(6, track_running_stats=False), "BatchNorm1d"),
    ],
)
def test_a_layer_without_a_rule_is_refused_by_its_name(layer, word):
    with pytest.raises(InputError, match=rf"Test.*{word}"):
        trace(nn.Sequential(nn.Linear(6, 6), layer, nn.Linear(6, 2)), (6,), who="Test")


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Squared(nn.Module):
    def forward(self, x):
        return x * x


@pytest.mark.parametrize("model", [Branching(), Squared()])
def test_a_computation_that_cannot_be_followed_is_refused(model):
    with pytest.raises(InputError, match=r"Test.*"):
        trace(model, (3,), who="Test")


class Calls(nn.Module):
    """A function of a linear layer's outputs."""

    def __init__(self, function):
        super().__init__()
        self.linear, self.function = nn.Linear(6, 4), function

    def forward(self, x):
        return self.function(self.linear(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda h: torch.add(h, h, alpha=2),
        lambda h: torch.div(h, 0.5, rounding_mode="floor"),
        lambda h: functional.avg_pool2d(h.view(-1, 1, 2, 2), 2, ceil_mode=True).flatten(1),
    ],
)
def test_a_function_with_arguments_that_have_no_rule_is_refused(function):
    with pytest.raises(InputError, match=r"Test: the layer .* has no rule for bounds with these arguments"):
        trace(Calls(function), (6,), who="Test")


def hooked():
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU())
    model[0].register_forward_hook(lambda *given: 5 * given[2] + 1)
    return model


@pytest.mark.parametrize(
    "make",
    [
        hooked,
        lambda: Calls(lambda h: h + torch.relu_(h)),
        lambda: Calls(lambda h: functional.relu(h, inplace=True) - h / 2),
        lambda: Calls(lambda h: h.add_(1.0) * 2 - h),
    ],
)
def test_outputs_that_the_layers_do_not_explain_are_refused(make, seeded):
    model = seeded(0, make)
    with pytest.raises(InputError, match=r"Certificate: .* hooks and values that are changed in place"):
        Certificate().check(model, Space(shape=(6,)))


@every_network
def test_outputs_that_the_layers_explain_are_not(name, seeded):
    make, shape = NETWORKS[name]
    Certificate().check(seeded(0, make), Space(shape=shape))


def test_the_line_above_a_maximum_is_no_higher_than_the_highest_upper_bound():
    pool = Maximum(torch.Size((1, 2, 2)), torch.Size((1, 1, 1)), [[0, 1]], [[0, 1]])
    lower = torch.tensor([[[[0.0, -1.0], [-2.0, -3.0]]]])
    found = pool.relax(Interval(lower, torch.tensor([[[[2.0, 1.0], [0.5, -1.0]]]])))
    assert isinstance(found, Picks)
    assert (found.lower.item(), found.upper.item()) == (0, 0)
    # From the second highest, 1, at the low end of the highest, to 2 at its high end.
    assert found.slope.item() == pytest.approx(0.5)
    assert found.shift.item() == pytest.approx(1.0, abs=1e-5)
