"""`withstand evaluate`: measure runs or named models, side by side."""

import json
import math
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from withstand.commands.evaluate_checks import check
from withstand.commands.pooling import add_pool_options, check_pool_options, names_of, spread_of, stored
from withstand.console import Console
from withstand.data.base import Dataset
from withstand.engine import Engine
from withstand.errors import InputError, brief
from withstand.evaluation.base import Evaluation
from withstand.evaluation.minimal_norm import minimal_norms
from withstand.evaluation.worst_case import WorstCase
from withstand.families import is_number
from withstand.functional.balls import Norm
from withstand.limits import NonNegativeFloat, NonNegativeInt, PositiveInt
from withstand.measuring.adapting import adapting
from withstand.measuring.ask import ask
from withstand.measuring.blocks import Spread
from withstand.measuring.forecast import forecast
from withstand.measuring.points import keep_points
from withstand.measuring.precision import in_precision
from withstand.measuring.question import Question, WhoseFrost
from withstand.measuring.results import Results
from withstand.measuring.subject import Subject
from withstand.measuring.words import DISTANCES
from withstand.models.wrappers.mixed_precision import Precision
from withstand.options import add_options, make_parser, start
from withstand.parser import parse
from withstand.perturbations.attacks.budgets import Budget
from withstand.perturbations.ball import Ball, Unit
from withstand.perturbations.corruptions.suites import Pixels
from withstand.pools.mirror import Mirror
from withstand.reading.addresses import Address
from withstand.reading.places import place_of
from withstand.rendering.terminal import as_text
from withstand.study.contents import EVALUATIONS, OUTCOMES, ROWS
from withstand.study.measures.outcome_files import ABOUT
from withstand.study.provenance import PROVENANCE, add_command
from withstand.study.runs import deeper_runs, runs_under
from withstand.subjects import is_run, of_names

DESCRIPTION = (
    "Evaluate finished runs, your own models, or networks by name (with --weights or --pretrained), side by side. "
    "Results are cached; repeat the command to resume."
)
ADAPT = (
    "adapt batch normalisation to each batch of -b samples; the statistics of training count as PRIOR samples, e.g. 16"
)


def main(words: list[str]) -> None:
    """Run `withstand evaluate`."""
    words, of_models = _without_models(words)
    found = parse(_parser(), words)
    check(found)
    check_pool_options("evaluate", found)
    with ExitStack() as stack:
        places = [stack.enter_context(stored(each)) for each in found.models if isinstance(place_of(each), Address)]
        models = iter(places)
        found.models = [str(next(models)[0]) if isinstance(place_of(each), Address) else each for each in found.models]
        places.append(stack.enter_context(stored(found.output, lambda name: name.startswith(f"{EVALUATIONS}/"))))
        found.output = str(places[-1][0])
        mirrors = [mirror for _, own in places for mirror in own]
        _evaluate(found, words, of_models, mirrors)


def _evaluate(found: Any, words: list[str], of_models: list[str], mirrors: list[Mirror]) -> None:
    engine, console, root = start(found, batch_size=found.batch_size)
    console.names |= names_of(mirrors)
    found.models = [run for each in found.models for run in _runs(each, console)]
    spread = spread_of(found, mirrors, engine=engine, console=console)
    subjects = _subjects(found, words, of_models, root=root, engine=engine)
    measures = dict.fromkeys(m.name for each in subjects for own in each.question.evaluations for m in own.measures)
    if found.measure is not None and found.measure not in measures:
        raise InputError(f"evaluate: measure must be one of {', '.join(measures)}, got {brief(found.measure)}.")
    if found.figures is not None:
        from withstand.commands.drawing import check_figures

        check_figures([each.question for each in subjects])
    if found.keep_points is not None and not any(
        isinstance(own, WorstCase) for each in subjects for own in each.question.evaluations
    ):
        raise InputError("evaluate: --keep-points needs worst-case; add it to --on.")
    if found.dry_run:
        processes, begun = spread.num_processes if spread else 1, time.process_time()
        known = forecast(subjects, seed=found.seed, engine=engine, processes=processes, start=begun)
        console.print(as_text([known.grid()]))
        return
    results = measure(subjects, seed=found.seed, engine=engine, console=console, spread=spread)
    if found.figures is not None:
        from withstand.commands.drawing import draw

        draw(subjects, results, Path(found.figures), seed=found.seed, engine=engine, console=console)
    if found.samples is not None and engine.is_first:
        results.to_samples(found.samples)
        console.say(f"Samples: {found.samples}")
    if found.keep_points is not None:
        for each in subjects:
            folder = Path(found.keep_points) / each.name
            table = results.tables_of_outcomes[each.name]
            for path in keep_points(each, table, folder, seed=found.seed, engine=engine):
                console.say(f"Points: {path}")
    as_json = found.format == "json"
    show(results, console=console, as_json=as_json, measure=found.measure, each_severity=found.each_severity)


