"""InMemory: a module that was given in Python."""

import copy
from dataclasses import dataclass

from torch import nn

from withstand.errors import InputError
from withstand.models.base import Model
from withstand.models.external.outputs import with_logits
from withstand.models.hashing import hash_of
from withstand.models.normalize import Normalize

_given: dict[str, nn.Module] = {}  # the modules of this process, by their hash


@dataclass(frozen=True, kw_only=True)
class InMemory(Model):
    """A module given in Python, `Experiment(model=module)`; networks are copies that start from its weights.

    A configuration in YAML identifies the module, but builds it only in the process in which it was given.

    Attributes:
        kind: Class of the module.
        sha256: Hash of its structure, source and weights.
    """

    kind: str
    sha256: str

    @classmethod
    def of(cls, module: nn.Module) -> "InMemory":
        """Return the configuration that builds copies of a module with its current weights."""
        own = cls(kind=f"{type(module).__module__}.{type(module).__qualname__}", sha256=hash_of(module))
        _given.setdefault(own.sha256, copy.deepcopy(module))
        object.__setattr__(own, "module", _given[own.sha256])  # goes to other processes with the configuration
        return own

    def make(self, shape: tuple[int, ...], num_classes: int) -> tuple[Normalize, nn.Module]:
        """Copy the module."""
        module: nn.Module | None = vars(self).get("module") or _given.get(self.sha256)
        if module is None:
            raise InputError(
                f"model: the run was trained on a module given in Python, {self.kind}, which its configuration cannot "
                "build; pass a module to ws.evaluate, or name its code as FILE.py:NAME."
            )
        network = with_logits(f"model: {self.kind}", copy.deepcopy(module), shape, num_classes, None)
        return Normalize((0.0,), (1.0,)), network

    @classmethod
    def examples(cls) -> list[tuple[Model, tuple[int, ...]]]:
        """None, since a configuration alone builds nothing."""
        return []
