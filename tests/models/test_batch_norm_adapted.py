import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm

from withstand.errors import InputError
from withstand.models.frozen import evaluating
from withstand.models.wrappers.batch_norm_adapted import BatchNormAdapted


def network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    for _ in range(3):
        model(2 * torch.rand(16, 3, 8, 8))
    return model.eval()


X = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("prior", [0, 3.0, 16])
def test_statistics_are_mixed_in_the_shares_of_prior_and_batch(prior):
    model = network()
    norm, features = model[1], model[0](X).detach()
    share = len(X) / (prior + len(X))
    mean = (1 - share) * norm.running_mean + share * features.mean((0, 2, 3))
    variance = (1 - share) * norm.running_var + share * features.var((0, 2, 3), correction=0)
    expected = model[4](batch_norm(features, mean, variance, norm.weight, norm.bias, eps=norm.eps).relu().flatten(1))
    assert torch.allclose(BatchNormAdapted(model, prior=prior, batch_size=6).eval()(X), expected, atol=1e-5)


def test_a_large_prior_changes_nothing_and_none_is_training_mode():
    model = network()
    adapted = BatchNormAdapted(model, prior=1e12, batch_size=6).eval()
    assert torch.allclose(adapted(X), model(X), atol=1e-6)
    alone = BatchNormAdapted(model, prior=0, batch_size=6).eval()(X)
    assert torch.allclose(alone, network().train()(X), atol=1e-5)


def test_the_model_is_as_before_even_after_an_error():
    model = network()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    adapted = BatchNormAdapted(model, prior=1, batch_size=6).eval()
    adapted(X)
    with pytest.raises(RuntimeError):
        adapted(X[:, :2])
    with evaluating(adapted), pytest.raises(RuntimeError):
        adapted(torch.rand(2, 3, 9, 9))
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], each) for name, each in before.items())
    assert not any(each._forward_pre_hooks for each in model.modules())


@pytest.mark.parametrize(
    "model", [nn.Linear(3, 2), nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False)), nn.LayerNorm(3)]
)
def test_a_model_without_statistics_is_refused(model):
    with pytest.raises(InputError, match="batch normalisation"):
        BatchNormAdapted(model, prior=1, batch_size=2)


@pytest.mark.parametrize(("prior", "batch_size"), [(-1, 2), (float("nan"), 2), (1, 0), (1, 2.5), ("1", 2)])
def test_wrong_sizes_are_refused(prior, batch_size):
    with pytest.raises(InputError, match=r"prior|batch_size"):
        BatchNormAdapted(network(), prior=prior, batch_size=batch_size)


def test_what_memory_held_before_does_not_matter():
    expected = BatchNormAdapted(network(), prior=4, batch_size=6).eval()(X)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:  # new memory is full of NaN
        assert torch.empty(3).isnan().all()
        found = BatchNormAdapted(network(), prior=4, batch_size=6).eval()(X)
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(found, expected)


def test_a_row_alone_is_its_mean_and_has_no_variance():
    norm = nn.BatchNorm1d(2, eps=0.0).eval()
    x = torch.tensor([[2.0, 4.0]])
    found = BatchNormAdapted(norm, prior=3, batch_size=4).eval()(x)
    assert torch.allclose(found, (x - x / 4) / 0.75**0.5)
