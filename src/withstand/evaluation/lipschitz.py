"""Upper and lower bounds on a network's Lipschitz constant."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from withstand.data.base import Split
from withstand.data.space import Space
from withstand.engine import Engine
from withstand.evaluation.base import Columns, Evaluation, Numbers
from withstand.functional.jacobian import Layers, climb, jacobian_norms, steepest_quotient
from withstand.functional.lipschitz import eclipse_fast_bound, lipsdp_neuron_bound, product_bound
from withstand.functional.random import RowStreams
from withstand.functional.tensors import Labels, Points
from withstand.limits import DistinctNonEmpty, NonNegativeInt, PositiveInt
from withstand.models.affine import affine_layers
from withstand.models.wrappers.mixed_precision import check_float32
from withstand.study.measures.measure import Kind, Measure

Bound = Literal["product", "eclipse", "lipsdp", "lower", "local"]
USUAL_STEPS, USUAL_CLIMB, USUAL_STARTS = 200, 200, 64
# Numbers in the intermediate results of the Jacobians that are computed at once: on a CPU about what its caches hold.
NUMBERS_AT_ONCE = 2**20
TOPIC = "Lipschitz constant: change of the logits (l2) per change of the input (l2)"
UNIT = "l2 of logits / l2 of input"
# By bound: the name of its measure, what a reader calls it, and which bound it is.
NAMES: dict[Bound, tuple[str, str, Kind]] = {
    "product": ("lipschitz_upper_product", "Lipschitz upper bound (product of norms)", "upper bound"),
    "eclipse": ("lipschitz_upper_eclipse", "Lipschitz upper bound (ECLipsE-Fast)", "upper bound"),
    "lipsdp": ("lipschitz_upper_lipsdp", "Lipschitz upper bound (LipSDP)", "upper bound"),
    "lower": ("lipschitz_lower", "Lipschitz lower bound (search)", "lower bound"),
    "local": ("lipschitz_local_median", "local Lipschitz constant (median over the samples)", ""),
}


@dataclass(frozen=True, kw_only=True)
class Lipschitz(Evaluation):
    """Bounds on the Lipschitz constant from the input to the logits, both in l2.

    Bounds hold for all inputs, as if the network were evaluated in exact arithmetic. Distances are in the units of the
    data (for tables, standard deviations after scaling). The measures:

    - `lipschitz_upper_product`: upper bound, the product of the spectral norms;
    - `lipschitz_upper_eclipse`: upper bound, ECLipsE-Fast, in closed form;
    - `lipschitz_upper_lipsdp`: upper bound, LipSDP-Neuron, optimised by gradient steps; the tightest of the three;
    - `lipschitz_lower`: lower bound, the largest quotient between two inputs that a search finds;
    - `lipschitz_local_median`: not a bound; median over the samples of the Jacobian's spectral norm.

    All four bounds are certified against rounding. The constant lies between the best lower and upper bound.

    Attributes:
        bounds: Which measures to compute, by the last part of their names.
        steps: Number of search steps for LipSDP's multipliers, at least 1. Each step takes a few products and
            factorisations of matrices as wide as the layers: about ten milliseconds for a width of 200, a second for
            1,000.
        climb_steps: Number of steps of the search for the lower bound, at least 0.
        num_starts: Number of samples, those with the largest Jacobian norm, from which this search starts; at least 1.

    Source:
        Fazlyab et al. 2019, arXiv 1906.04893 (LipSDP); Xu, Sivaranjani 2024, arXiv 2404.04375 (ECLipsE-Fast).
        Differs: no solver for semidefinite programmes is used; bounds are certified against rounding.
    """

    bounds: Annotated[tuple[Bound, ...], DistinctNonEmpty] = get_args(Bound)
    steps: PositiveInt = USUAL_STEPS
    climb_steps: NonNegativeInt = USUAL_CLIMB
    num_starts: PositiveInt = USUAL_STARTS

    @property
    def conditions(self) -> tuple[str, ...]:
        """The norms, and the settings of searches if they differ from the defaults."""
        words = ["l2 to l2"]
        if "lipsdp" in self.bounds and self.steps != USUAL_STEPS:
            words.append(f"lipsdp {self.steps} steps")
        if "lower" in self.bounds and (self.climb_steps, self.num_starts) != (USUAL_CLIMB, USUAL_STARTS):
            words.append(f"climb {self.climb_steps} steps {self.num_starts} starts")
        return (" ".join(words),)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The bounds, in the given order."""
        found = []
        for bound in self.bounds:
            name, words, kind = NAMES[bound]
            reduction = "median" if bound == "local" else "number"
            look: dict[str, Any] = {"words": words, "kind": kind, "unit": UNIT, "topic": TOPIC}
            better = "" if bound == "lower" else "lower"
            found.append(Measure(name=name, column=bound, reduction=reduction, better=better, **look))
        return tuple(found)

    @property
    def needs_gradient(self) -> bool:
        """Yes: bounds follow the layers of a network."""
        return True

    def check(self, model: nn.Module, space: Space) -> None:
        """Reject a network that is not fully connected."""
        check_float32(model, who="Lipschitz")
        affine_layers(model, space.shape, who="Lipschitz")

    def prepare(self, model: nn.Module, fit_on: Split, *, space: Space, seed: int, engine: Engine) -> Layers:
        """Return the layers, on the CPU in float64."""
        return affine_layers(model, space.shape, who="Lipschitz")

    def outcomes(
        self, model: nn.Module, x: Points, y: Labels, *, space: Space, state: Layers, rng: RowStreams
    ) -> dict[str, Columns]:
        """Return the Jacobian's norm at every sample, if a bound needs it."""
        if not {"lower", "local"} & set(self.bounds):
            return {self.conditions[0]: {}}
        side = min(state.weights[0].shape[1], len(state.weights[-1]))
        size = max(1, NUMBERS_AT_ONCE // (side * max(max(each.shape) for each in state.weights)))
        norms = [jacobian_norms(state, part) for part in x.flatten(1).cpu().double().split(size)]
        return {self.conditions[0]: {"local": torch.cat(norms)}}

    def conclude(
        self, model: nn.Module, split: Split, outcomes: Mapping[str, Columns], *, state: Layers, engine: Engine
    ) -> dict[str, Numbers]:
        """Return the bounds; the search starts from the samples with the largest Jacobian norm."""
        numbers: Numbers = {each: self._upper(each, state) for each in self.bounds if each not in ("lower", "local")}
        if "lower" in self.bounds:
            order = outcomes[self.conditions[0]]["local"].sort(descending=True, stable=True).indices
            places = _inputs(split, order[: self.num_starts], engine)
            numbers["lower"] = steepest_quotient(state, climb(state, places, steps=self.climb_steps))
        return {self.conditions[0]: numbers}

    def _upper(self, bound: Bound, layers: Layers) -> float:
        if bound == "product":
            return product_bound(layers.weights)
        if bound == "eclipse":
            return eclipse_fast_bound(layers.weights)
        return lipsdp_neuron_bound(layers.weights, steps=self.steps)

    @classmethod
    def examples(cls) -> list[Evaluation]:
        """All bounds with short searches, and only two of them."""
        return [cls(steps=5, climb_steps=5, num_starts=3), cls(bounds=("product", "eclipse"))]


def _inputs(split: Split, places: Int[Tensor, " sample"], engine: Engine) -> Float[Tensor, "sample feature"]:
    """Return the inputs at some places of the order of the samples' numbers, flattened."""
    plan = torch.arange(len(split)).split(engine.samples_per_batch(split.shape))
    batches = [(each.x.flatten(1), each.number) for each in split.batches(plan, num_workers=engine.num_workers)]
    x, number = (torch.cat(each) for each in zip(*batches, strict=True))
    return x[number.argsort(stable=True)[places]].double()
