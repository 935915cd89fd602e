import os
import pickle
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from safetensors.torch import save_file

from withstand.errors import InputError
from withstand.models.mlp import MLP
from withstand.models.weights import load_weights, read_tensors, write_weights


class Trap:
    """Would write a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def build(seed):
    return MLP(hidden=(4,)).build((3,), 2, seed=seed)


@pytest.fixture
def source():
    return build(1)


def same(model, other):
    return all(torch.equal(each, other.state_dict()[name]) for name, each in model.state_dict().items())


LAYOUTS = {
    "plain": lambda state: state,
    "data-parallel": lambda state: {f"module.{name}": each for name, each in state.items()},
    "model_state_dict": lambda state: {"model_state_dict": state, "epoch": 3},
    "state_dict": lambda state: {"state_dict": {f"module.{name}": each for name, each in state.items()}},
    "model": lambda state: {"model": state, "optimizer": {"state": {}}},
    "net": lambda state: {"net": state, "acc": 93.1},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("whose", ["the network's", "our own"])
def test_every_usual_layout_is_read(source, tmp_path, layout, whose):
    state = (source if whose == "our own" else source.network).state_dict()
    torch.save(LAYOUTS[layout](state), tmp_path / "weights.pt")
    model = build(2)
    load_weights(model, tmp_path / "weights.pt")
    assert same(model, source)


@pytest.mark.parametrize("whose", ["the network's", "our own"])
def test_safetensors_are_read(source, tmp_path, whose):
    save_file((source if whose == "our own" else source.network).state_dict(), tmp_path / "weights.safetensors")
    model = build(2)
    load_weights(model, str(tmp_path / "weights.safetensors"))
    assert same(model, source)


def test_what_a_run_writes_is_read(source, tmp_path):
    write_weights(tmp_path / "model.safetensors", source)
    model = build(2)
    load_weights(model, tmp_path / "model.safetensors")
    assert same(model, source)
    assert [each.name for each in tmp_path.iterdir()] == ["model.safetensors"]


def test_the_file_says_which_name_or_shape_does_not_fit(source, tmp_path):
    path = tmp_path / "weights.pt"
    state = source.network.state_dict()

    def refusal(state):
        torch.save(state, path)
        before = {name: each.clone() for name, each in source.state_dict().items()}
        with pytest.raises(InputError) as caught:
            load_weights(source, path)
        assert all(torch.equal(each, before[name]) for name, each in source.state_dict().items())
        return str(caught.value)

    missing = {name: each for name, each in state.items() if name != "2.bias"}
    start = f"weights: {path} does not fit the model: "
    assert refusal(missing) == f"{start}the file lacks it: 2.bias."
    assert refusal(state | {"fc.bias": torch.ones(1)}) == f"{start}the model lacks it: fc.bias."
    assert refusal(state | {"2.weight": torch.ones(2, 5)}) == (f"{start}2.weight must have shape (2, 4), got (2, 5).")
    assert refusal({}).startswith(start)


@pytest.mark.parametrize("whose", ["the network's", "our own"])
def test_another_number_of_classes_names_the_class_map(tmp_path, whose):
    other = MLP(hidden=(4,)).build((3,), 1000, seed=0)
    torch.save((other if whose == "our own" else other.network).state_dict(), tmp_path / "weights.pt")
    with pytest.raises(InputError, match=r"1,000 classes and the model for the 2 of the data.*num_classes"):
        load_weights(build(0), tmp_path / "weights.pt")
    wider = MLP(hidden=(5,)).build((3,), 2, seed=0)
    torch.save(wider.network.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(InputError) as caught:
        load_weights(build(0), tmp_path / "weights.pt")
    assert "class_map" not in str(caught.value)


def test_a_pickle_that_would_run_code_is_refused_and_not_run(source, tmp_path):
    path, sprung = tmp_path / "weights.pt", tmp_path / "sprung"
    torch.save({"model": source.state_dict(), "more": Trap(sprung)}, path)
    for _ in range(2):
        with pytest.raises(InputError, match="is not a file of tensors"):
            load_weights(source, path)
        path.write_bytes(pickle.dumps(Trap(sprung), protocol=2))
    assert not sprung.exists()


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut short"], ids=str)
def test_a_file_of_another_kind_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"^weights: .*{name} is not a file of tensors: "):
        read_tensors(tmp_path / name)


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_a_file_cut_short_anywhere_is_refused(source, tmp_path, name):
    path = tmp_path / name
    (save_file if path.suffix == ".safetensors" else torch.save)(source.state_dict(), path)
    whole = path.read_bytes()
    for share in (0.05, 0.5, 0.95):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match="is not a file of tensors"):
            read_tensors(path)


def test_a_missing_file_a_folder_and_a_lone_tensor_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"^weights: expected a file, found none at .*nothing\.pt\.$"):
        read_tensors(tmp_path / "nothing.pt")
    with pytest.raises(InputError, match="expected a file"):
        read_tensors(tmp_path)
    torch.save(torch.ones(2), tmp_path / "lone.pt")
    with pytest.raises(InputError, match=r"must hold a state dict, got Tensor\.$"):
        read_tensors(tmp_path / "lone.pt")


def test_a_pickle_cut_to_one_byte_is_refused(tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"\x80")
    with pytest.raises(InputError, match="is not a file of tensors"):
        read_tensors(tmp_path / "weights.pt")


def test_an_unsafe_pickle_is_said_to_be_refused(tmp_path):
    torch.save({"more": Trap(tmp_path / "sprung")}, tmp_path / "weights.pt")
    with pytest.raises(InputError, match="contains objects other than tensors"):
        read_tensors(tmp_path / "weights.pt")


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("module", ["builtins", "__builtin__"])
def test_a_file_that_asks_for_memory_by_a_number_is_refused(tmp_path, module, is_zip):
    """PyTorch lets a pickle of weights make bytearrays of any size."""
    path, size = tmp_path / "weights.pt", (1 << 20).to_bytes(4, "little")
    content = b"\x80\x02}X\x01\x00\x00\x00a" + f"c{module}\nbytearray\nJ".encode() + size + b"\x85Rs."
    torch.save({}, path, _use_new_zipfile_serialization=is_zip)
    if is_zip:
        with ZipFile(path, "w") as archive:
            for name, part in {"data.pkl": content, "version": b"3\n", "byteorder": b"little"}.items():
                archive.writestr(f"archive/{name}", part)
    else:
        empty = pickle.dumps({}, protocol=2)
        assert empty in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(empty, content))
    with pytest.raises(InputError, match="objects other than tensors"):
        read_tensors(path)
