"""How steep a fully connected network is at most: bounds of its Lipschitz constant from above and from below."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from withstand.data.base import Split
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.base import Evaluation
from withstand.functional.jacobian import Layers, climb, jacobian_norms, steepest_quotient
from withstand.functional.lipschitz import eclipse_fast_bound, lipsdp_neuron_bound, product_bound
from withstand.models.affine import affine_layers
from withstand.study.row import Row

Bound = Literal["product", "eclipse", "lipsdp", "lower", "local"]
USUAL_STEPS, USUAL_CLIMB, USUAL_STARTS = 200, 200, 64
# Numbers in the intermediate results of the Jacobians that are computed at once: on a CPU about what its caches hold.
NUMBERS_AT_ONCE = 2**20


@dataclass(frozen=True, kw_only=True)
class Lipschitz(Evaluation):
    """Bounds of the Lipschitz constant, l2 change of all logits per l2 change of the input.

    Of the network on all inputs, in exact arithmetic, in the units of the data (tables: standard deviations after
    scaling). The measures:

    - `lipschitz_upper_product`: upper bound, the product of the spectral norms;
    - `lipschitz_upper_eclipse`: upper bound, ECLipsE-Fast, in closed form;
    - `lipschitz_upper_lipsdp`: upper bound, LipSDP-neuron, by gradients; the tightest;
    - `lipschitz_lower`: lower bound, the steepest of the quotients between two inputs that a search has met;
    - `lipschitz_local_median`: neither; median over the samples of the Jacobian's spectral norm.

    All four bounds hold in spite of rounding. None of them is the constant, which lies between the two nearest.

    Attributes:
        bounds: Which of them, by the last word of their names.
        steps: Of the search for LipSDP's multipliers, at least 1. Each is a few products and factorisations of
            matrices as wide as the layers: ten milliseconds for widths of 200, a second for 1000.
        climb_steps: Of the search for steep places, at least 0.
        num_starts: Steepest samples that it starts from, at least 1.

    Source:
        Fazlyab et al. 2019, arXiv 1906.04893 (LipSDP); Xu, Sivaranjani 2024, arXiv 2404.04375 (ECLipsE-Fast).
        Differs: no solver of semidefinite programmes; bounds are certified against rounding.
    """

    bounds: tuple[Bound, ...] = get_args(Bound)
    steps: int = USUAL_STEPS
    climb_steps: int = USUAL_CLIMB
    num_starts: int = USUAL_STARTS

    additive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.bounds or len(set(self.bounds)) < len(self.bounds) or set(self.bounds) - set(get_args(Bound)):
            names = ", ".join(get_args(Bound))
            raise InputError(f"Lipschitz: bounds must be different ones of {names}, at least one, got {self.bounds}.")
        for name, least in (("steps", 1), ("climb_steps", 0), ("num_starts", 1)):
            if getattr(self, name) < least:
                raise InputError(f"Lipschitz: {name} must be at least {least}, got {getattr(self, name)}.")

    @property
    def conditions(self) -> tuple[str, ...]:
        """The norms; searches that are longer or shorter than usual are named."""
        words = ["l2 to l2"]
        if "lipsdp" in self.bounds and self.steps != USUAL_STEPS:
            words.append(f"lipsdp {self.steps} steps")
        if "lower" in self.bounds and (self.climb_steps, self.num_starts) != (USUAL_CLIMB, USUAL_STARTS):
            words.append(f"climb {self.climb_steps} steps {self.num_starts} starts")
        return (" ".join(words),)

    def measure(
        self,
        model: nn.Module,
        split: Split,
        *,
        seed: int,  # noqa: ARG002
        engine: Engine,
        fit_on: Split | None = None,  # noqa: ARG002
    ) -> Iterator[Row]:
        """Yield the bounds in the order asked for; every process does the same work, on its CPU, in float64.

        Upper bounds count as one sample, since they know none; the others stand for all samples of the split.
        """
        layers = affine_layers(model, split.shape, who="Lipschitz")
        local = self._local(layers, split, engine) if {"lower", "local"} & set(self.bounds) else None
        for bound in self.bounds:
            name = {"lower": "lipschitz_lower", "local": "lipschitz_local_median"}.get(
                bound, f"lipschitz_upper_{bound}"
            )
            if local is None or bound not in ("lower", "local"):
                value, count = self._upper(bound, layers), 1
            elif bound == "lower":
                value, count = steepest_quotient(layers, climb(layers, local[1], steps=self.climb_steps)), len(split)
            else:
                value, count = local[0].quantile(0.5, interpolation="lower").item(), len(local[0])
            yield Row(measure=name, condition=self.conditions[0], total=value * count, count=count)

    def _upper(self, bound: Bound, layers: Layers) -> float:
        if bound == "product":
            return product_bound(layers.weights)
        if bound == "eclipse":
            return eclipse_fast_bound(layers.weights)
        return lipsdp_neuron_bound(layers.weights, steps=self.steps)

    def _local(self, layers: Layers, split: Split, engine: Engine) -> tuple[Tensor, Tensor]:
        """Return the Jacobian's norm at every sample, and the samples at which it is largest."""
        side = min(layers.weights[0].shape[1], len(layers.weights[-1]))
        size = max(1, NUMBERS_AT_ONCE // (side * max(max(each.shape) for each in layers.weights)))
        found: list[Tensor] = []
        steepest, places = torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
        # The engine decides no number, so its batch size is not asked for.
        plan = torch.arange(len(split)).split(size)
        for batch in split.batches(plan, device="cpu", num_workers=engine.num_workers):
            x = batch.x.flatten(1).double()
            found.append(jacobian_norms(layers, x))
            candidates = torch.cat([places.view(-1, x.shape[1]), x])
            order = torch.cat([steepest, found[-1]]).sort(descending=True, stable=True)
            steepest, places = order.values[: self.num_starts], candidates[order.indices[: self.num_starts]]
        return torch.cat(found), places

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """All bounds with short searches, and two."""
        return [cls(steps=5, climb_steps=5, num_starts=3), cls(bounds=("product", "eclipse"))]
