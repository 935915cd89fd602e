"""Exact search for ensembles of trees: which rows no legal change flips."""

import time
from collections.abc import Callable
from itertools import islice, product
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from withstand.certificates.trees.cliques import Answer, Metric, search
from withstand.certificates.trees.ensemble import Ensemble
from withstand.certificates.trees.leaves import Box, Cuts, reached
from withstand.certificates.trees.reading import read_ensemble
from withstand.data.tables.rules import HOLE
from withstand.errors import InputError
from withstand.perturbations.ball import legal
from withstand.tables.freedom import Freedom
from withstand.tables.least import least_changes
from withstand.tables.preparation import Preparation, read_preparation
from withstand.tables.search import Asked, Found

ROUNDING = 1e-9  # of outputs, relative to the sum of the trees' largest
MOST_WORLDS = 1000  # combinations of the levels of a row's categories


def prove(trees: "Trees", asked: Asked, found: Found, *, seconds: float) -> tuple[Found, Tensor]:
    """Search exactly for changes of the rows that are predicted correctly and not flipped yet.

    Args:
        trees: The trees; see `read_trees`.
        asked: The question.
        found: What other searches found.
        seconds: Time limit per row, in seconds.

    Returns:
        What is found now, and which rows (row,) are proved: no point in reach flips them, legal or not.
    """
    module, points, proved = asked.subject.module, found.points.clone(), torch.zeros(len(found.x), dtype=torch.bool)
    right = module(found.x).argmax(1) == asked.labels
    is_new = torch.zeros_like(right)
    for row in (right & ~found.is_flipped).nonzero()[:, 0].tolist():
        case = _Case(trees, asked, row, [])
        answer = case.answer(until=time.perf_counter() + seconds)
        proved[row] = answer == "proved"
        if answer == "found":
            points[row], is_new[row] = case.found[0], True
    points[is_new] = least_changes(module, found.x[is_new], asked.labels[is_new], points[is_new], asked.freedom.rules)
    return found._replace(points=points), proved


class Trees(NamedTuple):
    """Trees, and how rows get to them.

    Attributes:
        ensemble: The trees.
        preparation: How rows become features.
        cuts: The thresholds in the units of the columns.
        rounding: Difference of outputs that may be rounding.
    """

    ensemble: Ensemble
    preparation: Preparation
    cuts: Cuts
    rounding: float


def read_trees(model: Any, asked: Asked) -> Trees:
    """Return the trees of a fitted classifier, or of a pipeline that ends in one.

    Args:
        model: The classifier or pipeline.
        asked: The question, at whose rows both must agree.

    Raises:
        InputError: If the trees cannot be read.
    """
    columns, x = asked.columns, asked.x
    preparation = read_preparation(model, columns)
    ensemble = read_ensemble(preparation.end, who=columns.who)
    largest = np.maximum.reduceat(np.abs(ensemble.value).max(1), ensemble.roots)
    rounding = ROUNDING * float(np.abs(ensemble.base).max() + largest.sum())
    outputs = torch.from_numpy(ensemble.outputs(preparation.prepare(x.numpy())))
    highest = outputs.topk(min(2, outputs.shape[1]), dim=1).values
    is_clear = highest[:, 0] - highest[:, -1] > rounding
    if (outputs.argmax(1) != asked.subject.module(x).argmax(1))[is_clear].any():
        name = type(preparation.end).__name__
        raise InputError(f"{columns.who}: exact cannot read the trees of {name}: predictions differ; leave exact out.")
    return Trees(ensemble, preparation, preparation.cuts(ensemble, columns, x[0].numpy()), rounding)


