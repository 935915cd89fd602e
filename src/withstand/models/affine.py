"""Fully connected networks as matrices with activations between them."""

import copy
from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor, nn

from withstand.errors import InputError
from withstand.functional.jacobian import Layers
from withstand.models.normalize import Normalize

# Activations that are applied to every value alone, with slopes in [0, 1] whatever their settings (but see SMOOTH).
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Tanh, nn.Sigmoid, nn.Softplus)
SMOOTH = 20  # PyTorch's Softplus is linear above its threshold; from this one on the jump there is a rounding error
KNOWN = "Flatten, Linear, normalisation, dropout and activations with slopes in [0, 1]"


def affine_layers(model: nn.Module, shape: tuple[int, ...], *, who: str) -> Layers:
    """Return the matrices, biases and activations of a fully connected network in evaluation mode.

    Affine layers before and between the matrices, such as the normalisation of the inputs, are folded into them: the
    first matrix takes inputs in their own units, flattened.

    Args:
        model: Maps inputs to logits; not modified.
        shape: Shape of one input.
        who: Whose name an error begins with.

    Returns:
        Float64 copies on the CPU.

    Raises:
        InputError: If the model is not a chain of such layers, or a weight is not finite.

    Example:
        >>> model = nn.Sequential(Normalize([1.0], [2.0]), nn.Linear(3, 2))
        >>> layers = affine_layers(model, (3,), who="Example")
        >>> bool(torch.allclose(2 * layers.weights[0], model[1].weight.double()))
        True
    """
    found = _Chain(shape, who)
    for layer in _in_order(model):
        found.add(layer)
    layers = found.close()
    if not all(each.isfinite().all() for each in (*layers.weights, *layers.biases)):
        raise InputError(f"{who}: weights must be finite numbers, got NaN or infinity.")
    return layers


class _Chain:
    """The layers so far, and the affine map since the last activation: a matrix, or a factor per value at first."""

    def __init__(self, shape: tuple[int, ...], who: str) -> None:
        self.shape, self.who = shape, who
        self.weights, self.biases, self.activations = list[Tensor](), list[Tensor](), list[nn.Module]()
        self._begin(prod(shape))

    def add(self, layer: nn.Module) -> None:
        if isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) == (1, -1):
            self.shape = (prod(self.shape),)
        elif isinstance(layer, nn.Identity | nn.Dropout):
            return
        elif isinstance(layer, Normalize) and len(layer.mean) in (1, self.shape[0]):
            mean, std = (_spread(each, self.shape) for each in (layer.mean, layer.std))
            self._scale(1 / std, -mean / std)
        elif isinstance(layer, nn.BatchNorm1d) and len(self.shape) == 1 and layer.running_mean is not None:
            self._scale(*_batch_norm(layer))
        elif isinstance(layer, nn.Linear) and type(layer).forward is nn.Linear.forward and len(self.shape) == 1:
            bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias
            self._multiply(_double(layer.weight), _double(bias))
            self.shape = (layer.out_features,)
        elif isinstance(layer, (*ACTIVATIONS, nn.LeakyReLU, nn.ELU)):
            _check_slope(layer, self.who)
            self._end()
            self.activations.append(_apart(layer))
            self._begin(len(self.weights[-1]))
        else:
            raise InputError(f"{self.who}: the model must be a chain of {KNOWN}, got {type(layer).__name__}.")

    def close(self) -> Layers:
        self._end()
        return Layers(tuple(self.weights), tuple(self.biases), tuple(self.activations))

    def _begin(self, size: int) -> None:
        self.weight: Tensor | None = None
        self.factor = torch.ones(size, dtype=torch.float64)
        self.bias = torch.zeros(size, dtype=torch.float64)

    def _scale(self, factor: Tensor, shift: Tensor) -> None:
        if self.weight is None:
            self.factor = self.factor * factor
        else:
            self.weight = factor[:, None] * self.weight
        self.bias = self.bias * factor + shift

    def _multiply(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = (
            weight * self.factor if self.weight is None else weight @ self.weight,
            weight @ self.bias + bias,
        )

    def _end(self) -> None:
        self.weights.append(torch.diag(self.factor) if self.weight is None else self.weight)
        self.biases.append(self.bias)


def _check_slope(layer: nn.Module, who: str) -> None:
    slope = {nn.LeakyReLU: "negative_slope", nn.ELU: "alpha"}.get(type(layer))
    if slope is not None and not 0 <= getattr(layer, slope) <= 1:
        raise InputError(f"{who}: slopes of activations must be in [0, 1], got {layer}.")
    if isinstance(layer, nn.Softplus) and layer.threshold < SMOOTH:
        # There its value jumps from log(1 + exp(threshold)) / beta to threshold / beta.
        raise InputError(f"{who}: Softplus must have a threshold of at least {SMOOTH}, got {layer}.")


def _in_order(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers of nested chains, in order."""
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        for each in module:
            yield from _in_order(each)
    else:
        yield module


def _double(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().double()


def _spread(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return one value for every value of an input, from one per channel or one for all."""
    return _double(values).view(-1, *[1] * (len(shape) - 1)).expand(shape).flatten()


def _batch_norm(layer: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    assert layer.running_mean is not None
    assert layer.running_var is not None
    factor = (_double(layer.running_var) + layer.eps).rsqrt()
    factor = factor if layer.weight is None else factor * _double(layer.weight)
    shift = -_double(layer.running_mean) * factor
    return factor, shift if layer.bias is None else shift + _double(layer.bias)


def _apart(layer: nn.Module) -> nn.Module:
    """Return a copy of an activation that does not work in place."""
    layer = copy.deepcopy(layer)
    if hasattr(layer, "inplace"):
        layer.inplace = False  # pyright: ignore[reportArgumentType]
    return layer
