"""`ws.attack`: points in ball and box, independence of the batch, and errors that name what came."""

import pytest
import torch
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
        ({"x": X.tolist()}, "got list and int64"),
        ({"x": X.long()}, "got int64 of shape"),
        ({"y": Y[:7]}, r"of shape \(7,\)"),
        ({"x": X[:0], "y": Y[:0]}, "at least one input, got none"),
        ({"x": X + 1}, r"in \(0.0, 1.0\), got 1.* to 1.9966"),
        ({"y": Y + 2}, "from 0 to 2, got int64 from 2 to 3"),
        ({"y": Y - 0.5}, "from 0 to 2, got float32 from -0.5 to 0.5"),
    ],
)
def test_errors_name_what_came(options, came):
    given = {"x": X, "y": Y, "ball": BALL, "device": "cpu"} | options
    with pytest.raises(InputError, match=f"^attack: .*{came}"):
        ws.attack(Plane(), **given)
