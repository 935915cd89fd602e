"""Jacobians of fully connected networks, and lower bounds on their Lipschitz constants."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from withstand.functional.tensors import PerRow

Points = Float[Tensor, "batch feature"]

# Of the search: smoothing at first and at last, in standard deviations of a layer's sums; step, in those of the points.
WIDEST, NARROWEST, STEP = 1.0, 0.01, 0.03
STEPS_PER_LOOK = 5
# Half lengths of the pieces on which a quotient is taken, in standard deviations of the points.
HALF_LENGTHS = tuple(10.0**-k for k in range(1, 7))


class Layers(NamedTuple):
    """A network as affine maps with activations, applied to each value, between them.

    Attributes:
        weights: One matrix (out, in) per affine map, float64.
        biases: One vector per affine map, float64.
        activations: One per map but the last.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    activations: tuple[Callable[[Tensor], Tensor], ...]

    def outputs(self, x: Tensor) -> Tensor:
        """Return the outputs (batch, out) at points (batch, in)."""
        for weight, bias, activation in zip(self.weights, self.biases, self.activations, strict=False):
            x = activation(x @ weight.T + bias)
        return x @ self.weights[-1].T + self.biases[-1]


def jacobian_norms(layers: Layers, x: Points) -> PerRow:
    """Return the spectral norm of the Jacobian of the outputs at each point.

    Where an activation has a kink at exactly its input, its slope there is the one that PyTorch's gradient takes.

    Args:
        layers: The network.
        x: Points, float64.

    Returns:
        l2 change of the outputs per l2 change of the input.

    Example:
        >>> double = torch.tensor([[2.0]], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        >>> layers = Layers(weights=(double[0],) * 2, biases=(double[1],) * 2, activations=(torch.relu,))
        >>> jacobian_norms(layers, torch.tensor([[-1.0], [3.0]], dtype=torch.float64))
        tensor([0., 4.], dtype=torch.float64)
    """
    jacobian = _jacobians(layers, x)
    if jacobian.shape[1] > jacobian.shape[2]:
        jacobian = jacobian.mT
    # The small Gram matrix: its root is good to about 1e-8 of the norm, and much faster than singular values.
    return torch.linalg.eigvalsh(jacobian @ jacobian.mT)[:, -1].clamp_min(0).sqrt()


def climb(layers: Layers, x: Points, *, steps: int) -> Points:
    r"""Return for each point the steepest place that a search near it finds.

    .. math:: \max_{x, u} \lVert J_w(x) u \rVert_2, \quad \lVert u \rVert_2 = 1

    The Jacobian of a ReLU network is constant between kinks, so its gradient is 0. Here every slope is replaced by
    that of the secant from w below to w above, which has a gradient; x follows it (Adam), u follows the power
    iteration, and w falls to almost nothing. Places are judged by the true Jacobian.

    Args:
        layers: The network.
        x: Points to start from, float64.
        steps: At least 0.

    Returns:
        One place per start; the start itself if nothing steeper was found.
    """
    scale = _scale(x)
    with torch.enable_grad():
        u = torch.linalg.svd(_jacobians(layers, x), full_matrices=False).Vh[:, 0]
        best, place = _stretch(layers, x, u, 0.0).norm(dim=1), x.clone()
        moving = x.clone().requires_grad_()
        optimizer = torch.optim.Adam([moving], lr=STEP * scale)
        for step in range(steps):
            share = step / max(1, steps - 1)
            u.requires_grad_()
            length = _stretch(layers, moving, u, WIDEST * (NARROWEST / WIDEST) ** share).norm(dim=1)
            optimizer.zero_grad()
            (toward,) = torch.autograd.grad(length.clamp_min(1e-300).log().sum(), [u], retain_graph=True)
            (-length.clamp_min(1e-300).log().sum()).backward(inputs=[moving])
            optimizer.step()
            u = toward.detach() / toward.norm(dim=1, keepdim=True).clamp_min(1e-300)
            if step % STEPS_PER_LOOK == STEPS_PER_LOOK - 1 or step == steps - 1:
                now = _stretch(layers, moving.detach(), u, 0.0).norm(dim=1)
                place = torch.where((now > best)[:, None], moving.detach(), place)
                best = torch.maximum(now, best)
    return place