class _Case(NamedTuple):
    """One row."""

    trees: Trees
    asked: Asked
    row: int
    found: list[Tensor]

    @property
    def x(self) -> Tensor:
        return self.asked.x[self.row]

    @property
    def y(self) -> int:
        return int(self.asked.labels[self.row])

    @property
    def freedom(self) -> Freedom:
        return self.asked.freedom

    def answer(self, *, until: float) -> Answer:
        """Search every combination of categories and every other class."""
        box, metric = self._reach()
        worlds, is_all = self._worlds()
        answers: set[Answer] = {"proved"} if is_all else {"unknown"}
        features = self.trees.preparation.prepare(worlds.numpy())
        lefts = self.trees.ensemble.goes_left
        for world, own in zip(worlds, features, strict=True):
            leaves = reached(self.trees.ensemble, self.trees.cuts, lefts(own[None])[0], box)
            for other in range(leaves.value.shape[1]):
                if other == self.y:
                    continue
                gain = leaves.value[:, other] - leaves.value[:, self.y]
                base = float(self.trees.ensemble.base[other] - self.trees.ensemble.base[self.y])
                answer = search(
                    leaves, gain, base=base, need=self._need(other), metric=metric, box=box,
                    accept=self._judge(world, box), until=until,
                )  # fmt: skip
                if answer == "found":
                    return answer
                answers.add(answer)
        return "unknown" if "unknown" in answers else "proved"

    def _need(self, other: int) -> float:
        """Return the smallest lead of a class that may flip the prediction: ties go to the first class."""
        if self.trees.ensemble.is_whole:
            return 0.0 if other < self.y else 0.5
        return -self.trees.rounding

    def _reach(self) -> tuple[Box, Metric]:
        """Return where the numbers of the row may move: columns that follow from others, anywhere."""
        rules, ball = self.freedom.rules, self.freedom.of_rows(torch.tensor([self.row]))
        radii = (
            torch.as_tensor(ball.radii(self.x[None], space=self.freedom.space)).expand(1, len(self.x))[0].numpy().copy()
        )
        radii[list(rules.derived)] = np.inf
        x = self.x.numpy()
        low, high = x - radii, x + radii
        whole = np.zeros(len(x), dtype=bool)
        for each in rules.fields:
            number = each.inputs[0]
            if each.levels is not None:
                radii[list(each.inputs)] = 0
                continue
            least, most = -np.inf if each.low is None else each.low, np.inf if each.high is None else each.high
            if least <= x[number] <= most:
                low[number], high[number] = max(low[number], least), min(high[number], most)
            whole[number] = each.is_whole
        inputs = ((radii > 0) & (x != HOLE)).nonzero()[0]
        return Box(inputs, low[inputs], high[inputs], whole[inputs]), Metric(ball.norm, x[inputs], radii[inputs])

    def _worlds(self) -> tuple[Tensor, bool]:
        """Return the row with every combination of its categories, and whether these are all."""
        options = self.freedom.ball.options(self.x[None], space=self.freedom.space)
        values = [each.values[0].unique(dim=0) for each in options]
        found = []
        for chosen in islice(product(*values), MOST_WORLDS + 1):
            world = self.x.clone()
            for each, own in zip(options, chosen, strict=True):
                world[list(each.inputs)] = own
            found.append(world)
        return torch.stack(found[:MOST_WORLDS]), len(found) <= MOST_WORLDS

    def _judge(self, world: Tensor, box: Box) -> Callable[[np.ndarray, np.ndarray], tuple[bool, bool]]:
        """Return a function that checks points of regions with the model itself."""

        def accept(low: np.ndarray, high: np.ndarray) -> tuple[bool, bool]:
            nearest = np.clip(self.x.numpy()[box.inputs], low, high)
            points = self._wrong(self._moved(world, box, nearest))
            if len(points) == 0:
                return False, False
            repaired = self._wrong(self._legal(points))
            if len(repaired) == 0:
                ends = [np.where(np.isfinite(each), each, nearest) for each in (low, high)]
                middle = ends[0] + (ends[1] - ends[0]) / 2
                further = np.concatenate([*ends, np.where(box.is_whole, np.floor(middle), middle)])
                repaired = self._wrong(self._legal(self._moved(world, box, further)))
            self.found.extend(repaired[:1])
            return len(repaired) > 0, len(repaired) == 0

        return accept

    def _moved(self, world: Tensor, box: Box, values: np.ndarray) -> Tensor:
        points = world.repeat(len(values), 1)
        points[:, box.inputs] = torch.from_numpy(values)
        return points

    def _wrong(self, points: Tensor) -> Tensor:
        return points[self.asked.subject.module(points).argmax(1) != self.y]

    def _legal(self, points: Tensor) -> Tensor:
        space, x = self.freedom.space, self.x.expand(len(points), -1)
        ball = self.freedom.of_rows(torch.tensor([self.row]))
        radii = torch.as_tensor(ball.radii(x, space=space)).expand(x.shape)
        options = ball.options(x, space=space)
        return legal(x, points, norm=ball.norm, radii=radii, options=options, rules=space.rules)
