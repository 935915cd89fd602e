"""Figures of what was measured: learned noise, and decisions over a plane."""

from collections import Counter
from pathlib import Path

from withstand.console import Console
from withstand.commands.measuring import Measured
from withstand.reports.figure import write_figure
from withstand.reports.landscape_figure import landscape_figure
from withstand.reports.noise_figure import noise_figure
from withstand.study.landscape import Landscape
from withstand.study.noise_examples import NoiseExamples
from withstand.study.row import Row


def draw(measured: Measured, folder: Path, *, console: Console) -> None:
    """Write the figures of each model, and those that show landscapes of several models side by side."""

    def tell(files: tuple[Path, Path]) -> None:
        console.say(f"Figure: {files[0]} (and .svg)")

    for model, examples in measured.examples.items():
        stem, rows = model.replace("/", "_"), measured.rows[model]
        at_radius = {row.condition: row.value for row in rows if row.measure == "top1_at_radius"}
        for each in examples:
            if isinstance(each, NoiseExamples):
                figure = noise_figure(each, model=model, accuracies=at_radius)
                tell(write_figure(folder / f"{stem}-{each.condition.replace(' ', '-')}", figure))
            else:
                figure = landscape_figure({model: each}, accuracies={model: accuracies(rows, each)})
                tell(write_figure(folder / f"{stem}-landscape{_of_ball(each)}", figure))
    written: Counter[str] = Counter()
    for group in side_by_side(measured.examples):
        name = f"landscapes{_of_ball(next(iter(group.values())))}"
        written[name] += 1
        name += f"-{written[name]}" if written[name] > 1 else ""
        shown = {model: accuracies(measured.rows[model], each) for model, each in group.items()}
        tell(write_figure(folder / name, landscape_figure(group, accuracies=shown)))


def side_by_side(examples: dict[str, list[NoiseExamples | Landscape]]) -> list[dict[str, Landscape]]:
    """Return by model the landscapes of several models that show the same points and the same ball."""
    groups: list[dict[str, Landscape]] = []
    for model, own in examples.items():
        for each in own:
            if not isinstance(each, Landscape):
                continue
            found = [group for group in groups if model not in group and next(iter(group.values())).is_beside(each)]
            if found:
                found[0][model] = each
            else:
                groups.append({model: each})
    return [group for group in groups if len(group) > 1]


def accuracies(rows: list[Row], landscape: Landscape) -> dict[str, float]:
    """Return what was measured of a model on all test points: `clean`, and `worst case` in the landscape's ball."""
    found: dict[str, float] = {}
    ball = landscape.ball
    for row in rows:
        if (row.measure, row.condition) == ("top1", "clean"):
            found["clean"] = row.value
        if ball and row.measure == "worst_case_top1" and row.condition.startswith(f"{ball.where}, "):
            found["worst case"] = row.value
    return found


def _of_ball(landscape: Landscape) -> str:
    return "" if landscape.ball is None else "-" + landscape.ball.where.replace(" ", "-")
