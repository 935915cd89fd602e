"""Networks and samples of stored outputs of reference codes, and goals that a benchmark states."""

import argparse
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import withstand as ws
from withstand.errors import InputError


class Network(NamedTuple):
    """A network of the golden outputs with its samples.

    Attributes:
        name: Its letter.
        model: The network.
        x: The samples.
        y: Their labels.
        results: What AutoAttack left, ball by ball.
    """

    name: str
    model: nn.Module
    x: Tensor
    y: Tensor
    results: list[dict[str, Any]]


class Goal(NamedTuple):
    """A goal, and what was measured.

    Attributes:
        measure: What is measured.
        goal: The goal in words.
        measured: The result in words.
        holds: Whether the goal is reached; None if it could not be measured.
    """

    measure: str
    goal: str
    measured: str
    holds: bool | None


def add_golden(parser: argparse.ArgumentParser) -> None:
    """Add the option for the folder of golden outputs; by default it is looked for beside the data sets."""
    data = os.environ.get("WITHSTAND_DATA")
    default = None if data is None else Path(data).parent / "golden" / "attacks"
    words = "folder with A.json, A.safetensors, ..., masked.npz (default: golden/attacks beside WITHSTAND_DATA)"
    parser.add_argument("--golden", type=Path, default=default, required=default is None, help=words)


def load(golden: Path, name: str) -> Network:
    """Return a network with its first samples, checked against the stored flags."""
    stored = json.loads((golden / f"{name}.json").read_text())
    built = ws.SmallCNN(**stored["architecture"]["init_args"])
    model = built.build(tuple(stored["input_shape"]), stored["num_classes"], seed=0)
    model.load_state_dict(load_file(golden / f"{name}.safetensors"))
    source = getattr(ws, stored["data"]["class_path"].rpartition(".")[2])
    split = source(**stored["data"]["init_args"]).load("test")
    batch = next(iter(split.batches([torch.tensor(stored["samples"])])))
    with torch.no_grad():
        right = model.eval()(batch.x).argmax(1) == batch.y
    if right.int().tolist() != stored["clean_flags"]:
        raise InputError(f"{name}: expected the samples that the stored flags are of, got other predictions.")
    return Network(name, model, batch.x, batch.y, stored["results"])


def print_goals(goals: list[Goal]) -> None:
    """Print goals as a table."""
    verdicts = {True: "holds", False: "MISSED", None: "not measured"}
    rows = [("measure", "goal", "measured", "")] + [(*each[:3], verdicts[each.holds]) for each in goals]
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
