"""What all blocks of a task share, such as a model: packed once, and read once by every process."""

from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import cloudpickle
import torch
from torch import nn

from withstand import plugins
from withstand.errors import InputError, told


class Shared(Protocol):
    """Something that all blocks of a task read; hashable, and pickled with each of them."""

    def read(self) -> bytes:
        """Return the content that was shared; unpacking it runs code."""
        ...


@dataclass(frozen=True)
class SharedFile:
    """Content in a file.

    Attributes:
        path: Of the file.
        digest: SHA-256 of the content, which comes with the block.
    """

    path: Path
    digest: str

    def read(self) -> bytes:
        """Return the content.

        Raises:
            InputError: If the file is not the one that was written.
        """
        return checked(self.path.read_bytes(), self.digest, self.path)


def checked(content: bytes, digest: str, place: object) -> bytes:
    """Return shared content that was read from a place.

    Raises:
        InputError: If its SHA-256 is not the one that came with the block.
    """
    if sha256(content).hexdigest() != digest:
        raise InputError(f"{place} has changed while it was in use; run the same command again.")
    return content


def packed(who: str, moved: Any, kept: Any) -> bytes:
    """Return objects as bytes for other processes and machines; classes of the user's files are sent with them.

    Args:
        who: For messages.
        moved: What goes to the device of each process: models, and states with tensors.
        kept: What stays on the CPU, such as samples.

    Raises:
        InputError: If something cannot be pickled.
    """
    for module in plugins.modules():  # other machines may not have their files
        cloudpickle.register_pickle_by_value(module)
    buffer = BytesIO()
    try:
        torch.save((moved, cloudpickle.dumps(kept)), buffer, pickle_module=cloudpickle)
    except Exception as problem:  # of foreign classes, which may raise anything
        reason = told(problem)
        raise InputError(f"{who}: the model or the data cannot be sent to other processes ({reason}).") from problem
    return buffer.getvalue()


def unpacked(shared: Shared, device: str) -> tuple[Any, Any]:
    """Return the objects that `packed` was given, the first on a device."""
    moved, kept = torch.load(BytesIO(shared.read()), map_location=device, weights_only=False)
    return moved, cloudpickle.loads(kept)


def on_cpu(model: nn.Module) -> nn.Module:
    """Return a model on the CPU: a copy, unless it is there."""
    return model if all(each.device.type == "cpu" for each in model.parameters()) else deepcopy(model).cpu()
