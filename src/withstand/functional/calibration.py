"""Temperature scaling of logits."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from withstand.functional.precision import in_double

LOWEST, HIGHEST = 1 / 20, 20.0


def best_temperature(
    logits: Float[Tensor, "row label"], y: Int[Tensor, " row"], weights: Float[Tensor, " row"] | None = None
) -> float:
    """Return the T for which softmax(logits / T) gives the labels the highest likelihood.

    Args:
        logits: Logits of rows that the model was not trained on.
        y: Their labels.
        weights: How much each row counts, at least 0; None counts all alike.

    Returns:
        A number in [1 / 20, 20]; 1 / 20 also where every row is right and no T is best.

    Source:
        Guo, Pleiss, Sun, Weinberger: "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0]]).repeat(4, 1)
        >>> 0.5 < best_temperature(logits, torch.tensor([0, 0, 0, 1])) < 3
        True
    """
    logits = in_double(logits)
    logits = logits - logits.amax(1, keepdim=True)
    own = logits.gather(1, y.to(logits.device)[:, None])[:, 0]
    weights = torch.ones_like(own) if weights is None else in_double(weights)

    def slope(inverse: float) -> float:
        """Return the derivative of the summed loss by 1 / T, which grows with 1 / T."""
        mean = ((logits * inverse).softmax(1) * logits).sum(1)
        return float((weights * (mean - own)).sum())

    low, high = 1 / HIGHEST, 1 / LOWEST
    for _ in range(50):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / (low * high) ** 0.5
