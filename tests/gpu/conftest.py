"""Another device for tests: a GPU, or a pretended one, whose tensors hold their values on the CPU.

The pretended device claims to be `meta`, the one device that PyTorch has everywhere. As on a GPU, an operation on
tensors of both devices fails, and `numpy()` fails; unlike on a GPU, the numbers of its generators are those of the CPU.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

PRETENDED = torch.device("meta")
BUILDS = (torch.tensor, torch.as_tensor, Tensor.new_tensor)
# What takes tensors of the CPU among those of a GPU: copies, and indices.
ACROSS = {"aten::copy_": slice(0, 2), "aten::index": slice(1, None), "aten::index_put_": slice(1, 2)}
ACROSS |= {"aten::_index_put_impl_": slice(1, 2)}
TO_HOST = ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal")


class Held(Tensor):
    """A tensor of the pretended device, with its values in `held`, on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "Held":
        shape, kind = {"size": held.shape, "strides": held.stride()}, {"dtype": held.dtype, "device": PRETENDED}
        return Tensor._make_wrapper_subclass(cls, **shape, storage_offset=held.storage_offset(), **kind)

    def __init__(self, held: Tensor) -> None:
        self.held = held

    def tolist(self) -> Any:
        crossings["aten::tolist"] += 1
        return self.held.tolist()

    @property
    def data(self) -> Tensor:
        return self.detach()

    @data.setter
    def data(self, other: "Held") -> None:
        Tensor.data.__set__(self, other)
        self.held = other.held

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


crossings: Counter[str] = Counter()  # operations that read values of the device on the CPU


def computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Return the result of an operation, computed on the CPU; its tensors are where a GPU's would be."""
    name, leaves = func._schema.name, [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    is_there = any(isinstance(each, Held) for each in leaves)
    if any(each.device == PRETENDED and not isinstance(each, Held) for each in leaves):
        raise RuntimeError(f"{name}: got a tensor without values; build it in `Building`")
    to = kwargs.get("device")
    if to is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
        if is_there and torch.device(to).type == "cpu":
            crossings[name if args[0].numel() > 1 else "number"] += 1
            is_there = False
        else:
            is_there = torch.device(to).type == PRETENDED.type
    elif is_there:
        crossings.update(["number"] if name in TO_HOST else [])
        free = tree_leaves(args[ACROSS[name]]) if name in ACROSS else []
        wrong = [
            each for each in leaves if not isinstance(each, Held) and each.ndim and not any(each is f for f in free)
        ]
        if wrong or (name == "aten::index" and not isinstance(args[0], Held)):
            raise RuntimeError(
                f"{name}: expected all tensors on one device, got {[each.device.type for each in leaves]}"
            )
        if name == "aten::copy_" and not isinstance(args[0], Held):
            crossings[name] += 1
    back = {id(each.held): each for each in leaves if isinstance(each, Held)}
    args, kwargs = tree_map(lambda each: each.held if isinstance(each, Held) else each, (args, kwargs))
    result = func(*args, **kwargs)
    if not is_there or (name == "aten::copy_" and id(result) not in back):
        return result
    return tree_map(lambda each: back[id(each)] if id(each) in back else _held(each), result)


def _held(value: Any) -> Any:
    return Held(value) if isinstance(value, Tensor) and not isinstance(value, Held) else value


class Pretending(TorchDispatchMode):
    """Makes new tensors of the pretended device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


class Building(TorchFunctionMode):
    """Makes tensors of the pretended device from Python's numbers; PyTorch makes them without values."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], Held):
            whole = args[1] if isinstance(args[1], tuple) else (args[1],)
            index = tuple(_index(each) for each in whole)
            return func(args[0], index, *args[2:])
        if func not in BUILDS or (func is torch.as_tensor and isinstance(args[0], Tensor)):
            return func(*args, **kwargs)
        to, is_leaf = kwargs.pop("device", None), kwargs.pop("requires_grad", False)
        if func is Tensor.new_tensor:
            own, *args = args
            func, to = torch.tensor, own.device if to is None else to
            kwargs.setdefault("dtype", own.dtype)
        made = func(*args, **kwargs)
        return (made if to is None else made.to(to)).requires_grad_(is_leaf)


def _index(each: Any) -> Any:
    return torch.tensor(each, dtype=torch.int64) if isinstance(each, list | tuple | range) else each


class Source(torch.Generator):
    """A generator of the CPU that claims to be on another device."""

    there = torch.device("cpu")

    def __new__(cls, device: Any = "cpu") -> "Source":
        made = super().__new__(cls)
        made.there = torch.device(device)
        return made

    def __init__(self, device: Any = "cpu") -> None:
        pass

    @property
    def device(self) -> torch.device:
        return self.there


class Drawing(TorchFunctionMode):
    """Draws the numbers of a `Source` on the CPU, and moves them to where they should be."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if not isinstance(kwargs.get("generator"), Source):
            return func(*args, **kwargs)
        out = args[0] if args and isinstance(args[0], Tensor) else None
        device = kwargs.get("device") or (torch.device("cpu") if out is None else out.device)
        kwargs |= {"device": "cpu"} if "device" in kwargs else {}
        drawn = func(*tree_map(lambda each: each.cpu() if isinstance(each, Tensor) else each, args), **kwargs)
        return out.copy_(drawn) if out is not None and func.__name__.endswith("_") else drawn.to(device)


class Place:
    """A device, and whether its generators draw the numbers of the CPU."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @contextmanager
    def equal_draws(self) -> Iterator[None]:
        """Draw the numbers that the CPU draws."""
        with pytest.MonkeyPatch.context() as patch, Drawing() if self.device.type == "cuda" else ExitStack():
            for module in ("withstand.functional.random", "torch"):
                patch.setattr(f"{module}.Generator", Source)
            yield

    def values(self, x: Tensor) -> Tensor:
        """Return a tensor of the device on the CPU."""
        assert x.device.type == self.device.type, f"expected a tensor on {self.device.type}, got one on {x.device.type}"
        return x.detach().cpu()


@pytest.fixture(params=["pretended", pytest.param("cuda", marks=pytest.mark.gpu)])
def place(request, monkeypatch) -> Iterator[Place]:
    """A device other than the CPU."""
    if request.param == "cuda":
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        yield Place(torch.device("cuda", 0))
        return
    autocast = torch.autocast  # which `meta` does not have
    monkeypatch.setattr(torch, "autocast", lambda kind, **own: autocast("cpu" if kind == "meta" else kind, **own))
    with Pretending(), Building():
        yield Place(PRETENDED)


@pytest.fixture
def host_reads() -> Counter[str]:
    """The operations that read values of the pretended device on the CPU, counted."""
    crossings.clear()
    return crossings
