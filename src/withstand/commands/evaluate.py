"""`withstand evaluate`: finished runs or named models, under several conditions, side by side."""

import json
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from withstand.console import Console
from withstand.data.base import Dataset
from withstand.errors import InputError
from withstand.functional.balls import Norm
from withstand.measuring.ask import ask
from withstand.measuring.question import Question, WhoseFrost
from withstand.measuring.results import Results
from withstand.options import add_options, make_parser, start
from withstand.parser import parse
from withstand.perturbations.ball import Ball, Unit
from withstand.rendering.terminal import shown
from withstand.subjects import of_names

DESCRIPTION = (
    "Measure finished runs (their folders), or models by name with --weights or --pretrained, and print one table. "
    "What was measured before is not measured again."
)


def main(words: list[str]) -> None:
    """Evaluate."""
    parser = make_parser("evaluate", DESCRIPTION, positional="MODEL ...")
    parser.add_argument("models", type=str, nargs="+", help="folders of runs, or names of models")
    parser.add_argument("--data", type=Dataset | None, default=None, help="data set; the run's own by default")
    parser.add_argument(
        "--on",
        type=str,
        nargs="+",
        default=None,
        help="conditions and evaluations, by word, class name or YAML; clean by default, or every cell of images that "
        "are corrupted already. `withstand list conditions` shows the words; a corruption (contrast) or a cell of it "
        "(contrast/3) may have +jpeg behind it (contrast+jpeg/3)",
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
        type=WhoseFrost,
        default="auto",
        help="textures of frost: the published ones, procedural ones made here (then there is no mCE), or auto: the "
        "published ones where they are on this machine",
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
        "--samples",
        type=str | None,
        default=None,
        help="CSV file with a line per sample: what each is taken for under every condition, and at which severity or "
        "radius it breaks; what breaks first comes first",
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
    if found.samples is not None:
        check_writable(Path(found.samples))
    engine, console, root = start(found, batch_size=found.batch_size)
    if found.radius is not None and "worst-case" not in (found.on or ()):
        raise InputError("evaluate: radius belongs to worst-case; add worst-case to --on.")
    balls = tuple(Ball(found.norm, each, unit=found.unit) for each in found.radius or ())

    def asked(data: Dataset) -> Question:
        return Question.of(data, found.on, frost=found.frost, pixels=found.pixels, balls=balls)

    subjects = of_names(
        found.models,
        asked,
        data=found.data,
        weights=found.weights,
        pretrained=found.pretrained,
        root=root,
        seed=found.seed,
        engine=engine,
    )
    measures = dict.fromkeys(m.name for each in subjects for own in each.question.evaluations for m in own.measures)
    if found.measure is not None and found.measure not in measures:
        raise InputError(f"evaluate: measure must be one of {', '.join(measures)}, got {found.measure}.")
    if found.figures is not None:
        from withstand.commands.drawing import check_figures

        check_figures([each.question for each in subjects])
    results = ask(subjects, seed=found.seed, engine=engine, tell=console)
    if found.figures is not None:
        from withstand.commands.drawing import draw

        draw(subjects, results, Path(found.figures), seed=found.seed, engine=engine, console=console)
    if found.samples is not None and engine.is_first:
        results.to_samples(found.samples)
        console.say(f"Samples: {found.samples}")
    show(
        results,
        console=console,
        as_json=found.format == "json",
        measure=found.measure,
        each_severity=found.each_severity,
    )


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before anything is measured.

    Raises:
        InputError: If it is a folder, or its folder is none or cannot be written.
    """
    if path.is_dir():
        raise InputError(f"evaluate: samples: expected a file, found a folder at {path}.")
    folder = next(each for each in path.absolute().parents if each.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"evaluate: samples: {path} cannot be written, since {folder} is no folder to write into.")


def show(
    results: Results,
    *,
    console: Console,
    as_json: bool,
    measure: str | None = None,
    each_severity: bool = False,
) -> None:
    """Print results as tables, or as JSON."""
    if not as_json:
        console.print(shown(results.tables(measure=measure, each_severity=each_severity)))
        return
    measures = {name: each.plain() for name, each in results.measures.items()}
    rows = [{name: _finite(value) for name, value in each.items()} for each in results.records()]
    content = {"notes": list(results.notes), "measures": measures, "rows": rows}
    if len(results.rows) > 1:
        with suppress(InputError):  # models that were measured on different samples are not compared
            content["differences"] = results.compare().to_dicts()
    console.print(json.dumps(content))


def _finite(value: Any) -> Any:
    """Return a value as JSON can hold it: a distance without end is null."""
    return None if isinstance(value, float) and math.isinf(value) else value
