"""Reading and writing weights, without running code."""

import pickle
import re
import warnings
from contextlib import ExitStack
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from withstand.errors import InputError, brief
from withstand.files import write_whole
from withstand.reading.places import check_unpacked, is_file

BUFFER = re.compile(rb"c(__builtin__|builtins)\r?\nbytearray\r?\n")
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # first bytes of files of PyTorch before version 1.6
LAYOUTS = ("model_state_dict", "state_dict", "model", "net")


def read_tensors(path: str | Path) -> dict[str, Any]:
    """Return the content of a `.safetensors` or PyTorch file; only tensors and plain values are accepted.

    Raises:
        InputError: If the file is missing, damaged or would run code.
    """
    path = Path(path)
    if not is_file(path):
        raise InputError(f"weights: expected a file, found none at {path}.")
    check_unpacked("weights", path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not is_zipfile(path):
                check_legacy(path)
            check_buffers(path)
            # From a file without a zip archive, PyTorch unpacks a folder at first, in case that it is a tar archive.
            source = path if is_zipfile(path) else BytesIO(path.read_bytes())
            content = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as problem:  # a damaged pickle can end in almost any error
        unsafe = isinstance(problem, pickle.UnpicklingError) and "unsupported" in str(problem).lower()
        what = "it contains objects other than tensors" if unsafe else "it is damaged or has another format"
        raise InputError(f"weights: {path} is not a file of tensors: {what}.") from problem
    if not isinstance(content, dict):
        raise InputError(f"weights: {path} must hold a state dict, got {type(content).__name__}.")
    return content


def check_legacy(path: Path) -> None:
    """Reject a file that is neither a zip archive nor begins as PyTorch wrote files before, which are read in whole.

    Raises:
        UnpicklingError: If it does not.
    """
    with path.open("rb") as file:
        if file.read(len(LEGACY)) != LEGACY:
            raise pickle.UnpicklingError("neither a zip archive nor a pickle of PyTorch")


def check_buffers(file: Path | BytesIO) -> None:
    """Reject a file of PyTorch that asks for bytearrays, which no weights need: a number in it says how much memory.

    Raises:
        UnpicklingError: If it does; others if it is damaged.
    """
    is_zip = is_zipfile(file)
    if isinstance(file, BytesIO):
        file.seek(0)
    with ExitStack() as stack:
        if is_zip:
            content = torch._C.PyTorchFileReader(str(file) if isinstance(file, Path) else file).get_record("data.pkl")
        elif isinstance(file, Path):
            opened = stack.enter_context(file.open("rb"))
            content = stack.enter_context(mmap(opened.fileno(), 0, access=ACCESS_READ))
        else:
            content = file.getbuffer()
        found = BUFFER.search(content)
    if found:
        raise pickle.UnpicklingError("Unsupported global: bytearray")


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load a file's weights into a model built by `Model.build`.

    Accepted are files of withstand, plain state dicts of the network (torchvision, timm), the same under one of the
    keys `model_state_dict`, `state_dict`, `model`, `net`, and names that begin with `module.` or all with `model.`.

    Args:
        model: Has the parts `normalize` and `network`.
        path: The file.

    Raises:
        InputError: If the file does not fit the model; the message names the first name or shape that differs, and
            the class map where the last layers answer for another number of classes.
    """
    path = Path(path)
    content = read_tensors(path)
    for key in LAYOUTS:
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    if wrong := [each for each in content if not isinstance(each, str)]:
        raise InputError(f"weights: {path} must hold tensors by name, got the key {brief(wrong[0])}.")
    state = {name.removeprefix("module."): value for name, value in content.items() if isinstance(value, Tensor)}
    known = (*model.state_dict(), *model.get_submodule("network").state_dict())
    if all(name.startswith("model.") for name in state) and not any(name.startswith("model.") for name in known):
        state = {name.removeprefix("model.").removeprefix("module."): value for name, value in state.items()}
    own = any(name.startswith("network.") for name in state)
    target = model if own else _named_like(model.get_submodule("network"), state)
    expected, parameters = target.state_dict(), dict(target.named_parameters())
    # Files from before batch normalisation counted its batches lack the counts, which only matter without a momentum.
    counts = {name: value for name, value in expected.items() if name.endswith(".num_batches_tracked")}
    state = counts | state
    state = {name: value for name, value in state.items() if not name.startswith("AuxLogits.") or name in expected}
    for name in [*expected, *state]:
        if name not in state or name not in expected:
            where = "the file lacks it" if name not in state else "the model lacks it"
            raise InputError(f"weights: {path} does not fit the model: {where}: {brief(name)}.")
        _check_kind(path, name, state[name], is_float=expected[name].is_floating_point())
        if state[name].shape != expected[name].shape:
            raise InputError(
                f"weights: {path} does not fit the model: {name} must have shape {tuple(expected[name].shape)}, "
                f"got {tuple(state[name].shape)}{_explain_classes(expected, state)}."
            )
        _check_values(path, name, state[name], is_parameter=name in parameters)
    target.load_state_dict(state)


def _check_kind(path: Path, name: str, value: Tensor, *, is_float: bool) -> None:
    """Reject tensors that are not plain arrays of numbers, or that have whole numbers where fractions belong."""
    is_plain = value.layout == torch.strided and not (value.is_quantized or value.is_meta or value.is_nested)
    if not is_plain or value.is_complex() or is_float != value.is_floating_point():
        kind = "nested" if value.is_nested else "meta" if value.is_meta else str(value.dtype).removeprefix("torch.")
        sparse = "" if value.layout == torch.strided or value.is_nested else f" in the layout {value.layout}"
        expected = "floating point numbers" if is_float else "whole numbers"
        raise InputError(f"weights: {path}: {brief(name)} must hold {expected}, got {kind}{sparse}.")


def _check_values(path: Path, name: str, value: Tensor, *, is_parameter: bool) -> None:
    """Reject NaN, and infinite parameters; a mask in a buffer may be infinite."""
    if value.is_floating_point():
        value = value.float()  # some short types have no isnan
        found = "NaN" if value.isnan().any() else "an infinity" if is_parameter and value.isinf().any() else ""
        if found:
            raise InputError(f"weights: {path}: {brief(name)} must hold finite numbers, got {found}.")


def _named_like(network: nn.Module, state: dict[str, Tensor]) -> nn.Module:
    """Return the part of a network whose tensors have the names of a state: itself, or the model that it wraps."""
    part: nn.Module | None = network
    while isinstance(part, nn.Module):
        if part.state_dict().keys() & state.keys():
            return part
        part = getattr(part, "model", None)
    return network


def write_weights(path: Path, model: nn.Module, *, settle: bool = True) -> None:
    """Write a model's weights, atomically; `settle` as for `write_whole`."""
    state = {name: each.detach().cpu().contiguous().clone() for name, each in model.state_dict().items()}
    write_whole(path, save(state), settle=settle)


def _explain_classes(expected: dict[str, Tensor], state: dict[str, Tensor]) -> str:
    """Return the end of a sentence that says why last layers may differ in their number of outputs, if they do."""
    last = next((name for name in reversed(expected) if expected[name].ndim > 0), None)
    if last not in state or state[last].ndim == 0 or len(state[last]) == len(expected[last]):
        return ""
    return (
        f"; the file is for {len(state[last]):,} classes and the model for the {len(expected[last]):,} of the data: "
        "of a folder of images that has only some of the classes, --data.num_classes is the number of all"
    )
