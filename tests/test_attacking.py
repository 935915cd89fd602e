"""`ws.attack`: points in ball and box, independence of the batch, and errors that name what came."""

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from torch import nn

import withstand as ws
from withstand.errors import InputError

BALL = ws.Ball("linf", 0.1)


class Plane(nn.Module):
    """Class 1 where the mean of the input exceeds 1/2; class 2 never wins."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = x.flatten(1).mean(1) - 0.5
        return torch.stack([-value, value, torch.full_like(value, -9.0)], 1)


X = torch.rand(30, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.5 + torch.linspace(0, 0.5, 30).view(
    -1, 1, 1, 1
)
Y = Plane()(X).argmax(1)


def found(**options):
    return ws.attack(Plane(), X, Y, BALL, **{"budget": "quick", "device": "cpu"} | options)


def test_of_a_plane_the_rows_nearer_than_the_radius_are_broken_in_ball_and_box():
    result = found()
    # Pixels near the walls of the box move less than the radius.
    reach = torch.where(Y[:, None] == 0, (1 - X).flatten(1), X.flatten(1)).clamp_max(0.1).mean(1)
    gap = (X.flatten(1).mean(1) - 0.5).abs()
    clear = (gap - reach).abs() > 1e-4
    assert torch.equal(result.success[clear], (gap < reach)[clear])
    assert 5 < result.success.sum() < 25
    assert (Plane()(result.points).argmax(1) != Y)[result.success].all()
    assert (result.points - X).abs().max() <= 0.1
    assert result.points.min() >= 0
    assert result.points.max() <= 1


def test_a_rows_result_depends_on_the_seed_but_not_on_the_batch():
    whole, again, parts, other = found(), found(), found(batch_size=7), found(seed=1)
    for values, same, close in zip(whole, again, parts, strict=True):
        assert torch.equal(values, same)
        torch.testing.assert_close(values, close, rtol=1e-5, atol=1e-5)
    assert not torch.equal(whole.points, other.points)


def test_radii_per_row_belong_to_their_rows_in_every_batch():
    ball = ws.Ball("linf", tuple((radius,) for radius in torch.linspace(0, 0.2, 30).tolist()))
    whole, parts = (ws.attack(Plane(), X, Y, ball, budget="quick", device="cpu", batch_size=size) for size in (None, 7))
    assert torch.equal(whole.success, parts.success)
    torch.testing.assert_close(whole.points, parts.points, rtol=1e-5, atol=1e-5)
    assert ((parts.points - X).flatten(1).abs().amax(1) <= torch.linspace(0, 0.2, 30)).all()
    with pytest.raises(InputError, match=r"^Ball: radius .*got radii of shape \(30, 1\)"):
        ws.attack(Plane(), X[:20], Y[:20], ball, device="cpu", batch_size=10)


@pytest.mark.parametrize(
    ("options", "came"),
    [
        ({"budget": "huge"}, "budget .* got 'huge'"),
        ({"x": X.tolist()}, "x must be .* got list"),
        ({"x": X.numpy().astype(object)}, r"x .* got array of object of shape \(30, 1, 4, 4\)"),
        ({"x": X[:, 0, 0, 0]}, r"\(batch, \*shape\), got \(30,\)"),
        ({"x": X * torch.nan}, "finite numbers, got NaN in sample 0"),
        ({"model": nn.Linear(3, 3)}, r"model cannot take inputs of shape \(1, 4, 4\) and type float32"),
        ({"model": nn.Flatten(0)}, r"model must return logits .* returned float32 of shape \(16,\)"),
        ({"model": "forest"}, "BlackBox, got str"),
        ({"model": nn.Linear}, "BlackBox, got the class Linear"),
        ({"model": KNeighborsClassifier().fit(X[:9].flatten(1)[:, :3], Y[:9])}, r"model .*expected 3 features"),
        ({"ball": 0.1}, r"ball must be .*Ball, got 0\.1"),
        ({"space": ws.Digits().load("test").space}, r"shape of the space, \(3, 32, 32\), got \(1, 4, 4\)"),
        ({"space": "images"}, "space must be .*Space, got 'images'"),
        ({"seed": -1}, "seed must be .*got -1"),
        ({"x": X.long()}, "got int64 of shape"),
        ({"y": Y[:7]}, r"of shape \(7,\)"),
        ({"x": X[:0], "y": Y[:0]}, "at least one input, got none"),
        ({"x": X + 1}, r"x must lie in \[0, 1\], got 1.* to 1.9966"),
        ({"y": Y + 2}, "from 0 to 2, got int64 from 2 to 3"),
        ({"y": Y * 1j}, "from 0 to 2, got complex64"),
        ({"y": Y - 0.5}, "from 0 to 2, got float32 from -0.5 to 0.5"),
    ],
)
def test_errors_name_what_came(options, came):
    given = {"model": Plane(), "x": X, "y": Y, "ball": BALL, "device": "cpu"} | options
    with pytest.raises(InputError, match=f"^attack: .*{came}"):
        ws.attack(**given)


def test_inputs_of_other_types_are_those_of_the_models_type():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    wanted, *others = (
        ws.attack(model, x, y, BALL, budget="quick", device=device)
        for x, y, device in (
            (X, Y, "cpu"),
            (X.double(), Y.int(), torch.device("cpu")),
            (X.numpy(), Y.numpy(), "cpu"),
            (X.double().numpy()[::-1][::-1], Y.numpy().astype("uint8"), "cpu"),
            (X.expand(30, 4, 4, 4)[:, :1].transpose(2, 3).contiguous().transpose(2, 3), Y, "cpu"),
        )
    )
    assert wanted.points.dtype == torch.float32
    for found in others:
        for values, same in zip(found, wanted, strict=True):
            assert torch.equal(values, same)
    double = ws.attack(model.double(), X, Y, BALL, budget="quick", device="cpu")
    assert double.points.dtype == torch.float64


def test_a_fitted_classifier_is_attacked_like_its_black_box():
    tree = DecisionTreeClassifier(random_state=0).fit(X.flatten(1), Y)
    given, wrapped = (
        ws.attack(model, X, Y, ws.Ball("linf", 0.3), budget="quick", device="cpu")
        for model in (tree, ws.BlackBox(tree))
    )
    assert given.success.any()
    for values, same in zip(given, wrapped, strict=True):
        assert torch.equal(values, same)


def test_point_and_distance_agree_and_rows_without_success_are_infinitely_far():
    for budget in ("quick", "thorough"):  # wide attacks and FAB see wrong points outside of the ball, too
        found = ws.attack(Plane(), X, Y, BALL, budget=budget, device="cpu")
        length = (found.points - X).flatten(1).abs().amax(1) / 0.1
        assert 0 < found.success.sum() < len(X)
        torch.testing.assert_close(found.distance[found.success], length[found.success], rtol=1e-4, atol=1e-5)
        assert found.distance[~found.success].isinf().all()


def test_an_attack_within_inference_mode_is_the_same():
    expected = found()
    with torch.inference_mode():
        again = found()
    assert torch.equal(again.points, expected.points)
    assert torch.equal(again.success, expected.success)
