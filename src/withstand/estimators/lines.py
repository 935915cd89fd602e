"""Training told in lines."""

import sys


class Lines:
    """Writes a line to the standard error stream after every tenth of the epochs."""

    def __init__(self, who: str, epochs: int) -> None:
        """Keep what the lines begin with, and the number of epochs."""
        self.who, self.epochs, self.every = who, epochs, max(1, epochs // 10)

    def on_step(self, epoch: int, step: int, steps_per_epoch: int, loss: float, rows: int) -> None:
        """Say nothing of steps."""

    def on_epoch(self, entry: dict[str, float]) -> None:
        """Write the number of the epoch and its mean loss."""
        epoch = int(entry["epoch"])
        if epoch % self.every == 0 or epoch == self.epochs:
            sys.stderr.write(f"{self.who}: epoch {epoch}/{self.epochs}, loss {entry['loss']:.4g}\n")