def _runs(name: str, console: Console) -> list[str]:
    """Return the finished runs in a folder of runs, or the name itself."""
    lost: dict[str, None] = {}
    if not (runs := [] if is_run(name) else runs_under(Path(name), lost)):
        if deeper := deeper_runs(Path(name)):
            raise InputError(f"evaluate: expected a folder with runs, got {brief(name)}{deeper}")
        return [name]
    for sentence in lost:
        console.say(sentence)
    finished = [str(each) for each in runs if (each / ROWS).exists()]
    if not finished:
        raise InputError(f"evaluate: expected finished runs in {brief(name)}, got none of {len(runs)}.")
    if len(finished) < len(runs):
        console.say(f"{name}: {len(runs) - len(finished)} of {len(runs)} runs are not finished, and are left out.")
    return finished


def _subjects(found: Any, words: list[str], of_models: list[str], *, root: Path, engine: Engine) -> list[Subject]:
    unit = found.unit or "std"
    balls = tuple(Ball(found.norm or "linf", each, unit=unit) for each in found.radius or ())
    on = found.on if balls else _in_unit(found.on, unit)
    given: dict[str, Any] = {"frost": found.frost, "pixels": found.pixels, "balls": balls}
    given["budget"] = found.budget or "standard"
    subjects = of_names(
        found.models,
        lambda data: Question.of(data, on, **given),
        data=found.data,
        weights=found.weights,
        sizes=not any(each.startswith(("--data.pixels", "--data.resize")) for each in words),
        options=[*of_models, *(["--pretrained"] if found.pretrained else [])],
        root=root,
        seed=found.seed,
        engine=engine,
    )
    subjects = [in_precision(each, found.amp, engine) for each in subjects]
    if found.adapt is None:
        return subjects
    own = {"prior": found.adapt, "batch_size": found.batch_size, "seed": found.seed, "home": root / EVALUATIONS}
    own["compiled"] = engine.compile
    return [adapting(each, **own) for each in subjects]


