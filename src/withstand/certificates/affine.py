"""Rules for layers that are affine."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from withstand.certificates.rows import ROUNDING, Interval, Rows

FEW = 4  # channels


class Affine:
    """A layer whose values are weighted sums of its inputs plus constants, per sample.

    Attributes:
        before: Shape of the input of one sample.
        after: Shape of its output.
        mixes: Whether an output depends on several inputs.
    """

    before: torch.Size
    after: torch.Size
    mixes = True

    @abstractmethod
    def apply(self, x: Tensor) -> Tensor:
        """Return the outputs (batch, *after) of inputs (batch, *before)."""

    @abstractmethod
    def absolute(self, x: Tensor) -> Tensor:
        """Return the outputs with the absolute values of weights and constants; `spread` is without constants."""

    @abstractmethod
    def spread(self, x: Tensor) -> Tensor:
        """Return the outputs with the absolute values of weights, without constants."""

    @abstractmethod
    def back(self, rows: Rows) -> tuple[Rows, Tensor | float]:
        """Return linear functions of the outputs as functions of the inputs, and the constants (batch, row)."""

    def rows_of(self, index: Tensor) -> tuple[Rows, Tensor | float]:
        """Return some of the outputs (batch, row; numbers in the flat output), as functions of the inputs."""
        return self.back(rows_of(index, self.after, self.dtype))

    dtype = torch.float32

    def interval(self, of: Interval) -> Interval:
        """Return bounds of the outputs from those of the inputs, widened by their rounding."""
        middle, half = self.apply(of.middle), self.spread(of.half) + ROUNDING * self.absolute(of.largest)
        return Interval(middle - half, middle + half)


def rows_of(index: Tensor, shape: torch.Size, dtype: torch.dtype) -> Rows:
    """Return the functions that are single values of a layer: (batch, row) numbers in the flat layer."""
    if len(shape) != 3:
        rows = torch.zeros(*index.shape, shape.numel(), device=index.device, dtype=dtype)
        return Rows(rows.scatter_(2, index.unsqueeze(2), 1.0).unflatten(2, shape))
    channel = index // (shape[1] * shape[2])
    rows = torch.zeros(*index.shape, shape[0], device=index.device, dtype=dtype)
    rows.scatter_(2, channel.unsqueeze(2), 1.0)
    place = index % (shape[1] * shape[2])
    return Rows(rows[..., None, None], torch.stack([place // shape[2], place % shape[2]], 2))


class Linear(Affine):
    """A matrix and a bias."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias, self.dtype = weight, bias, weight.dtype
        self.before, self.after = torch.Size(weight.shape[1:]), torch.Size(weight.shape[:1])

    def apply(self, x: Tensor) -> Tensor:
        """Multiply."""
        return torch.addmm(self.bias, x, self.weight.T)

    def absolute(self, x: Tensor) -> Tensor:
        """Multiply absolute values."""
        return torch.addmm(self.bias.abs(), x, self.weight.abs().T)

    def spread(self, x: Tensor) -> Tensor:
        """Multiply absolute values."""
        return x @ self.weight.abs().T

    def back(self, rows: Rows) -> tuple[Rows, Tensor]:
        """Multiply by the transposed matrix."""
        return Rows(rows.coefficients @ self.weight), rows.coefficients @ self.bias

    def rows_of(self, index: Tensor) -> tuple[Rows, Tensor]:
        """Look up rows of the matrix."""
        return Rows(self.weight[index]), self.bias[index]


