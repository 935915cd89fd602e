"""Watch: who is told how training goes."""

from typing import Protocol


class Watch(Protocol):
    """Is told of every step and epoch; what it does with that decides no number."""

    def on_step(self, epoch: int, step: int, steps_per_epoch: int, loss: float, rows: int) -> None:
        """Hear of a step.

        Args:
            epoch: Number of epochs done.
            step: Number of steps done in this epoch.
            steps_per_epoch: How many there are.
            loss: The step's loss, in nats.
            rows: Number of samples in the step.
        """

    def on_epoch(self, entry: dict[str, float]) -> None:
        """Hear of an epoch: its number from 1, mean loss, learning rate and validation accuracy."""
