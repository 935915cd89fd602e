"""Weights of every kind that does not fit: by type, layout, value and name."""

import warnings

import pytest
import torch
from safetensors.torch import save_file

from withstand.errors import InputError
from withstand.models.small_cnn import SmallCNN
from withstand.models.weights import load_weights

KINDS = {
    "whole numbers": lambda value: value.int(),
    "bytes": lambda value: value.to(torch.uint8),
    "truths": lambda value: value > 0,
    "complex": lambda value: value.to(torch.complex64),
    "sparse": lambda value: value.to_sparse(),
    "quantized": lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.quint8),
    "meta": lambda value: value.to("meta"),
    "nested": lambda _: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "NaN": lambda value: value * float("nan"),
    "infinite": lambda value: value + float("inf"),
}
KEYS = {
    "number": lambda state: {1: torch.ones(1)},
    "mixed": lambda state: {**state, 3: torch.ones(1)},
    "tuple": lambda state: {**state, (1, 2): torch.ones(1)},
    "inner": lambda state: {"state_dict": {**state, None: torch.ones(1)}},
}


@pytest.fixture
def model():
    return SmallCNN(width=2).build((1, 8, 8), 2, seed=0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("change", KINDS.values(), ids=KINDS)
def test_tensors_that_are_no_plain_finite_fractions_are_refused_by_name(model, change, tmp_path):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    name = [each for each, _ in model.named_parameters()][-1]
    torch.save({**before, name: change(before[name])}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        load_weights(model, tmp_path / "a.pth")
    assert all(torch.equal(value, before[each]) for each, value in model.state_dict().items())


@pytest.mark.parametrize("change", KEYS.values(), ids=KEYS)
def test_names_that_are_no_text_are_refused(model, change, tmp_path):
    torch.save(change(model.state_dict()), tmp_path / "a.pth")
    with pytest.raises(InputError, match="got the key"):
        load_weights(model, tmp_path / "a.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_safetensors_must_be_finite_too(model, value, tmp_path):
    save_file(
        {name: torch.full_like(each, value) for name, each in model.state_dict().items()}, tmp_path / "a.safetensors"
    )
    with pytest.raises(InputError, match="finite"):
        load_weights(model, tmp_path / "a.safetensors")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_accepted(model, kind, tmp_path):
    state = {name: each.to(kind) for name, each in model.state_dict().items()}
    torch.save(state, tmp_path / "a.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_weights(model, tmp_path / "a.pth")
