"""Hash of a model, which identifies cached outcomes."""

import hashlib
from typing import Any

import numpy as np
import torch
from torch import nn

from withstand.configuration import source_of

_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


def hash_of(module: nn.Module) -> str:
    """Return a SHA-256 of a module's structure, source, parameters, buffers and attributes.

    Attributes count if they are plain values, arrays, tensors, modules, or containers of these.
    """
    found = hashlib.sha256()
    _add(found, module, set())
    return found.hexdigest()


def _add(found: Any, value: Any, seen: set[int]) -> None:
    """Add a value to a hash."""
    if isinstance(value, nn.Module):
        if id(value) not in seen:
            seen.add(id(value))
            _add_module(found, value, seen)
    elif isinstance(value, torch.Tensor):
        found.update(f"{value.dtype} {tuple(value.shape)}".encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        found.update(f"{value.dtype} {value.shape}".encode() + value.tobytes())
    elif isinstance(value, list | tuple | dict):
        if id(value) in seen:
            return
        seen.add(id(value))
        found.update(f"{type(value).__name__} {len(value)}".encode())
        for each in value.items() if isinstance(value, dict) else value:
            _add(found, each, seen)
    elif isinstance(value, bool | int | float | str | bytes | None):
        found.update(f"{value!r};".encode())
    else:
        found.update(f"{type(value).__qualname__};".encode())


def _add_module(found: Any, module: nn.Module, seen: set[int]) -> None:
    found.update(str(module).encode())
    for name, part in module.named_modules():
        seen.add(id(part))
        if not type(part).__module__.startswith(("torch.", "torchvision.", "timm.", "withstand.")):
            found.update(source_of(type(part)).encode())
        own = {key: each for key, each in vars(part).items() if key not in _OF_EVERY_MODULE}
        for key in sorted(own):
            found.update(f"{name} {key}".encode())
            _add(found, own[key], seen)
    # Not all buffers are in the state, and not all of the state are parameters and buffers.
    for name, each in (*module.state_dict().items(), *module.named_buffers()):
        found.update(name.encode())
        _add(found, each, seen)
