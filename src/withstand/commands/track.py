"""Curves: TensorBoard event files."""

from pathlib import Path
from typing import Any

from withstand.errors import InputError
from withstand.training.watch import Watch


class Curves:
    """Writes loss, learning rate and validation accuracy of every epoch for TensorBoard, and forwards all callbacks."""

    def __init__(self, folder: Path, other: Watch) -> None:
        """Prepare; the event file is opened after the first epoch.

        Args:
            folder: Folder of the event files.
            other: Receives each callback first.

        Raises:
            InputError: If TensorBoard is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as problem:
            raise InputError("track: tensorboard is not installed; run `pip install 'withstand[track]'`.") from problem
        self.open, self.folder, self.other = SummaryWriter, folder, other
        self.writer: Any = None

    def on_step(self, epoch: int, step: int, steps_per_epoch: int, loss: float, rows: int) -> None:
        """Forward the step; nothing is written."""
        self.other.on_step(epoch, step, steps_per_epoch, loss, rows)

    def on_epoch(self, entry: dict[str, float]) -> None:
        """Write the epoch."""
        self.other.on_epoch(entry)
        if self.writer is None:
            # Repeated epochs replace those written by a killed process.
            self.writer = self.open(self.folder, purge_step=int(entry["epoch"]))
        for name, value in entry.items():
            if name != "epoch":
                self.writer.add_scalar(name, value, int(entry["epoch"]))
        self.writer.flush()
