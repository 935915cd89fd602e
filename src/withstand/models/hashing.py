"""Hash of a model, which identifies cached outcomes."""

import hashlib

import torch
from torch import nn

from withstand.configuration import source_of


def hash_of(module: nn.Module) -> str:
    """Return a SHA-256 of a module's structure, source, plain attributes, parameters and buffers."""
    found = hashlib.sha256(str(module).encode())
    for name, part in module.named_modules():
        if not type(part).__module__.startswith(("torch.", "torchvision.", "timm.", "withstand.")):
            found.update(source_of(type(part)).encode())
        plain = {key: each for key, each in vars(part).items() if isinstance(each, bool | int | float | str | tuple)}
        plain.pop("training", None)
        found.update(f"{name} {sorted(plain.items())}".encode())
    for name, each in module.state_dict().items():
        found.update(f"{name} {each.dtype if isinstance(each, torch.Tensor) else type(each)}".encode())
        if isinstance(each, torch.Tensor):
            found.update(each.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
