"""The loss of every point and its gradient with respect to the point."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from withstand.functional.losses import Loss, loss_per_sample
from withstand.models.frozen import frozen


def loss_and_gradient(
    model: nn.Module,
    points: Float[Tensor, "batch *feature"],
    y: Int[Tensor, " batch"],
    loss: Loss,
) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch *feature"], Float[Tensor, "batch output"]]:
    """Return the loss of every point, its gradient there, and the outputs; the model is frozen, in evaluation mode.

    Args:
        model: Maps inputs to logits.
        points: Where.
        y: Labels.
        loss: Which loss.
    """
    with frozen(model), torch.enable_grad():
        points = points.detach().requires_grad_(True)
        outputs = model(points)
        losses = loss_per_sample(outputs, y, loss)
        (gradient,) = torch.autograd.grad(losses.sum(), points)
    return losses.detach(), gradient, outputs.detach()
