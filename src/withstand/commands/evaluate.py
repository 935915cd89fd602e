"""`withstand evaluate`: finished runs or named models, under several conditions, side by side."""

from pathlib import Path
from typing import Any, Literal

from withstand.console import Console
from withstand.options import add_options, make_parser, start
from withstand.commands.measuring import Measured, evaluate
from withstand.commands.tables import shown
from withstand.data.base import Dataset
from withstand.errors import InputError
from withstand.evaluation.conditions import WORDS
from withstand.functional.balls import Norm
from withstand.parser import parse
from withstand.perturbations.ball import Ball, Unit
from withstand.study.condition import JPEG
from withstand.study.corruption_error import CorruptionErrors, corruption_errors
from withstand.study.tables import tables

DESCRIPTION = (
    "Measure finished runs (their folders), or models by name with --weights or --pretrained, and print one table. "
    "What was measured before is not measured again."
)


def main(words: list[str]) -> None:
    """Evaluate."""
    parser = make_parser("evaluate", DESCRIPTION, positional="MODEL ...")
    parser.add_argument("models", type=str, nargs="+", help="folders of runs, or names of models")
    parser.add_argument("--data", type=Dataset | None, default=None, help="data set; the run's own by default")
    on = "; ".join(f"{name}: {meaning}" for name, meaning in WORDS.items())
    parser.add_argument(
        "--on",
        type=str,
        nargs="+",
        default=None,
        help=f"conditions; clean by default, or every cell of images that are corrupted already. {on}; or a "
        "corruption (contrast), or a cell of it (contrast/3); both also saved as JPEG (contrast+jpeg)",
    )
    parser.add_argument("--weights", type=str, default=None, help="file of weights for a model given by name")
    parser.add_argument(
        "--pixels",
        type=Literal[224, 299, 64, 32] | None,
        default=None,
        help="size of images whose published parameters the corruptions take; the nearest by default",
    )
    parser.add_argument(
        "--frost",
        type=Literal["published", "procedural"],
        default="published",
        help="textures of frost: the published ones, or some made here, where those are missing",
    )
    parser.add_argument(
        "--radius", type=float, nargs="+", default=None, help="of the balls for worst-case; several give several balls"
    )
    parser.add_argument("--norm", type=Norm, default="linf", help="of these balls")
    parser.add_argument(
        "--unit",
        type=Unit,
        default="std",
        help="of the radius: std, the units of the model's inputs (standard deviations of a scaled table); raw, those "
        "of the table's file; iqr, quartile distances",
    )
    parser.add_argument("--pretrained", action="store_true", help="published weights for a model given by name")
    parser.add_argument(
        "--each_severity", action="store_true", help="several models: a line for every severity, not their mean"
    )
    parser.add_argument(
        "--measure", type=str | None, default=None, help="what the table shows; top1 by default, or top5"
    )
    parser.add_argument(
        "--figures",
        type=str | None,
        default=None,
        help="folder for pictures (PNG and SVG): of the adversarial noise that noise-distance learns against each "
        "model, and for data of two features of what each model decides over their plane",
    )
    parser.add_argument(
        "--mistakes",
        action="store_true",
        help="keep the worst classes and the most confident mistakes beside the rows, clean and under each condition "
        "(of a corruption its highest severity); `withstand report` shows them with the images",
    )
    parser.add_argument("--seed", type=int, default=0, help="decides every draw; the same for every model")
    parser.add_argument("--batch_size", type=int | None, default=None, help="samples per batch and process (-b)")
    add_options(parser)
    found = parse(parser, words)
    if found.seed < 0:
        raise InputError(f"evaluate: seed must be at least 0, got {found.seed}.")
    if found.batch_size is not None and found.batch_size < 1:
        raise InputError(f"evaluate: batch-size must be at least 1, got {found.batch_size}.")
    if found.figures is not None and Path(found.figures).exists() and not Path(found.figures).is_dir():
        raise InputError(f"evaluate: figures: expected a folder, found a file at {found.figures}.")
    engine, console, root = start(found, batch_size=found.batch_size)
    measured = evaluate(
        found.models,
        data=found.data,
        on=found.on,
        weights=found.weights,
        pretrained=found.pretrained,
        pixels=found.pixels,
        frost=found.frost,
        balls=tuple(Ball(found.norm, each, unit=found.unit) for each in found.radius or ()),
        examples=found.figures is not None,
        mistakes=found.mistakes,
        seed=found.seed,
        root=root,
        engine=engine,
        console=console,
    )
    if found.figures is not None:
        from withstand.commands.drawing import draw

        draw(measured, Path(found.figures), console=console)
    show(
        measured,
        console=console,
        as_json=found.format == "json",
        measure=found.measure,
        each_severity=found.each_severity,
    )


def show(
    measured: Measured,
    *,
    console: Console,
    as_json: bool,
    title: str = "",
    measure: str | None = None,
    each_severity: bool = False,
) -> None:
    """Print results as one table, or as JSON."""
    if not as_json:
        found = tables(
            measured.rows,
            notes=measured.notes,
            title=title,
            measure=measure,
            each_severity=each_severity,
            reference=measured.reference,
        )
        console.print(shown(found))
        return
    rows: list[dict[str, Any]] = [
        {"model": model, **vars(row), "value": row.value} for model, rows in measured.rows.items() for row in rows
    ]
    errors = [
        {"model": model, "jpeg": saved == JPEG, **numbers}
        for model, rows in measured.rows.items()
        for saved in ("", JPEG)
        if (numbers := summary(corruption_errors(rows, saved=saved), reference=measured.reference and saved == JPEG))
    ]
    console.print_json({"notes": measured.notes, "rows": rows, "corruption_errors": errors})


def summary(errors: CorruptionErrors, *, reference: bool) -> dict[str, Any]:
    """Return the corruption errors as names and numbers; nothing where no corruption has all its severities.

    Args:
        errors: Of one model.
        reference: Whether they may be divided by AlexNet's.
    """
    if not errors.errors:
        return {}
    names = ["errors", "mean_corruption_error", "mean_corruption_error_without_noise"]
    if reference:
        names += ["ce_alexnet", "mce_alexnet", "mce_alexnet_without_noise", "relative_mce_alexnet"]
        names += ["relative_mce_alexnet_without_noise"]
    return {name: getattr(errors, name) for name in names} | {"missing": errors.missing}
