"""Nothing makes float64 on a device that has none, and what is computed is the same there."""

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

from withstand.configuration import discover
from withstand.data.space import Space
from withstand.functional import precision
from withstand.functional.calibration import best_temperature
from withstand.functional.kernels.gaussian import blur
from withstand.functional.kernels.poisson import poisson_counts
from withstand.functional.random import row_streams
from withstand.objectives.two_passes import resample
from withstand.perturbations.base import Perturbation

APPLE = torch.device("lazy:0")  # a device that PyTorch knows and lets a tensor be on without a library for it
FREE = ("_to_copy", "copy_", "index", "index_put", "index_put_", "_index_put_impl_", "_local_scalar_dense")


class OnApple(torch.Tensor):
    """A tensor on the stand-in: its numbers lie in `inner`."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=APPLE,
            requires_grad=inner.requires_grad,
        )

    def __init__(self, inner):
        self.inner = inner

    def tolist(self):
        return self.inner.tolist()

    def new_tensor(self, numbers):
        return torch.tensor(numbers, dtype=self.dtype).to(self.device)

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return work(func, args, kwargs or {})


def work(func, args, kwargs):
    """Do an operation with the numbers, and refuse what the device refuses."""
    name = func.overloadpacket.__name__
    given = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, torch.Tensor)]
    here = [each for each in given if isinstance(each, OnApple)]
    asked = kwargs.get("device")
    if here and name not in FREE:
        strange = [each for each in given if not isinstance(each, OnApple) and each.ndim > 0]
        assert not strange, f"{name}: tensors on two devices"
    inside = (
        torch.device(asked).type == APPLE.type if asked is not None else name != "_local_scalar_dense" and bool(here)
    )
    if name == "copy_" and not isinstance(args[0], OnApple):
        inside = False
    plain = {key: value for key, value in kwargs.items() if key != "device"}
    if asked is not None:
        plain["device"] = torch.device("cpu")
    unwrapped = tree_map(lambda each: each.inner if isinstance(each, OnApple) else each, (args, plain))
    out = func(*unwrapped[0], **unwrapped[1])
    if not inside:
        return args[0] if name == "copy_" else out

    def wrapped(each):
        if not isinstance(each, torch.Tensor):
            return each
        if each.dtype in (torch.float64, torch.complex128):
            raise TypeError(f"{name}: the MPS framework doesn't support float64.")
        return OnApple(each)

    return return_and_correct_aliasing(func, args, kwargs, tree_map(wrapped, out))


class Made(TorchFunctionMode):
    """While it is on, tensors of given numbers can be made on the stand-in."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") == APPLE:
            return func(*args, **{**kwargs, "device": "cpu"}).to(APPLE)
        return func(*args, **kwargs)


class Apple(TorchDispatchMode):
    """While it is on, tensors can be made on the stand-in."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return work(func, args, kwargs or {})


# The stand-in cannot be indexed by lists, as rows of tables are.
EXAMPLES = [example for cls in discover(Perturbation) if not cls.tables_only for example in cls.examples()]


@pytest.fixture(autouse=True)
def no_float64(monkeypatch):
    monkeypatch.setattr(precision, "widest", lambda device: torch.float32 if device == APPLE else torch.float64)


def network(shape, device="cpu"):
    model = nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(shape).numel(), 4), nn.Tanh(), nn.Linear(4, 3))
    generator = torch.Generator().manual_seed(0)
    for layer in model:
        for name, each in list(layer.named_parameters()):
            numbers = (torch.rand(each.shape, generator=generator) - 0.5) / 10
            setattr(layer, name, nn.Parameter(numbers.to(device)))
    return model


def draws(perturbation, x, y, model, number=2):
    index = torch.arange(len(x))
    space = Space(shape=tuple(x.shape[1:]), box=(0.0, 1.0), num_classes=3)
    return perturbation.draw(x, y, model, space=space, num_draws=number, rng=row_streams(3, "x", index=index))


@pytest.mark.slow
@pytest.mark.parametrize("perturbation", EXAMPLES, ids=repr)
def test_draws_need_no_float64_on_the_device(perturbation):
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(0, 256, (3, 3, 32, 32), generator=generator) / 255
    y = torch.tensor([0, 2, 1])
    expected = draws(perturbation, x, y, network(x.shape[1:])).inputs
    with Made(), Apple():
        found = draws(perturbation, x.to(APPLE), y.to(APPLE), network(x.shape[1:], APPLE)).inputs
        assert isinstance(found, OnApple)
        found = found.cpu()
    assert torch.allclose(found, expected, atol=1e-4)


def test_the_stand_in_refuses_float64_however_it_is_made_and_tensors_on_two_devices():
    with Made(), Apple():
        x = torch.ones(3).to(APPLE)
        for make in (
            x.double,
            lambda: torch.zeros(3, dtype=torch.float64, device=APPLE),
            lambda: torch.tensor([1.0], dtype=torch.float64, device=APPLE),
            lambda: torch.ones(3, dtype=torch.float64).to(APPLE),
            lambda: x.sum(0, dtype=torch.float64),
        ):
            with pytest.raises(TypeError, match="float64"):
                make()
        with pytest.raises(AssertionError, match="two devices"):
            x + torch.ones(3)
        assert (2 * x + torch.ones(3).to(APPLE)).tolist() == [3.0, 3.0, 3.0]


def test_counts_of_resampling_are_those_of_the_cpu():
    weights = torch.rand(64, 20, generator=torch.Generator().manual_seed(0)).softmax(0)
    offset = torch.rand(20, 1, generator=torch.Generator().manual_seed(1))
    expected = resample(weights, 100, offset)
    with Made(), Apple():
        found = resample(weights.to(APPLE), 100, offset.to(APPLE))
        assert isinstance(found, OnApple)
        assert torch.equal(found.cpu(), expected)


def test_the_best_temperature_is_that_of_the_cpu():
    logits = 3 * torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    y, weights = torch.arange(40) % 5, torch.linspace(0, 1, 40)
    expected = best_temperature(logits, y, weights)
    with Made(), Apple():
        assert best_temperature(logits.to(APPLE), y.to(APPLE), weights.to(APPLE)) == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_poisson_counts_of_any_numbers_are_those_of_the_cpu(dtype):
    x = torch.rand(50, generator=torch.Generator().manual_seed(0)).to(dtype)
    u = torch.rand(50, generator=torch.Generator().manual_seed(1)).to(dtype).clamp(max=0.99)
    expected = poisson_counts(x, u, scale=25.0)
    with Made(), Apple():
        assert torch.equal(poisson_counts(x.to(APPLE), u.to(APPLE), scale=25.0).cpu(), expected)


def test_values_in_float64_are_not_changed_in_place():
    x = torch.rand(2, 1, 9, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = x.clone()
    blur(x, 0.4)
    assert torch.equal(x, before)