def steepest_quotient(layers: Layers, x: Points) -> float:
    r"""Return the largest quotient found near some points, rounded down: a lower bound of the Lipschitz constant.

    .. math:: \lVert f(a) - f(b) \rVert_2 / \lVert a - b \rVert_2, \quad a, b = x \pm h v

    with v the direction in which the Jacobian at x stretches most, for several h. Two inputs prove it, whatever the
    activations do between them. The largest possible rounding error of f(a) - f(b) is subtracted.

    Args:
        layers: The network.
        x: Points, float64.
    """
    v = torch.linalg.svd(_jacobians(layers, x), full_matrices=False).Vh[:, 0]
    scale, steepest = _scale(x), 0.0
    for half_length in HALF_LENGTHS:
        a, b = x + scale * half_length * v, x - scale * half_length * v
        change = (layers.outputs(a) - layers.outputs(b)).norm(dim=1)
        found = (change - _rounding(layers, a) - _rounding(layers, b)) / (a - b).norm(dim=1)
        steepest = max(steepest, found.max().item())
    return steepest * (1 - 1e-12)


def _rounding(layers: Layers, x: Tensor) -> Tensor:
    """Return how far in l2 the float64 outputs may be from the true ones; slopes of activations are in [0, 1]."""
    unit, error = 2.0**-53, torch.zeros(len(x), dtype=x.dtype)
    for number, (weight, bias) in enumerate(zip(layers.weights, layers.biases, strict=True)):
        size = torch.linalg.matrix_norm(weight)
        error = size * error + (weight.shape[1] + 2) * unit * (size * x.norm(dim=1) + bias.norm())
        x = x @ weight.T + bias
        if number < len(layers.activations):
            # Activations are exact to a few units of what goes in and what comes out, and 1 is what tanh ends at.
            error = error + 8 * unit * (x.norm(dim=1) + math.sqrt(x.shape[1]))
            x = layers.activations[number](x)
    return error


def _scale(x: Tensor) -> float:
    """Return the points' standard deviation, pooled over the features; 1 where they do not differ."""
    spread = (x - x.mean(0)).square().mean().sqrt().item()
    return spread if spread > 0 else 1.0


def _slopes(activation: Callable[[Tensor], Tensor], sums: Tensor, width: float) -> Tensor:
    if width == 0:
        with torch.enable_grad():
            at = sums.detach().requires_grad_()
            return torch.autograd.grad(activation(at).sum(), at)[0]
    reach = width * sums.detach().std(0, correction=0).mean().clamp_min(1e-12)
    return (activation(sums + reach) - activation(sums - reach)) / (2 * reach)


def _stretch(layers: Layers, x: Tensor, u: Tensor, width: float) -> Tensor:
    """Return J(x) u for every row."""
    for weight, bias, activation in zip(layers.weights, layers.biases, layers.activations, strict=False):
        sums = x @ weight.T + bias
        x, u = activation(sums), _slopes(activation, sums, width) * (u @ weight.T)
    return u @ layers.weights[-1].T


def _jacobians(layers: Layers, x: Tensor) -> Tensor:
    """Return the Jacobian (batch, out, in) at every point, multiplied from its smaller side."""
    slopes = []
    for weight, bias, activation in zip(layers.weights, layers.biases, layers.activations, strict=False):
        sums = x @ weight.T + bias
        slopes.append(_slopes(activation, sums, 0.0))
        x = activation(sums)
    first, last = layers.weights[0], layers.weights[-1]
    if first.shape[1] <= last.shape[0]:
        product = first.expand(len(x), -1, -1)
        for slope, weight in zip(slopes, layers.weights[1:], strict=True):
            product = weight @ (slope[:, :, None] * product)
        return product
    product = last.expand(len(x), -1, -1)
    for slope, weight in zip(reversed(slopes), reversed(layers.weights[:-1]), strict=True):
        product = (product * slope[:, None, :]) @ weight
    return product
