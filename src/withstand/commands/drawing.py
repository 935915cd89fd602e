"""Figures of `withstand evaluate`: learned noise and decision regions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from withstand.console import Console
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.evaluation.landscape import draw_landscape, has_landscape
from withstand.evaluation.noise_distance import NoiseDistance
from withstand.evaluation.noise_examples import check_picturable, draw_examples
from withstand.evaluation.worst_case import WorstCase
from withstand.measuring.generators import prepared
from withstand.measuring.question import Question
from withstand.measuring.results import Results
from withstand.measuring.subject import Subject
from withstand.reports.figures.landscape import landscape_figure
from withstand.reports.figures.noise import noise_figure
from withstand.reports.figures.tools.style import write_figure
from withstand.study.landscape import Landscape
from withstand.study.measures.row import Row
from withstand.study.noise_examples import NoiseExamples

Examples = list[NoiseExamples | Landscape]


def check_figures(questions: Sequence[Question]) -> None:
    """Check that there is learned noise or 2D data to draw."""
    for each in questions:
        if _learned(each):
            check_picturable(each.split.shape)
    if any(_learned(each) or has_landscape(each.split) for each in questions):
        return
    shape = questions[0].split.shape
    if len(shape) == 1:
        raise InputError(
            "evaluate: --figures needs data with two numeric features, or noise-distance on images, "
            f"got inputs of shape {shape}."
        )
    raise InputError("evaluate: --figures needs noise-distance on images; add it to --on.")


def examples_to_draw(subject: Subject, *, seed: int, engine: Engine) -> Examples:
    """Return what to draw of a model: its learned noise, and its decision regions.

    Noise generators that were not kept are trained again; all processes must call this together.
    """
    question, split = subject.question, subject.question.split
    found: Examples = []
    for each in _learned(question):
        fit_on = subject.fit_on or (lambda: split)
        model = subject.load()
        generator = prepared(each, model, split, fit_on=fit_on, folder=subject.folder, seed=seed, engine=engine)
        found.append(draw_examples(each, generator, split, seed=seed, engine=engine))
    if has_landscape(split):
        attacks = [replace(each, balls=(ball,)) for each in _attacks(question) for ball in each.balls] or [None]
        found += [draw_landscape(subject.load(), split, attack=each, seed=seed, engine=engine) for each in attacks]
    return found


def _attacks(question: Question) -> list[WorstCase]:
    return [each for each in question.evaluations if isinstance(each, WorstCase)]


def _learned(question: Question) -> list[NoiseDistance]:
    return [each for each in question.evaluations if isinstance(each, NoiseDistance) and each.needs_training_samples]


def draw(
    subjects: Sequence[Subject], results: Results, folder: Path, *, seed: int, engine: Engine, console: Console
) -> None:
    """Write the figures of each model, and the side-by-side figures of several."""
    every = {each.name: examples_to_draw(each, seed=seed, engine=engine) for each in subjects}
    if not engine.is_first:
        return

    def say_written(files: tuple[Path, Path]) -> None:
        console.say(f"Figure: {files[0]} (and .svg)")

    searched = {
        each.name: {
            ball.name: condition
            for own in _attacks(each.question)
            for ball, condition in zip(own.balls, own.conditions, strict=True)
        }
        for each in subjects
    }

    def accuracies_of(model: str, landscape: Landscape) -> dict[str, float]:
        condition = None if landscape.ball is None else searched[model][landscape.ball.where]
        return accuracies(results.rows[model], condition)

    for model, examples in every.items():
        stem, rows = model.replace("/", "_"), results.rows[model]
        at_radius = {row.condition: row.value for row in rows if row.measure == "top1_at_radius"}
        for each in examples:
            if isinstance(each, NoiseExamples):
                figure = noise_figure(each, model=model, accuracies=at_radius)
                say_written(write_figure(folder / f"{stem}-{each.condition.replace(' ', '-')}", figure))
            else:
                figure = landscape_figure({model: each}, accuracies={model: accuracies_of(model, each)})
                say_written(write_figure(folder / f"{stem}-landscape{_of_ball(each)}", figure))
    written: Counter[str] = Counter()
    for group in side_by_side(every):
        name = f"landscapes{_of_ball(next(iter(group.values())))}"
        written[name] += 1
        name += f"-{written[name]}" if written[name] > 1 else ""
        shown = {model: accuracies_of(model, each) for model, each in group.items()}
        say_written(write_figure(folder / name, landscape_figure(group, accuracies=shown)))


def side_by_side(examples: dict[str, list[NoiseExamples | Landscape]]) -> list[dict[str, Landscape]]:
    """Group the landscapes of several models that show the same points and ball."""
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


def accuracies(rows: Sequence[Row], condition: str | None) -> dict[str, float]:
    """Return the accuracies on all test points: `clean`, and `worst case` under a condition."""
    wanted = {("top1", "clean"): "clean", ("worst_case_top1", condition): "worst case"}
    found = {wanted.get((row.measure, row.condition)): row.value for row in rows}
    return {name: value for name, value in found.items() if name is not None}


def _of_ball(landscape: Landscape) -> str:
    return "" if landscape.ball is None else "-" + landscape.ball.where.replace(" ", "-")
