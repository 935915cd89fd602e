"""Networks whose gradients are masked: what the budgets leave beside the transfer truth, and whether a note says so."""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn

import withstand as ws
from golden import add_golden
from withstand.data.base import TensorSplit
from withstand.perturbations.ball import Ball

GOAL = 2.0  # points above the truth
RADII = (0.3, 0.6)
Mask = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]


def rounded(values: Tensor, step: float) -> Tensor:
    return (values / step).round() * step


# The first four have a transfer truth of their own; the others are beside that of the network without a mask.
MASKS: dict[str, Mask] = {
    "none": lambda f, x: f(x),
    "softmax_100": lambda f, x: (100 * f(x)).softmax(1),
    "inputs_005": lambda f, x: f(rounded(x, 0.05)),
    "logits_01": lambda f, x: rounded(f(x), 0.1),
    "tanh_50": lambda f, x: (50 * f(x)).tanh(),
    "softmax": lambda f, x: f(x).softmax(1),
    "sigmoid_100": lambda f, x: (100 * f(x)).sigmoid(),
    "sine_50": lambda f, x: f(x) + 2 * (50 * f(x)).sin(),
    "noise_03": lambda f, x: f(x + 0.3 * torch.randn_like(x)),
}


class Masked(nn.Module):
    """The golden network behind a mask."""

    def __init__(self, arrays: Any, mask: str) -> None:
        super().__init__()
        sizes = [arrays[f"weight{number}"].shape for number in range(3)]
        layers = [nn.Linear(columns, rows) for rows, columns in sizes]
        for number, layer in enumerate(layers):
            layer.weight.data = torch.tensor(arrays[f"weight{number}"])
            layer.bias.data = torch.tensor(arrays[f"bias{number}"])
        self.network = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
        self.mask = MASKS[mask]

    def forward(self, x: Tensor) -> Tensor:
        """Return the masked outputs."""
        return self.mask(self.network, x)


@dataclass(frozen=True, kw_only=True)
class Cancer(ws.Dataset):
    """The rows of the golden outputs, scaled as they are."""

    path: str

    def load(self, part: str) -> TensorSplit:
        """Return the rows of the golden outputs, or all others."""
        arrays: Any = np.load(self.path)
        data: Any = load_breast_cancer()
        test = arrays["rows"]
        rows = test if part == "test" else np.setdiff1d(np.arange(len(data.target)), test)
        x = (data.data[rows] - arrays["mean"]) / arrays["std"]
        return TensorSplit(torch.tensor(x).float(), torch.tensor(data.target[rows]), classes=("0", "1"), box=None)


def line(arrays: Any, data: ws.Dataset, mask: str, radius: float, budget: Any) -> dict[str, Any]:
    name = f"left_{mask}_{radius}"
    truth = 100 * float(arrays[name if name in arrays else f"left_none_{radius}"].mean())
    evaluation = ws.WorstCase(balls=(Ball("linf", radius),), budget=budget, num_mean=0)
    begin = time.perf_counter()
    results = ws.evaluate(Masked(arrays, mask), data, on=evaluation, device="cpu")
    seconds = time.perf_counter() - begin
    found = {row.measure: row.value for row in results.rows["model"]}
    return {
        "mask": mask,
        "radius": radius,
        "budget": budget,
        "truth": truth,
        "own_truth": name in arrays,
        "left": 100 * found["worst_case_top1"],
        "passes": found["passes"],
        "seconds": seconds,
        "notes": list(results.notes),
    }


def table(golden: Path) -> list[dict[str, Any]]:
    """Print a line per mask, radius and budget, and return them."""
    path = golden / "masked.npz"
    arrays, data = np.load(path), Cancer(path=str(path))
    print("| mask | linf | truth | budget | left | passes | seconds | note | goal |")
    print("|---|---|---|---|---|---|---|---|---|")
    lines = []
    for mask, radius, budget in product(MASKS, RADII, ("quick", "standard")):
        each = line(arrays, data, mask, radius, budget)
        masking = any("masking" in note for note in each["notes"])
        kind = "masking" if masking else "other" if each["notes"] else "none"
        is_near = each["left"] <= each["truth"] + GOAL
        each["is_met"] = (is_near or masking) and not (mask == "none" and each["notes"])
        print(
            f"| {mask} | {radius} | {each['truth']:.1f}{'' if each['own_truth'] else ' (none)'} | {budget} "
            f"| {each['left']:.1f} | {each['passes']:.0f} | {each['seconds']:.1f} | {kind} "
            f"| {'met' if each['is_met'] else 'missed'} |",
            flush=True,
        )
        lines.append(each)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_golden(parser)
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (default 1)")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lines = table(options.golden)
    if options.output:
        options.output.write_text(json.dumps(lines, indent=1) + "\n")


if __name__ == "__main__":
    main()