def _parser() -> ArgumentParser:
    parser = make_parser("evaluate", DESCRIPTION, positional="MODEL ...")
    add = parser.add_argument
    add(
        "models",
        type=str,
        nargs="+",
        help="runs, folders of runs, model names, or your own models; see `withstand list models`",
    )
    add("--data", type=Dataset | None, help="data set (default: the run's)")
    add(
        "--on", type=str, nargs="+", metavar="NAME", help="conditions, by name or YAML; see `withstand list conditions`"
    )
    add("--weights", type=str, help="weights file, for a model given by name")
    add("--pretrained", action="store_true", help="use the published weights, for a model given by name")
    add("--model.arguments", type=str | None, help="arguments of your own model's code, as YAML: '{width: 8}'")
    add("--model.normalize", type=str | None, help="imagenet, or means and stds such as 0.5,0.25, of your own model")
    add("--model.output", type=str | None, help="name or number of the logits among the outputs of your own model")
    add("--pixels", type=Pixels | None, help="image size whose corruption parameters apply (default: nearest)")
    add("--frost", type=WhoseFrost, default="auto", help="frost textures; mCE requires `published`")
    add("--radius", type=NonNegativeFloat, nargs="+", metavar="R", help="radii of the balls, e.g. for worst-case")
    add("--budget", type=Budget | None, help="effort of attacks in worst-case and sandwich (default: standard)")
    add("--norm", type=Norm | None, help="norm of the balls (default: linf)")
    add("--unit", type=Unit | None, help="std, raw or iqr: unit of radius and distance on tables (default: std)")
    add("--each_severity", action="store_true", help="with several models, show each severity instead of the mean")
    add("--measure", type=str | None, help="measure to show in full, such as top5 (default: top1)")
    add("--figures", type=str | None, help="also draw learned noise or 2D decision regions, into this folder")
    add("--adapt", type=NonNegativeFloat | None, metavar="PRIOR", help=ADAPT)
    add("--amp", type=Precision, default="no", help="bf16: mixed precision, which changes the outcomes (default: no)")
    add("--samples", type=str | None, help="also write the predictions for every sample to this CSV file")
    add("--keep_points", type=str | None, help="also write the misclassified points of worst-case, into this folder")
    add("--dry_run", action="store_true", help="print what is missing and what it will cost, then exit")
    add("--seed", type=NonNegativeInt, default=0, help="random seed, shared by all models")
    add("--batch_size", type=PositiveInt | None, help="samples per batch and process (-b)")
    workers = "processes (-j), which measure with one thread each; with a GPU, they decode images"
    add_options(parser, workers=workers, compiles=True)
    add_pool_options(parser)
    return parser


def _without_models(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the words with the values of `--model` in front, as models, and apart the options `--model.NAME`."""
    models, others, options = [], [], []
    place = others
    for each in words:
        name, _, value = each.partition("=")
        if name == "--model":
            place = models
            models += [value] if value else []
            continue
        if each.startswith("-") and not is_number(each):
            place = options if name.startswith("--model.") else others
        place.append(each)
    return models + others, options


def _in_unit(on: Sequence[str] | None, unit: Unit) -> Sequence[str | Evaluation] | None:
    """Return conditions with distances in a unit."""
    if unit == "std":
        return on
    found: list[str | Evaluation] = []
    for each in on or ():
        found += minimal_norms(each.partition("/")[2], [Ball("linf", 1.0, unit)]) if each in DISTANCES else [each]
    return found


def measure(
    subjects: Sequence[Subject], *, seed: int, engine: Engine, console: Console, spread: Spread | None = None
) -> Results:
    """Measure models, and record this command in the folders of those whose outcomes are new."""
    folders = [each.folder for each in subjects if each.folder is not None]
    before = [_written(each) for each in folders]
    results = ask(subjects, seed=seed, engine=engine, teller=console, spread=spread)
    for folder, earlier in zip(folders, before, strict=True):
        # A process killed in between leaves outcomes without their command.
        if engine.is_first and (_written(folder) != earlier or not (folder / PROVENANCE).exists()):
            add_command(folder, sys.argv)
    return results


def _written(folder: Path) -> int:
    """Return when the outcomes in a model's folder were written; 0 if there are none."""
    path = folder / OUTCOMES / ABOUT
    return path.stat().st_mtime_ns if path.exists() else 0


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
        console.print(as_text(results.tables(measure=measure, each_severity=each_severity)))
        return
    measures = {name: each.plain() for name, each in results.measures.items()}
    endless = (math.inf, -math.inf)  # null in JSON
    rows = [{key: None if value in endless else value for key, value in each.items()} for each in results.records()]
    content = {"notes": list(results.notes), "measures": measures, "rows": rows}
    if len(results.rows) > 1:
        with suppress(InputError):  # models measured on different samples are not compared
            content["differences"] = results.compare().to_dicts()
    console.print(json.dumps(content))
