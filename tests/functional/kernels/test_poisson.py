import pytest
import torch
from scipy.stats import poisson

from withstand.functional.kernels.poisson import _summed_counts, poisson_counts
from withstand.functional.random import stream, uniform

SCALES = [3, 60, 500]


@pytest.fixture
def u():
    return uniform((20_000,), rng=stream(0, "u"))


@pytest.fixture
def levels():
    return torch.arange(20_000) % 256 / 255


@pytest.mark.parametrize("scale", SCALES)
def test_counts_on_the_grid_are_the_quantiles_of_scipy(levels, u, scale):
    exact = (levels * 255).round().double() / 255 * scale
    expected = torch.from_numpy(poisson.ppf(u.double().numpy(), exact.numpy())).float()
    assert torch.equal(poisson_counts(levels, u, scale=scale), expected.clamp(min=0))


@pytest.mark.parametrize("scale", SCALES)
def test_counts_off_the_grid_are_the_quantiles_of_scipy(u, scale):
    x = uniform((20_000,), rng=stream(0, "x"))
    expected = torch.from_numpy(poisson.ppf(u.double().numpy(), x.double().numpy() * scale)).float()
    on_grid = ((x * 255) - (x * 255).round()).abs() < 1e-3
    assert torch.equal(poisson_counts(x, u, scale=scale)[~on_grid], expected.clamp(min=0)[~on_grid])


@pytest.mark.parametrize("scale", SCALES)
def test_table_and_sum_agree(levels, u, scale):
    summed = _summed_counts((levels * 255).round().double() / 255 * scale, u.double(), scale)
    assert torch.equal(poisson_counts(levels, u, scale=scale), summed.float())


@pytest.mark.parametrize("scale", [3, 5, 10, 12, 15, 20, 25, 30, 50, 60, 75, 100, 250, 500, 700])
def test_numbers_right_beside_the_distribution_function_are_on_the_right_side_of_it(scale):
    level = torch.arange(0, 256, 15)[:, None]
    rate = level.double() / 255 * scale
    nearest = torch.from_numpy(poisson.cdf(torch.arange(2 * scale), rate)).float()
    u = torch.stack([nearest.nextafter(torch.tensor(each)) for each in (0.0, 2.0)] + [nearest])
    u = u.clamp(2.0**-25, 1 - 2.0**-24)
    x = (level / 255).expand_as(u)
    summed = _summed_counts(rate.expand_as(u).flatten(), u.double().flatten(), scale)
    assert torch.equal(poisson_counts(x, u, scale=scale).flatten(), summed.float())


@pytest.mark.parametrize("bits", range(25))
def test_numbers_at_the_ends_of_the_octaves_are_looked_up_like_others(bits):
    far = torch.tensor(2.0**-bits / 2)
    u = torch.stack([far, far.nextafter(torch.tensor(0.0)), 1 - far, (1 - far).nextafter(torch.tensor(0.0))])
    u = u.clamp(2.0**-25, 1 - 2.0**-24)
    x = (torch.arange(256) / 255)[:, None].expand(-1, 4)
    summed = _summed_counts((x.double() * 255).round().flatten() / 255 * 60, u.double().repeat(256), 60)
    assert torch.equal(poisson_counts(x, u.expand(256, -1), scale=60).flatten(), summed.float())


def test_a_value_does_not_depend_on_whether_others_are_on_the_grid(levels, u):
    among_others = levels.clone()
    among_others[::3] += 0.3 / 255
    kept = torch.arange(20_000) % 3 != 0
    mixed, alone = poisson_counts(among_others, u, scale=60), poisson_counts(levels, u, scale=60)
    assert torch.equal(mixed[kept], alone[kept])


@pytest.mark.parametrize("scale", SCALES)
def test_black_never_has_a_count(u, scale):
    assert poisson_counts(torch.zeros(20_000), u, scale=scale).sum() == 0


@pytest.mark.parametrize("number", [0.0, 2.0**-25, 1 - 2.0**-24, 1 - 2.0**-40])
@pytest.mark.parametrize("scale", SCALES)
def test_counts_at_the_ends_of_the_unit_interval_are_finite_and_in_order(scale, number):
    levels = torch.arange(256) / 255
    u = torch.full((256,), number, dtype=torch.float64)
    on_grid, shifted = poisson_counts(levels, u, scale=scale), poisson_counts(levels * 0.9991, u, scale=scale)
    for counts in (on_grid, shifted):
        assert counts.min() >= 0
        assert counts.max() <= scale + 9 * scale**0.5 + 20
        assert (counts.diff() >= 0).all()


def test_a_number_equal_to_the_distribution_function_belongs_to_the_next_count():
    x = torch.ones(2, dtype=torch.float64)
    zero = torch.exp(torch.tensor(-3.0, dtype=torch.float64))
    u = torch.stack([zero * (1 - 1e-12), zero * (1 + 1e-12)])
    assert poisson_counts(x, u, scale=3).tolist() == [0, 1]


def test_shape_is_kept_and_none_is_fine():
    assert poisson_counts(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4), scale=3).shape == (2, 3, 4)
    assert poisson_counts(torch.zeros(0), torch.zeros(0), scale=3).shape == (0,)
