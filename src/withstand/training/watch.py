"""Callbacks of training."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Watch(Protocol):
    """Receives a callback per step and epoch. Does not affect results."""

    def on_step(self, epoch: int, step: int, steps_per_epoch: int, loss: float, rows: int) -> None:
        """Receive a finished step.

        Args:
            epoch: Number of epochs done.
            step: Number of steps done in this epoch.
            steps_per_epoch: Number of steps in every epoch.
            loss: The step's loss, in nats.
            rows: Number of samples in the step.
        """

    def on_epoch(self, entry: dict[str, float]) -> None:
        """Receive a finished epoch: its number from 1, mean loss, learning rate and validation accuracy."""