class Convolution(Affine):
    """A convolution with a bias."""

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        before: torch.Size,
        after: torch.Size,
        *,
        stride: tuple[int, int],
        padding: tuple[int, int] = (0, 0),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
    ) -> None:
        self.weight, self.bias, self.dtype, self.before, self.after = weight, bias, weight.dtype, before, after
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups

    def with_weights(self, weight: Tensor, bias: Tensor) -> "Convolution":
        """Return the same convolution with other weights."""
        how: dict[str, Any] = {name: getattr(self, name) for name in ("stride", "padding", "dilation", "groups")}
        return Convolution(weight, bias, self.before, self.after, **how)

    def apply(self, x: Tensor) -> Tensor:
        """Convolve."""
        return functional.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def absolute(self, x: Tensor) -> Tensor:
        """Convolve absolute values."""
        return self.spread(x) + self.bias.abs()[:, None, None]

    def spread(self, x: Tensor) -> Tensor:
        """Convolve absolute values."""
        weight = self.weight.abs()
        return functional.conv2d(x, weight, None, self.stride, self.padding, self.dilation, self.groups)

    def back(self, rows: Rows) -> tuple[Rows, Tensor]:
        """Convolve transposed; windows grow by the kernel."""
        corner, padding = rows.corner, self.padding
        constant = rows.coefficients.flatten(3).sum(3) @ self.bias
        size = self.before[1:]
        if corner is not None:
            sides = zip(rows.coefficients.shape[3:], self.stride, self.dilation, self.weight.shape[2:], strict=True)
            size = torch.Size([(count - 1) * step + gap * (kernel - 1) + 1 for count, step, gap, kernel in sides])
            corner, padding = corner * corner.new_tensor(self.stride) - corner.new_tensor(padding), (0, 0)
        found = self._transposed(rows.coefficients.flatten(0, 1), size, padding)
        return Rows(found.unflatten(0, rows.coefficients.shape[:2]), corner).inside(self.before), constant

    def _transposed(self, x: Tensor, size: torch.Size, padding: tuple[int, int]) -> Tensor:
        """Return the transposed convolution to maps of a size."""
        if self.weight.shape[1] <= FEW and self.groups == 1:  # several times as fast as PyTorch's on a CPU
            columns = self.weight.flatten(1).T @ x.flatten(2)
            kernel = tuple(self.weight.shape[2:])
            return functional.fold(columns, tuple(size), kernel, self.dilation, padding, self.stride)
        sides = zip(size, x.shape[2:], self.stride, padding, self.dilation, self.weight.shape[2:], strict=True)
        extra = tuple(most - ((a - 1) * step - 2 * pad + gap * (k - 1) + 1) for most, a, step, pad, gap, k in sides)
        return functional.conv_transpose2d(
            x, self.weight, None, self.stride, padding, extra, self.groups, self.dilation
        )


class Scale(Affine):
    """A factor and a constant for every value, or for every channel."""

    mixes = False

    def __init__(self, factor: Tensor, shift: Tensor, before: torch.Size, after: torch.Size) -> None:
        self.before, self.after, self.dtype = before, after, shift.dtype
        self.factor, self.shift = (_by_channel(each.expand(after)) for each in (factor, shift))

    def apply(self, x: Tensor) -> Tensor:
        """Multiply and add."""
        return x * self.factor + self.shift

    def absolute(self, x: Tensor) -> Tensor:
        """Multiply and add absolute values."""
        return x * self.factor.abs() + self.shift.abs()

    def spread(self, x: Tensor) -> Tensor:
        """Multiply by absolute values."""
        return x * self.factor.abs()

    def back(self, rows: Rows) -> tuple[Rows, Tensor]:
        """Multiply; channels that were copies of one are added."""
        if self.factor.numel() > self.after[0] or self.shift.numel() > self.after[0]:
            rows = rows.whole(self.after)
        constant = (rows.coefficients * self.shift).flatten(2).sum(2)
        found = rows.coefficients * self.factor
        spread = [2 + axis for axis, size in enumerate(self.before) if size < self.after[axis]]
        return Rows(found.sum(spread, keepdim=True) if spread else found, rows.corner), constant


class Reshape(Affine):
    """The same values in another shape."""

    mixes = False

    def __init__(self, before: torch.Size, after: torch.Size) -> None:
        self.before, self.after = before, after

    def apply(self, x: Tensor) -> Tensor:
        """Reshape."""
        return x.reshape(len(x), *self.after)

    absolute = spread = apply

    def interval(self, of: Interval) -> Interval:
        """Reshape both bounds."""
        return Interval(self.apply(of.lower), self.apply(of.upper))

    def back(self, rows: Rows) -> tuple[Rows, float]:
        """Reshape."""
        rows = rows.whole(self.after)
        return Rows(rows.coefficients.reshape(*rows.coefficients.shape[:2], *self.before)), 0.0


def fold(layer: Linear | Convolution, scale: Scale) -> Linear | Convolution | None:
    """Return a layer with the scale of its outputs folded into it; None if it differs within a channel."""
    size = layer.after[0]
    if scale.factor.numel() > size or scale.shift.numel() > size or scale.before != scale.after:
        return None
    factor, shift = (each.reshape(-1).expand(size) for each in (scale.factor, scale.shift))
    weight = layer.weight * factor.view(-1, *[1] * (layer.weight.ndim - 1))
    bias = layer.bias * factor + shift
    if isinstance(layer, Linear):
        return Linear(weight, bias)
    return layer.with_weights(weight, bias)


def batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return factor and shift of each channel in evaluation mode."""
    assert layer.running_mean is not None
    assert layer.running_var is not None
    factor = (layer.running_var + layer.eps).rsqrt()
    factor = factor if layer.weight is None else factor * layer.weight
    shift = -layer.running_mean * factor
    return factor, shift if layer.bias is None else shift + layer.bias


def _by_channel(values: Tensor) -> Tensor:
    """Return one value per channel of a map, where all of a channel are equal."""
    if values.ndim == 3 and bool((values == values[:, :1, :1]).all()):
        return values[:, :1, :1].clone()
    return values.clone()
