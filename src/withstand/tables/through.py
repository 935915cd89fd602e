"""Gradients through the preprocessing of a pipeline that ends in an estimator of withstand."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from withstand.data.tables.rules import HOLE
from withstand.estimators.classifier import RobustClassifier
from withstand.estimators.reading import read_rows
from withstand.tables.columns import Columns

STEP = 1e-3  # of a column's standard deviation
NUM_ROWS = 64  # at which the preparation is tried
SAME = 1e-4  # largest difference of derivatives that are equal, relative to the largest


class Through(nn.Module):
    """A pipeline as a module: its preprocessing, then the network of its last step.

    Outputs are exact. Gradients linearise the preprocessing around each row.
    """

    def __init__(
        self,
        prepare: Callable[[np.ndarray], np.ndarray],
        network: nn.Module,
        steps: Tensor,
        groups: Sequence[Sequence[int]] = (),
    ) -> None:
        """Store the parts.

        Args:
            prepare: Maps rows (row, input) to what the network takes.
            network: Returns logits.
            steps: Step of the finite differences per input; 0 where no derivative is needed.
            groups: Inputs of each category that may change.
        """
        super().__init__()
        self.prepare, self.network, self.steps = prepare, network, steps
        self.groups = [list(each) for each in groups]
        self.constant: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        values = torch.from_numpy(np.ascontiguousarray(self.prepare(x.detach().numpy())))
        if x.requires_grad and torch.is_grad_enabled():
            slope = self.slope(x.detach()) if self.constant is None else self.constant
            values = _Linear.apply(x, values, slope)
        return self.network(values)

    def slope(self, x: Tensor) -> Tensor:
        """Return the derivatives of the preprocessing at rows (row, input, output).

        Numbers have central differences; a level of a category has the difference to the row's level.
        """
        moves = self.steps.nonzero()[:, 0]
        tried = [x[:, None].repeat(1, 2 * len(moves), 1)]
        place = torch.arange(len(moves))
        tried[0][:, place, moves] += self.steps[moves]
        tried[0][:, place + len(moves), moves] -= self.steps[moves]
        levels = [each for group in self.groups for each in group]
        for group in self.groups:
            other = x[:, None].repeat(1, len(group), 1)
            other[:, :, group] = torch.eye(len(group), dtype=x.dtype)
            tried.append(other)
        points = torch.cat([*tried, x[:, None]], 1)
        found = torch.from_numpy(np.ascontiguousarray(self.prepare(points.flatten(0, 1).numpy())))
        found = found.view(len(x), points.shape[1], -1).to(x.dtype)
        slope = x.new_zeros(len(x), x.shape[1], found.shape[2])
        up, down = found[:, : len(moves)], found[:, len(moves) : 2 * len(moves)]
        slope[:, moves] = (up - down) / (2 * self.steps[moves])[:, None]
        slope[:, levels] = found[:, 2 * len(moves) : -1] - found[:, -1:]
        return slope

    def learn(self, x: Tensor) -> None:
        """Cache the derivatives if they are the same at these rows."""
        found = self.slope(x[:NUM_ROWS])
        scale = found.abs().amax().clamp_min(1e-30)
        if not self.groups and ((found - found[:1]).abs() <= SAME * scale).all():
            self.constant = found[:1]


class _Linear(torch.autograd.Function):
    """Values of a function, with given derivatives."""

    @staticmethod
    def forward(ctx: Any, _: Tensor, values: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return (slope.to(gradients[0].dtype) * gradients[0][:, None]).sum(2), None, None


class _Scaled(nn.Module):
    """Scaling, and the network of an estimator."""

    def __init__(self, estimator: RobustClassifier) -> None:
        super().__init__()
        self.network = estimator.module_
        self.offset = torch.tensor(estimator.features_.offset, dtype=torch.float64)
        self.scale = torch.tensor(estimator.features_.scale, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(((x.double() - self.offset) / self.scale).float())


def through(model: Any, columns: Columns, moves: Sequence[bool]) -> Through | None:
    """Return a differentiable module of a pipeline or estimator; None unless it ends in a `RobustClassifier`.

    Args:
        model: The pipeline or estimator.
        columns: The columns of its table.
        moves: Which inputs are numbers that may move.
    """
    parts = [each for _, each in getattr(model, "steps", [("", model)])]
    if not isinstance(parts[-1], RobustClassifier):
        return None
    before = model[:-1] if len(parts) > 1 else None

    def prepare(rows: np.ndarray) -> np.ndarray:
        table = columns.table(rows)
        found = table if before is None else before.transform(table)
        found = found.toarray() if hasattr(found, "toarray") else found
        return parts[-1]._encoding.one_hot(read_rows(parts[-1], found)).astype(np.float64)

    values, steps = columns.matrix(), np.zeros(columns.num_inputs)
    for each in columns.columns:
        own = values[:, each.inputs[0]]
        own = own[own != HOLE]
        if each.kind != "category" and moves[each.inputs[0]]:
            steps[each.inputs[0]] = 1.0 if each.kind == "integer" else STEP * (own.std() or 1.0)
    found = Through(
        prepare,
        _Scaled(parts[-1]),
        torch.from_numpy(steps),
        [each.inputs for each in columns.columns if len(each.inputs) > 1],
    )
    found.learn(torch.from_numpy(values))
    return found
