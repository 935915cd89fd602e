"""The rule of every layer that has one, by class and by name of the function."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from withstand.certificates.activations import Rectifier, gelu, sigmoid, tanh
from withstand.certificates.affine import Convolution, Linear, Reshape, Scale, batch_norm
from withstand.certificates.joining import Concatenation, Sum
from withstand.certificates.pooling import Maximum, adaptive_windows, windows
from withstand.models.normalize import Normalize


class Refused(Exception):
    """A layer with settings that have no rule; the message says which."""


@dataclass(frozen=True)
class Value:
    """A value that depends on the input, while a network is followed.

    Attributes:
        number: Number of the node that computes it.
        example: An example, (batch, *shape).
    """

    number: int
    example: Tensor


def _linear(layer: nn.Linear, x: Value, result: Tensor) -> Linear:
    if x.example.ndim != 2:
        raise Refused(f"on inputs of shape {tuple(x.example.shape[1:])}")
    bias = result.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias
    return Linear(layer.weight.detach(), bias.detach())


def _convolution(layer: nn.Conv2d, x: Value, result: Tensor) -> Convolution:
    if layer.padding_mode != "zeros" or (layer.padding == "same" and any(each % 2 == 0 for each in layer.kernel_size)):
        raise Refused(f"with padding {layer.padding} of {layer.padding_mode}")
    same = tuple(step * (size - 1) // 2 for step, size in zip(layer.dilation, layer.kernel_size, strict=True))
    padding: Any = {"same": same, "valid": (0, 0)}.get(str(layer.padding), layer.padding)
    how: dict[str, Any] = {name: getattr(layer, name) for name in ("stride", "dilation", "groups")}
    bias = result.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias
    return Convolution(layer.weight.detach(), bias.detach(), *_shapes(x, result), padding=padding, **how)


def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d, x: Value, result: Tensor) -> Scale:
    if layer.running_mean is None:
        raise Refused("without running statistics")
    factor, shift = (each.detach().view(-1, *[1] * (result.ndim - 2)) for each in batch_norm(layer))
    return Scale(factor, shift, *_shapes(x, result))


def _normalize(layer: Normalize, x: Value, result: Tensor) -> Scale:
    mean, std = (each.view(-1, *[1] * (result.ndim - 2)) for each in (layer.mean, layer.std))
    return Scale(1 / std, -mean / std, *_shapes(x, result))


def _average(kernel: Any, stride: Any, padding: Any, x: Value, result: Tensor) -> Convolution:
    before, after = _shapes(x, result)
    kernel, stride, padding = _pair(kernel), _pair(stride or kernel), _pair(padding)
    reach = [(count - 1) * step + size for count, step, size in zip(after[1:], stride, kernel, strict=True)]
    if any(end > size + 2 * pad for end, size, pad in zip(reach, before[1:], padding, strict=True)):
        raise Refused("with ceil_mode")
    weight = result.new_full((before[0], 1, *kernel), 1 / (kernel[0] * kernel[1]))
    bias = result.new_zeros(before[0])
    return Convolution(weight, bias, before, after, stride=stride, padding=padding, groups=before[0])


def _average_pool(layer: nn.AvgPool2d, x: Value, result: Tensor) -> Convolution:
    if (layer.padding not in (0, (0, 0)) and not layer.count_include_pad) or layer.divisor_override:
        raise Refused("with count_include_pad or divisor_override")
    return _average(layer.kernel_size, layer.stride, layer.padding, x, result)


def _adaptive_average(x: Value, result: Tensor) -> Convolution:
    before, after = _shapes(x, result)
    if any(size % count for size, count in zip(before[1:], after[1:], strict=True)):
        raise Refused(f"from {tuple(before)} to {tuple(after)}")
    kernel = (before[1] // after[1], before[2] // after[2])
    return _average(kernel, kernel, 0, x, result)


def _maximum(kernel: Any, stride: Any, padding: Any, dilation: Any, x: Value, result: Tensor) -> Maximum:
    before, after = _shapes(x, result)
    sides = zip(*map(_pair, (kernel, stride or kernel, padding, dilation)), strict=True)
    places = [
        windows(size, each[0], each[1], each[2], each[3], count)
        for size, count, each in zip(before[1:], after[1:], sides, strict=True)
    ]
    return Maximum(before, after, *places)


def _adaptive_maximum(x: Value, result: Tensor) -> Maximum:
    before, after = _shapes(x, result)
    return Maximum(before, after, *map(adaptive_windows, before[1:], after[1:]))


def _leaky(slope: float) -> Rectifier:
    if not 0 <= slope <= 1:
        raise Refused(f"with a slope of {slope:g}, only with slopes in [0, 1]")
    return Rectifier(slope)


def _gelu(approximate: str) -> Any:
    if approximate != "none":
        raise Refused(f"with the approximation {approximate}")
    return gelu()


def _reshape(result: Tensor, x: Value, *_: Any, **__: Any) -> Reshape | None:
    before, after = _shapes(x, result)
    return None if before == after else Reshape(before, after)


def _plus(result: Tensor, x: Any, y: Any, *, sign: float = 1.0) -> Any:
    if isinstance(x, Value) and isinstance(y, Value):
        if x.example.shape != y.example.shape:
            raise Refused("with branches of different shapes")
        return Sum(sign)
    value, other = (x, y) if isinstance(x, Value) else (y, x)
    shift, one = torch.as_tensor(other).to(result), torch.ones_like(result[0])
    shift = _of_sample(shift, result)
    factor = sign * one if value is y else one
    return Scale(factor, sign * shift if value is x else shift, *_shapes(value, result))


def _times(result: Tensor, x: Any, y: Any, *, divide: bool = False) -> Scale:
    value, other = (x, y) if isinstance(x, Value) else (y, x)
    if isinstance(other, Value) or (divide and value is y):
        raise Refused("of two values that depend on the input")
    factor = torch.as_tensor(other).to(result)
    factor = _of_sample(1 / factor if divide else factor, result)
    return Scale(factor, torch.zeros_like(result[0]), *_shapes(value, result))


def _mean(result: Tensor, x: Value, dim: Any = None, keepdim: bool = False) -> Any:
    if x.example.ndim != 4 or sorted(each % 4 for each in (dim if isinstance(dim, tuple | list) else [])) != [2, 3]:
        raise Refused("over other axes than height and width")
    whole = result if keepdim else result[..., None, None]
    found = _average(tuple(x.example.shape[2:]), None, 0, x, whole)
    return found if keepdim else (found, Reshape(found.after, torch.Size(result.shape[1:])))


def _cat(result: Tensor, branches: Any, dim: int = 0) -> Concatenation:
    if not all(isinstance(each, Value) for each in branches) or dim % result.ndim != 1:
        raise Refused("along another axis than channels or features")
    return Concatenation([each.example.shape[1] for each in branches])


def _dropout(*given: Any, training: bool = True, **_: Any) -> None:
    if given[3] if len(given) > 3 else training:
        raise Refused("in training mode")


MODULES: dict[type, Callable[..., Any]] = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    Normalize: _normalize,
    nn.ReLU: lambda *_: Rectifier(),
    nn.LeakyReLU: lambda layer, *_: _leaky(layer.negative_slope),
    nn.Tanh: lambda *_: tanh(),
    nn.Sigmoid: lambda *_: sigmoid(),
    nn.GELU: lambda layer, *_: _gelu(layer.approximate),
    nn.AvgPool2d: _average_pool,
    nn.AdaptiveAvgPool2d: lambda _, x, result: _adaptive_average(x, result),
    nn.MaxPool2d: lambda it, x, out: _maximum(it.kernel_size, it.stride, it.padding, it.dilation, x, out),
    nn.AdaptiveMaxPool2d: lambda _, x, result: _adaptive_maximum(x, result),
    nn.Flatten: lambda _, x, result: _reshape(result, x),
    nn.Unflatten: lambda _, x, result: _reshape(result, x),
    nn.Identity: lambda *_: None,
    nn.Dropout: lambda *_: None,
    nn.Dropout2d: lambda *_: None,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("add", "iadd", "add_"), _plus),
    **dict.fromkeys(("sub", "isub", "sub_"), partial(_plus, sign=-1.0)),
    **dict.fromkeys(("mul", "imul", "mul_"), _times),
    **dict.fromkeys(("truediv", "itruediv", "div", "div_"), partial(_times, divide=True)),
    **dict.fromkeys(("flatten", "view", "reshape", "squeeze", "unsqueeze", "contiguous", "unflatten"), _reshape),
    **dict.fromkeys(("relu", "relu_"), lambda *_, **__: Rectifier()),
    "leaky_relu": lambda *given, negative_slope=0.01, **_: _leaky(given[2] if len(given) > 2 else negative_slope),
    "tanh": lambda *_: tanh(),
    "sigmoid": lambda *_: sigmoid(),
    "gelu": lambda *_, approximate="none": _gelu(approximate),
    "max_pool2d": lambda out, x, kernel_size, stride=None, padding=0, dilation=1, **_: _maximum(
        kernel_size, stride, padding, dilation, x, out
    ),
    "boolean_dispatch": lambda out, x, kernel_size, stride=None, padding=0, dilation=1, **_: _maximum(
        kernel_size, stride, padding, dilation, x, out
    ),
    "avg_pool2d": lambda out, x, kernel_size, stride=None, padding=0: _average(kernel_size, stride, padding, x, out),
    "adaptive_avg_pool2d": lambda out, x, *_: _adaptive_average(x, out),
    "mean": _mean,
    "cat": _cat,
    "dropout": _dropout,
}


def _shapes(x: Value, result: Tensor) -> tuple[torch.Size, torch.Size]:
    return torch.Size(x.example.shape[1:]), torch.Size(result.shape[1:])


def _of_sample(values: Tensor, result: Tensor) -> Tensor:
    """Return constants as broadcast to the output of one sample."""
    return values.detach().expand(torch.broadcast_shapes(values.shape, result.shape))[0].expand(result.shape[1:])


def _pair(value: Any) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)
