import pytest
import torch
from torch import nn

from withstand.errors import InputError
from withstand.models.wrappers import mixed_precision
from withstand.models.wrappers.batch_norm_adapted import BatchNormAdapted
from withstand.models.wrappers.black_box import as_module
from withstand.models.wrappers.mixed_precision import MixedPrecision, check_bf16, in_bf16
from withstand.models.wrappers.with_surrogate import WithSurrogate


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).eval()


def test_outputs_are_float32_numbers_of_bfloat16(model):
    x = torch.rand(4, 5, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = model(x)
    found = MixedPrecision(model)(x)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected.float())
    assert not torch.equal(found, model(x))
    assert not torch.is_autocast_enabled("cpu")


def test_gradients_reach_inputs_and_weights_in_their_own_type(model):
    x = torch.rand(4, 5, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    MixedPrecision(model)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.any()
    assert all(each.grad is not None and each.grad.dtype == torch.float32 for each in model.parameters())


def test_a_surrogate_keeps_its_precision_and_what_adapts_still_adapts(model):
    pair = in_bf16(WithSurrogate(model, nn.Linear(5, 3)), who="test")
    assert isinstance(pair, WithSurrogate)
    assert isinstance(pair.model, MixedPrecision)
    assert isinstance(pair.surrogate, nn.Linear)
    x = torch.rand(4, 5)
    adapted = BatchNormAdapted(MixedPrecision(model), prior=1, batch_size=4).eval()
    assert not torch.equal(adapted(x), MixedPrecision(model)(x))


def test_a_model_of_another_package_has_no_mixed_precision():
    module = as_module(lambda x: x, ("a", "b"), who="test")
    with pytest.raises(InputError, match="test: amp bf16 needs a"):
        in_bf16(module, who="test")


@pytest.mark.parametrize(("kind", "is_new", "what"), [("mps", False, "macOS 14"), ("meta", True, "a CPU, a CUDA")])
def test_a_device_without_bfloat16_is_refused(kind, is_new, what, monkeypatch):
    monkeypatch.setattr(mixed_precision.torch.backends.mps, "is_macos_or_newer", lambda *version: is_new)
    with pytest.raises(InputError, match=f"training: amp bf16 needs {what}.*got {kind}"):
        check_bf16(torch.device(kind), who="training")
    check_bf16(torch.device("cpu"), who="training")
