"""Surrogates: networks trained on the predictions of a model."""

import torch
from torch import Tensor, nn

from withstand.data.space import Space
from withstand.functional.random import stream
from withstand.functional.tensors import Points
from withstand.models.mlp import MLP
from withstand.models.small_cnn import SmallCNN

BATCH, LR = 128, 2e-3
TABLE_STEPS, IMAGE_STEPS = 600, 200


def surrogate(model: nn.Module, x: Points, *, space: Space, num_classes: int) -> nn.Module:
    """Return a network trained on the classes that a model predicts near some inputs; every call returns the same.

    The network is a multilayer perceptron for tables and `SmallCNN` for images. Every step labels a batch of inputs,
    moved towards others and by noise, with the model's predictions. Half of the steps also move them towards the
    surrogate's own decision boundary.

    Args:
        model: Maps inputs to logits; in evaluation mode.
        x: Inputs of the training part, on the model's device.
        space: The input space.
        num_classes: Number of the model's outputs.

    Source:
        Papernot et al. 2017, arXiv 1602.02697.
        Differs: every step draws new points, and moves them by random lengths.
    """
    shape, rng = tuple(x.shape[1:]), stream(0, "surrogate")
    is_image = len(shape) == 3 and min(shape[1:]) >= 8
    steps = IMAGE_STEPS if is_image else TABLE_STEPS
    network = (SmallCNN(width=8) if is_image else MLP(hidden=(128, 128))).build(shape, num_classes, seed=0)
    network = network.to(x.device, x.dtype)
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1 / steps, total_iters=steps)
    std = x.std(0, correction=0)
    for step in range(steps):
        points = _around(x, std, rng=rng)
        if step % 2:
            lengths = std * torch.rand(BATCH, *[1] * len(shape), generator=rng).square().to(x.device)
            points = points + lengths * _to_the_boundary(network, points)
        points = space.clip(points)
        with torch.no_grad():
            classes = model(points).argmax(1)
        with torch.enable_grad():
            loss = nn.functional.cross_entropy(network(points), classes)
            optimizer.zero_grad()
            loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval().requires_grad_(False)


def _around(x: Tensor, std: Tensor, *, rng: torch.Generator) -> Tensor:
    """Return a batch of inputs, moved up to half of the way to others, and by up to one standard deviation of noise."""
    one, other = torch.randint(len(x), (2, BATCH), generator=rng).to(x.device)
    way, noise = torch.rand(2, BATCH, *[1] * (x.ndim - 1), generator=rng).to(x.device)
    normal = torch.randn(BATCH, *x.shape[1:], generator=rng).to(x.device)
    return x[one] + way / 2 * (x[other] - x[one]) + noise * std * normal


def _to_the_boundary(network: nn.Module, points: Tensor) -> Tensor:
    """Return the signs of the steps along which the lead of the first class over the second falls."""
    with torch.enable_grad():
        points = points.detach().requires_grad_(True)
        top = network(points).topk(2, dim=1).values
        (gradient,) = torch.autograd.grad((top[:, 1] - top[:, 0]).sum(), points)
    return gradient.sign()
