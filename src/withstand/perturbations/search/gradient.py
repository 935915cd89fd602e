"""Loss and gradient at points."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from withstand.functional.losses import Climbed, loss_per_sample
from withstand.functional.tensors import PerRow, Points, Targets
from withstand.models.frozen import frozen

# Nats by which a label's logit may lead before the gradient of cross entropy loses digits in 32 bits.
MOST_LEAD = 8.0


def loss_and_gradient(
    model: nn.Module, points: Points, y: Tensor, loss: Climbed, *, steep: bool = False, ascends: bool = True
) -> tuple[PerRow, Points, Float[Tensor, "batch output"]]:
    """Return the loss of every point, its gradient there, and the outputs; the model is frozen, in evaluation mode.

    Args:
        model: Maps inputs to logits.
        points: Inputs.
        y: Labels, or targets of `squared_error`; for `divergence` those of `climbed_targets`.
        loss: The loss, or `divergence`.
        steep: Whether the gradient is for ascent only, where its direction matters. The gradient of a confident
            network's cross entropy underflows in 32 bits. With this option the logits are divided, row by row, so that
            the label leads by at most 8.
        ascends: Whether a step follows; if none does, the gradient is not computed, and is 0.

    Source:
        Croce, Hein 2020, arXiv 2003.01690, section 4, on attacks whose success depends on the scale of the logits.
        Differs: cross entropy is kept, of scaled logits, where they take another loss.
    """
    if len(points) == 0:  # some layers refuse an empty batch
        return points.new_zeros(0), torch.zeros_like(points), points.new_zeros(0, 1)
    with frozen(model), torch.enable_grad():
        points = points.detach().requires_grad_(True)
        outputs = model(points)
        losses = divergence(outputs, y) if loss == "divergence" else loss_per_sample(outputs, y, loss)
        if not ascends:
            return losses.detach(), torch.zeros_like(points), outputs.detach()
        climbed = losses
        if steep and loss == "cross_entropy":
            climbed = loss_per_sample(outputs / _excess(outputs.detach(), y), y, loss)
        gradient = gradient_of(climbed, points)
    return losses.detach(), gradient, outputs.detach()


def climbed_targets(model: nn.Module, x: Points, y: Targets, loss: Climbed) -> Tensor:
    """Return what the loss of an attack compares with: y, or the model's logits for x if it is the divergence."""
    if loss != "divergence" or len(x) == 0:
        return y
    with frozen(model), torch.no_grad():
        return model(x.detach())


def divergence(outputs: Tensor, clean: Tensor) -> PerRow:
    """Return the Kullback-Leibler divergence of the probabilities of `outputs` from those of `clean`, in nats.

    Args:
        outputs: Logits.
        clean: Logits for the clean inputs.
    """
    outputs = outputs if outputs.dtype == torch.float64 else outputs.float()
    logs = clean.to(outputs.dtype).log_softmax(1)
    return (logs.exp() * (logs - outputs.log_softmax(1))).sum(1)


def gradient_of(value: Tensor, points: Points) -> Points:
    """Return the gradient of the sum of values; 0 where they do not depend on the points, or the graph is cut."""
    found = torch.autograd.grad(value.sum(), points, allow_unused=True)[0] if value.requires_grad else None
    return torch.zeros_like(points) if found is None else found


def _excess(outputs: Tensor, y: Tensor) -> Tensor:
    """Return, per row, the label's lead over all others in units of the largest allowed lead; at least 1."""
    others = outputs.scatter(1, y[:, None], -torch.inf).amax(1, keepdim=True)
    return ((outputs.gather(1, y[:, None]) - others) / MOST_LEAD).clamp(1, torch.finfo(outputs.dtype).max)
