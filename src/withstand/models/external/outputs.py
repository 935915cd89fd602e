"""The logits among what a foreign model returns."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from withstand.errors import InputError, brief, told
from withstand.models.frozen import evaluating

KEYS = ("logits", "out", "output", "predictions")  # the usual names of logits


class PickOutput(nn.Module):
    """A model as one that returns its logits, one per class.

    Example:
        >>> class Pair(nn.Module):
        ...     def forward(self, x):
        ...         return x.sum(1), x
        >>> PickOutput(Pair(), place=0, one_logit=True)(torch.ones(1, 2))
        tensor([[0., 2.]])
    """

    def __init__(self, model: nn.Module, *, place: int | str | None, one_logit: bool) -> None:
        """Keep the model.

        Args:
            model: Maps inputs to a tensor, a tuple, a mapping or an object with attributes.
            place: Number, key or attribute of the logits; None if the output is a tensor.
            one_logit: Whether there is one logit z per sample, for the second of two classes; the logits are (0, z).
        """
        super().__init__()
        self.model, self.place, self.one_logit = model, place, one_logit

    @property
    def remark(self) -> str:
        """What readers of results must know."""
        place = f"element {self.place} of its outputs" if isinstance(self.place, int) else f"its output `{self.place}`"
        parts = [] if self.place is None else [f"logits are {place}"]
        return " and ".join(parts + ["one logit z is taken as logits (0, z)"] * self.one_logit)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, class)."""
        found = _at(self.model(x), self.place)
        if not self.one_logit:
            return found
        z = found.reshape(len(x), 1)
        return torch.cat([torch.zeros_like(z), z], dim=1)


def with_logits(who: str, model: nn.Module, shape: tuple[int, ...], num_classes: int, output: str | None) -> nn.Module:
    """Return a model that returns one logit per class: itself if it does.

    Args:
        who: Name of the model, for errors.
        model: Any model.
        shape: Shape of one input.
        num_classes: Number of classes of the data.
        output: Name, or number in a tuple, of the logits; None takes `logits` and other usual names, the first of a
            tuple, or the only entry.

    Raises:
        InputError: If it cannot take the inputs, or returns no logits for the classes.
    """
    with torch.no_grad(), evaluating(model), torch.random.fork_rng(devices=[]):
        try:
            found = model(torch.zeros(2, *shape, device=_device(model)))
        except InputError:
            raise
        except Exception as problem:  # custom modules may raise anything
            # TorchScript tells the reason last, after its traceback.
            is_last = "TorchScript" in told(problem)
            said = str(problem).strip().splitlines()[-1].rstrip(".") if is_last else told(problem)
            raise InputError(f"{who}: cannot take a batch of 2 inputs of shape {shape} ({said}).") from problem
    place = _place(who, found, output)
    logits = _at(found, place)
    if not isinstance(logits, Tensor):
        raise InputError(
            f"{who}: must return a tensor, tuple, mapping or object with logits, got a {type(found).__name__}."
        )
    one_logit = num_classes == 2 and tuple(logits.shape) in ((2,), (2, 1))
    if tuple(logits.shape) != (2, num_classes) and not one_logit:
        raise InputError(
            f"{who}: for {num_classes} classes two inputs must give logits of shape (2, {num_classes}), "
            f"got {tuple(logits.shape)}."
        )
    return model if place is None and not one_logit else PickOutput(model, place=place, one_logit=one_logit)


def _device(model: nn.Module) -> torch.device:
    return next((each.device for each in model.parameters()), torch.device("cpu"))


def _place(who: str, found: Any, output: str | None) -> int | str | None:
    if isinstance(found, Tensor):
        if output is not None:
            raise InputError(f"{who}: returns a tensor, so it has no output {brief(output)}.")
        return None
    if isinstance(found, Mapping):
        known = [each for each in found if isinstance(each, str)]
    elif hasattr(found, "logits") or (output is not None and hasattr(found, output)):
        known = [output or "logits"]
    elif isinstance(found, tuple | list):
        known = [str(each) for each in range(len(found))]
    else:
        known = []
    usual = next((each for each in KEYS if each in known), None)
    only = known[0] if len(known) == 1 or (known and known[0] == "0") else None
    place = output or usual or only
    if place is None or place not in known:
        wanted = f"no output {brief(output)}" if output else "several outputs; name one with --model.output"
        raise InputError(f"{who}: returns a {type(found).__name__}, {wanted}; it has {', '.join(known) or 'none'}.")
    return int(place) if isinstance(found, tuple | list) and place.isdigit() else place


def _at(found: Any, place: int | str | None) -> Any:
    if place is None:
        return found
    if isinstance(place, str) and not isinstance(found, Mapping):
        return getattr(found, place)
    return found[place]
