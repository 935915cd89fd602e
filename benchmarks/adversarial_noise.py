"""Time adversarial noise training, the move to a distance, and the search for distances, each beside the usual way."""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

import withstand as ws
from devices import card, check_device
from withstand.data.space import Space
from withstand.evaluation.noise_distance import draw_directions, find_distances
from withstand.functional.random import row_streams, stream
from withstand.functional.sphere import move_to_distance
from withstand.models.frozen import evaluating
from withstand.models.memory_format import place
from withstand.objectives.adversarial_noise import AdversarialNoise
from withstand.objectives.perturbed_risk import PerturbedRisk

BOX = (0.0, 1.0)
GOALS = {
    "step": ("an ANT step", "at most", 1.9, "times a plain training step"),
    "move": ("the move to a distance", "at least", 3.0, "times faster than sorting"),
    "distances": ("NoiseDistance", "at least", 2.5, "times faster than 51 full forward passes"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="rounds that count")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, default=None, help="file for the raw seconds")
    options = parser.parse_args()
    check_device(options.device)
    torch.set_num_threads(options.threads)
    found = {
        "step": compare(*steps(options.device), repeats=options.repeats, device=options.device),
        "move": compare(*moves(options.device), repeats=options.repeats, device=options.device),
        "distances": compare(*searches(options.device), repeats=max(3, options.repeats // 2), device=options.device),
    }
    ratios = {
        "step": found["step"]["ratio"],
        "move": 1 / found["move"]["ratio"],
        "distances": 1 / found["distances"]["ratio"],
    }
    print(f"{'goal (median of paired ratios)':<72}{'measured':>9}")
    goals = []
    for name, (what, bound, limit, unit) in GOALS.items():
        holds = ratios[name] <= limit if bound == "at most" else ratios[name] >= limit
        goals.append({"goal": f"{what}: {bound} {limit:g} {unit}", "measured": ratios[name], "holds": holds})
        print(f"{goals[-1]['goal']:<72}{ratios[name]:>9.2f}  {'holds' if holds else 'missed'}")
    if options.json:
        about = {
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": platform.system(),
            "device": card(options.device),
            "threads": options.threads,
            "versions": {name: version(name) for name in ("withstand", "torch", "numpy")},
        }
        options.json.write_text(json.dumps({"about": about, "goals": goals, "measurements": found}, indent=1) + "\n")


def steps(device: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return an ANT step and a plain one: ResNet-50 (without torchvision a wide SmallCNN), 32 images of 64 x 64."""
    x = torch.rand((32, 3, 64, 64), generator=stream(0, "x")).to(device)
    y = torch.arange(32, device=device) % 10
    try:
        model = ws.Vision(name="resnet50").build((3, 64, 64), 10, seed=0)
    except ws.InputError:
        model = ws.SmallCNN(width=64).build((3, 64, 64), 10, seed=0)
    engine = ws.Engine(device=torch.device(device))

    def one(objective: ws.PerturbedRisk | AdversarialNoise) -> Callable[[], object]:
        own = place(deepcopy(model), engine.device, (3, 64, 64)).train()
        optimizer = torch.optim.SGD(own.parameters(), lr=1e-3, momentum=0.9)
        state, space = objective.init(x[:1], model=own, rng=stream(0, "init")), Space.like(x, box=BOX)
        count = 0

        def step() -> Tensor:
            nonlocal count
            count += 1
            loss = objective.step(
                own, x, y, space=space, state=state, count=count, rng=stream(0, "s", count, device=device)
            ).loss
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            return loss

        return step

    return one(AdversarialNoise()), one(PerturbedRisk())


def moves(device: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return the move of 20 images of 224 x 224, forward and backward, and the same by sorting."""
    x = torch.rand((20, 3, 224, 224), generator=stream(0, "x")).to(device)
    noise = torch.randn(x.shape, generator=stream(0, "noise")).to(device).requires_grad_(True)

    def follow(move: Callable[[Tensor, Tensor, float], Tensor]) -> Callable[[], object]:
        def run() -> Tensor | None:
            noise.grad = None
            move(x, noise, 135.0).sum().backward()
            return noise.grad

        return run

    ours, theirs = (lambda a, b, r: move_to_distance(a, b, r, box=BOX)), by_sorting
    apart = (ours(x, noise, 135.0) - theirs(x, noise, 135.0)).abs().max().item()
    print(f"the two moves differ by {apart:.1e} at most")
    return follow(ours), follow(theirs)


def by_sorting(x: Tensor, noise: Tensor, radius: float) -> Tensor:
    """Return the images at the distance: all values sorted by the scale at which they meet their wall."""
    flat, direction = x.flatten(1), noise.flatten(1)
    with torch.no_grad():
        room = torch.where(direction > 0, 1 - flat, flat)
        walls, order = (room / direction.abs()).sort(dim=1)
        speed, most = direction.square().gather(1, order), room.square().gather(1, order)
        met = most.cumsum(1) - most
        free = speed.flip(1).cumsum(1).flip(1)
        piece = torch.searchsorted(walls.square() * free + met, torch.full_like(walls[:, :1], radius**2))
        limit, met = walls.gather(1, piece), met.gather(1, piece)
    inside = room / direction.abs() >= limit
    scale = ((radius**2 - met) / (direction.square() * inside).sum(1, keepdim=True)).sqrt()
    return (flat + scale * direction).clamp(*BOX).view_as(x)


def searches(device: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return the search for the distances of 359 digits, and 51 passes of all: 11 outward by 1.8, 40 bisections."""
    data, model = ws.Digits(), ws.SmallCNN(width=16, batch_norm=True).build((3, 32, 32), 10, seed=0)
    ws.fit(model, data, epochs=4, optimizer=ws.Adam(lr=2e-3), device=device)
    split = data.load("test")
    x, y, index, _ = next(split.batches([torch.arange(len(split))], device=device))
    direction = draw_directions(x, "gaussian", None, row_streams(0, "directions", index=index, device=device))
    radius = 135 * (3072 / 150528) ** 0.5

    def ours() -> float:
        with torch.no_grad(), evaluating(model):
            found = [
                find_distances(model, *part, radius=radius, box=BOX, precision=1e-3)
                for part in zip(x.split(128), y.split(128), direction.split(128), strict=True)
            ]
        return torch.cat(found).quantile(0.5, interpolation="lower").item()

    def theirs() -> float:
        with torch.no_grad(), evaluating(model):
            found = [_full(model, *part) for part in zip(x.split(128), y.split(128), direction.split(128), strict=True)]
        return torch.cat(found).quantile(0.5, interpolation="lower").item()

    one, other = ours(), theirs()
    print(f"medians of the distances: {one:.4f} and {other:.4f}, ratio {one / other:.4f}")
    return ours, theirs


def _full(model: nn.Module, x: Tensor, y: Tensor, direction: Tensor) -> Tensor:
    unit = direction / direction.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    low, high = torch.zeros(len(x), device=x.device), torch.full((len(x),), torch.inf, device=x.device)

    def wrong(scale: Tensor) -> Tensor:
        return model((x + unit * scale.view(-1, 1, 1, 1)).clamp(*BOX)).argmax(1) != y

    for step in range(11):
        scale = torch.full_like(low, 1.0 * 1.8**step)
        fooled = wrong(scale)
        high = torch.where(fooled & high.isinf(), scale, high)
        low = torch.where(~fooled & high.isinf(), scale, low)
    for _ in range(40):
        middle = torch.where(high.isinf(), low, (low + high) / 2)
        fooled = wrong(middle)
        high, low = torch.where(fooled, middle, high), torch.where(fooled, low, middle)
    distance = ((x + unit * high.nan_to_num(posinf=0.0).view(-1, 1, 1, 1)).clamp(*BOX) - x).flatten(1).norm(dim=1)
    distance = torch.where(high.isinf(), torch.inf, distance)
    return torch.where(model(x).argmax(1) != y, 0.0, distance)


def compare(ours: Callable[[], object], theirs: Callable[[], object], *, repeats: int, device: str) -> dict:
    """Time two ways in turn, after one round that is not counted, and return the raw seconds and the paired ratio."""
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    for count in range(repeats + 1):
        pair = [("ours", ours), ("theirs", theirs)]
        for name, work in pair if count % 2 else pair[::-1]:
            wait(device)
            started = time.perf_counter()
            work()
            wait(device)
            if count > 0:
                seconds[name].append(time.perf_counter() - started)
    ratio = statistics.median(a / b for a, b in zip(seconds["ours"], seconds["theirs"], strict=True))
    return {"seconds": seconds, "ratio": ratio}


def wait(device: str) -> None:
    """Wait until a GPU is done."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
