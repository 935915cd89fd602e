"""Clock: how far each row is in its annealing schedule."""

import torch
from jaxtyping import Bool
from torch import Tensor

from withstand.functional.tensors import Device, PerRow

# A row whose distance has not fallen by this share for a while (at least so many steps) advances this much faster.
NEARER, LEAST_PATIENCE, HASTE = 1e-3, 10, 3.0


class Clock:
    """Progress of each row in its annealing schedule; rows without progress advance faster, and end earlier.

    Attributes:
        steps: Steps of a row that makes progress all the time.
        patience: Share of the steps without progress after which a row advances faster.
        done: Place of each row in the schedule, in steps.
    """

    def __init__(self, num_rows: int, steps: int, *, patience: float, device: Device) -> None:
        """Start all rows at 0."""
        self.steps, self.patience = steps, patience
        self.done = torch.zeros(num_rows, device=device)
        self._since = torch.zeros(num_rows, device=device)
        self._record = torch.full((num_rows,), torch.inf, device=device)

    @property
    def share(self) -> PerRow:
        """Remaining share of an annealed quantity: a cosine from 1 to 0."""
        return 0.5 + 0.5 * torch.cos(torch.pi * self.done / self.steps)

    @property
    def is_over(self) -> Bool[Tensor, " row"]:
        """Which rows are at the end of their schedule."""
        return self.done >= self.steps

    def tick(self, distance: PerRow) -> None:
        """Advance every row, given the distances found so far; only rows with a finite one can be fast."""
        nearer = distance < self._record * (1 - NEARER)
        self._record = torch.where(nearer, distance, self._record)
        self._since = torch.where(nearer, 0, self._since + 1)
        is_stuck = distance.isfinite() & (self._since > max(LEAST_PATIENCE, self.patience * self.steps))
        self.done = self.done + torch.where(is_stuck, HASTE, 1.0)

    def only(self, chosen: Bool[Tensor, " row"]) -> None:
        """Keep some rows."""
        self.done, self._since, self._record = self.done[chosen], self._since[chosen], self._record[chosen]
