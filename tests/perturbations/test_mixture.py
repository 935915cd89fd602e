from dataclasses import dataclass
from itertools import pairwise
from math import inf

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import BatchStream, RowStreams, stream
from withstand.objectives.folds.soft_maximum import SoftMaximum
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.attacks.langevin import Langevin
from withstand.perturbations.attacks.tilted import Tilted
from withstand.perturbations.base import Draws, Perturbation
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Mixture
from withstand.perturbations.saved_as_jpeg import SavedAsJpeg


def numbers(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def draw(perturbation, x, num_draws=1, rng=None, y=None):
    y = torch.zeros(len(x), dtype=torch.long) if y is None else y
    rng = rng or stream(0, "mixture")
    return perturbation.draw(x, y, nn.Identity(), space=Space.like(x), num_draws=num_draws, rng=rng)


@given(batch=st.integers(1, 33))
def test_half_of_every_batch_is_noisy_and_the_rest_bit_equal(batch):
    x = numbers(batch, 3)
    drawn = draw(Mixture(), x, num_draws=2).inputs
    is_clean = (drawn == x).all(2)
    assert torch.equal(is_clean[0], is_clean[1])
    assert abs(is_clean[0].sum().item() - batch / 2) <= 0.5
    assert not (drawn == x).any(2)[0][~is_clean[0]].any()


@given(batch=st.integers(1, 40), shares=st.tuples(*[st.integers(1, 9)] * 3))
def test_shares_are_exact_for_every_batch_size(batch, shares):
    x = torch.zeros(batch, 30)
    mixture = Mixture(parts=tuple(Gaussian(std=std) for std in (1e-6, 1e-2, 1e2)), shares=shares)
    size = draw(mixture, x).inputs[0].std(1)
    counts = [((low < size) & (size < high)).sum().item() for low, high in pairwise([0, 1e-4, 1, 1e9])]
    assert sum(counts) == batch
    for count, share in zip(counts, shares, strict=True):
        assert abs(count - batch * share / sum(shares)) <= 1


def test_which_samples_are_noisy_changes_with_the_seed():
    x = numbers(16, 3)
    clean = {tuple((draw(Mixture(), x, rng=stream(seed, "x")).inputs[0] == x).all(1).tolist()) for seed in range(5)}
    assert len(clean) == 5


def test_of_three_parts_each_gets_its_rows():
    parts = (Identity(), Gaussian(std=0.1), Gaussian(std=50.0))
    drawn = draw(Mixture(parts=parts, shares=(5, 3, 2)), torch.zeros(100, 50)).inputs[0]
    size = drawn.std(1)
    assert [(size == 0).sum().item(), (size > 10).sum().item()] == [50, 20]


def test_labels_and_input_stay_as_they_are():
    x, y = numbers(8, 3), torch.arange(8)
    before = x.clone()
    draw(Mixture(), x, y=y)
    assert torch.equal(x, before)
    assert torch.equal(y, torch.arange(8))


def test_a_part_is_given_the_labels_of_its_rows(monkeypatch):
    seen = []

    def spy(self, x, y, model, **options):
        seen.append((x.clone(), y.clone()))
        return Identity().draw(x, y, model, **options)

    monkeypatch.setattr(Gaussian, "draw", spy)
    x = torch.arange(8.0)[:, None]
    draw(Mixture(parts=(Gaussian(std=0.1), Gaussian(std=0.2))), x, y=torch.arange(8))
    assert len(seen) == 2
    for inputs, labels in seen:
        assert torch.equal(inputs[:, 0].long(), labels)


def test_in_evaluation_samples_choose_with_the_shares_as_probabilities():
    x = torch.ones(2000, 2)
    drawn = draw(Mixture(shares=(3, 1)), x, rng=RowStreams(0, torch.arange(2000))).inputs[0]
    assert (drawn == x).all(1).float().mean().item() == pytest.approx(0.75, abs=0.03)


def test_mixtures_nest():
    inner = Mixture(parts=(Gaussian(std=1.0), Gaussian(std=2.0)))
    drawn = draw(Mixture(parts=(Identity(), inner)), torch.zeros(20, 4)).inputs[0]
    assert (drawn == 0).all(1).sum().item() == 10


def test_an_open_temperature_is_filled_in_however_deep_it_lies_and_a_given_one_stays():
    deep = Mixture(parts=(Identity(), SavedAsJpeg(perturbation=Mixture(parts=(Tilted(), Langevin(temperature=2.0))))))
    inner = deep.tempered(0.25).parts[1].perturbation
    assert [each.temperature for each in inner.parts] == [0.25, 2.0]
    assert Mixture().tempered(0.25) == Mixture()


def test_wrong_parts_and_shares_are_refused():
    with pytest.raises(InputError, match=r"^Mixture: parts must .+, got \(\)\.$"):
        Mixture(parts=())
    for shares in [(1.0,), (1.0, 0.0), (1.0, -1.0), (1.0, float("nan")), (1.0, 1.0, 1.0)]:
        with pytest.raises(InputError, match=r"^Mixture: shares(\[1\])? must be .+, got "):
            Mixture(shares=shares)


@dataclass(frozen=True, kw_only=True)
class Weighted(Perturbation):
    """Adds 0, 1, 2, ... and says that the first draw is e times as likely as the second, and so on."""

    scale: float = 1.0

    def draw(self, x, y, model, *, space, num_draws, rng):
        count = torch.arange(num_draws, dtype=x.dtype)
        inputs = x + count.view(-1, *[1] * x.ndim)
        return Draws(inputs, (-self.scale * count)[:, None].expand(num_draws, len(x)))

    @classmethod
    def examples(cls):
        return [cls()]


def test_weights_of_draws_go_to_the_rows_of_their_part():
    drawn = draw(Mixture(parts=(Identity(), Weighted())), torch.zeros(6, 2), num_draws=3)
    is_clean = (drawn.inputs == 0).all(2).all(0)
    assert is_clean.sum() == 3
    wanted = torch.tensor([0.0, -1.0, -2.0])[:, None] * ~is_clean
    assert torch.equal(drawn.log_weights, wanted)


def test_the_perturbed_risk_folds_with_the_weights_of_the_draws():
    x, y = torch.randn((5, 3), generator=torch.Generator().manual_seed(0)), torch.arange(5) % 3
    model = nn.Linear(3, 3)
    objective = PerturbedRisk(perturbation=Weighted(scale=2.0), num_draws=4, fold=SoftMaximum(temperature=inf))
    loss = objective.step(model, x, y, space=Space.like(x), state=nn.Module(), count=0, rng=stream(0, "x")).loss
    weights = (-2.0 * torch.arange(4.0)).softmax(0)
    losses = torch.stack([cross_entropy(model(x + number), y) for number in range(4)])
    torch.testing.assert_close(loss, (weights * losses).sum())


@given(batch=st.integers(2, 9), border=st.integers(0, 9), seed=st.integers(0, 9))
def test_processes_draw_what_one_process_draws_even_if_one_of_them_has_no_row_of_a_part(batch, border, seed):
    border = min(border, batch)
    mixture = Mixture(parts=(Identity(), Gaussian(std=0.1), Gaussian(std=10.0)))
    x = numbers(batch, 3)

    def share(start, stop):
        rng = BatchStream(lambda: stream(seed, "x"), start=start, stop=stop, total=batch)
        return draw(mixture, x[start:stop], num_draws=2, rng=rng).inputs

    assert torch.equal(torch.cat([share(0, border), share(border, batch)], dim=1), share(0, batch))
