"""Models in files: torch.export (.pt2), TorchScript and ONNX."""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from withstand.errors import InputError, told
from withstand.models.external.pt2_archive import check_archive
from withstand.models.wrappers.black_box import WithoutGradient
from withstand.reading.places import check_unpacked


class FixedBatch(nn.Module):
    """A model that takes one batch size only: batches are cut, and filled up with copies of an input."""

    def __init__(self, model: nn.Module, size: int) -> None:
        """Keep the model and its batch size, at least 1."""
        super().__init__()
        self.model, self.size = model, size
        self.remark = f"takes batches of {size} only, which are filled up"

    def forward(self, x: Tensor) -> Any:
        """Return what the model returns for every input."""
        if len(x) == 0:
            return _cut(self.model(x.new_zeros(self.size, *x.shape[1:])), 0)
        parts = []
        for part in x.split(self.size):
            filled = torch.cat([part, part[:1].expand(self.size - len(part), *part.shape[1:])])
            parts.append(_cut(self.model(filled), len(part)))
        return _joined(parts)


class Exported(nn.Module):
    """A program of `torch.export`, in the mode in which it was exported."""

    remark = "is measured in the mode in which it was exported"

    def __init__(self, program: Any) -> None:
        """Take the module out of the program."""
        super().__init__()
        self.inner = program.module()
        self.inner.requires_grad_(False)

    def forward(self, x: Tensor) -> Any:
        """Return what the program returns."""
        return self.inner(x)

    def train(self, mode: bool = True) -> "Exported":
        """Set the mode of this module alone: the program's is fixed."""
        self.training = mode
        return self

    def named_modules(self, memo: Any = None, prefix: str = "", remove_duplicate: bool = True) -> Any:
        """Yield this module alone, since those of the program have no mode."""
        yield prefix, self


class Onnx(WithoutGradient):
    """An ONNX file, run by onnxruntime on the CPU or, if it is built for that, on a GPU."""

    def __init__(self, path: Path) -> None:
        """Open the file."""
        super().__init__()
        self.path, self.session = path, _session(path)
        (entry,) = self.session.get_inputs()
        self.entry, self.dtype = entry.name, DTYPES[entry.type]
        self.outputs = [each.name for each in self.session.get_outputs()]

    def forward(self, x: Tensor) -> Any:
        """Return the outputs: a tensor, or a mapping if there are several."""
        self.refuse_gradient(x)
        found = self.session.run(None, {self.entry: x.detach().cpu().numpy().astype(self.dtype, copy=False)})
        tensors = {
            name: torch.from_numpy(np.asarray(each)).to(x.device)
            for name, each in zip(self.outputs, found, strict=True)
            if isinstance(each, np.ndarray)
        }
        return next(iter(tensors.values())) if len(tensors) == 1 else tensors

    def __deepcopy__(self, memo: Any) -> "Onnx":
        return Onnx(self.path)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Onnx, (self.path,)


DTYPES = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16"}


def read_pt2(path: Path) -> nn.Module:
    """Return the model of a file of `torch.export.save`.

    Raises:
        InputError: If it is not such a file, holds code, or the model does not take one tensor.
    """
    check_unpacked("model", path)
    check_archive(path)
    log = logging.getLogger("torch.export")
    level = log.level
    log.setLevel(logging.CRITICAL)  # it prints the traceback of a damaged file
    try:
        program = torch.export.load(path)
        names = program.graph_signature.user_inputs
        places = [each for each in program.graph.nodes if each.op == "placeholder" and each.name in names]
        batch = places[0].meta["val"].shape[0]
    except Exception as problem:  # a damaged archive can end in almost any error
        raise InputError(f"model: {path} is not a program of torch.export ({told(problem)}).") from problem
    finally:
        log.setLevel(level)
    if len(places) != 1:
        raise InputError(f"model: {path} must take one tensor, got a program with {len(places)} inputs.")
    return _in_batches(Exported(program), batch)


def read_torchscript(path: Path) -> nn.Module:
    """Return the model of a TorchScript file; errors as for `read_pt2`."""
    check_unpacked("model", path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated
            return torch.jit.load(path, map_location="cpu")
    except Exception as problem:
        raise InputError(
            f"model: {path} is not a TorchScript file ({told(problem)}); weights are given with --weights, "
            "next to the name of the network."
        ) from problem


def read_onnx(path: Path) -> nn.Module:
    """Return the model of an ONNX file; errors as for `read_pt2`."""
    inputs = _session(path).get_inputs()
    if len(inputs) != 1 or inputs[0].type not in DTYPES:
        told = ", ".join(f"{each.name}: {each.type}" for each in inputs)
        raise InputError(f"model: {path} must take one tensor of floating point numbers, got {told}.")
    batch = inputs[0].shape[0] if inputs[0].shape else None
    return _in_batches(Onnx(path), batch)


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as problem:
        raise InputError("model: onnxruntime is not installed; `pip install 'withstand[onnx]'` brings it.") from problem
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=onnxruntime.get_available_providers())
    except Exception as problem:  # onnxruntime has exceptions of its own for everything
        raise InputError(f"model: {path} is not an ONNX file that onnxruntime reads ({told(problem)}).") from problem


def _in_batches(model: nn.Module, batch: Any) -> nn.Module:
    return FixedBatch(model, batch) if isinstance(batch, int) else model


def _cut(found: Any, count: int) -> Any:
    if isinstance(found, dict):
        return {name: each[:count] for name, each in found.items()}
    return type(found)(each[:count] for each in found) if isinstance(found, tuple | list) else found[:count]


def _joined(parts: list[Any]) -> Any:
    first = parts[0]
    if isinstance(first, dict):
        return {name: torch.cat([each[name] for each in parts]) for name in first}
    if isinstance(first, tuple | list):
        return type(first)(torch.cat(own) for own in zip(*parts, strict=True))
    return torch.cat(parts)
