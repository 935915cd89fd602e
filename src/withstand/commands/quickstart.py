"""`withstand quickstart`: train four ways, evaluate and report in three minutes, on bundled data."""

import shlex
from dataclasses import replace
from pathlib import Path

from withstand.commands.evaluate import measure, show
from withstand.evaluation.noise_distance import NoiseDistance
from withstand.evaluation.sandwich import Sandwich
from withstand.experiment import run
from withstand.measuring.question import Question
from withstand.options import add_options, make_parser, read_experiment, start
from withstand.parser import parse
from withstand.perturbations.ball import Ball
from withstand.reading.places import quoted
from withstand.reports.figures.pictures import pictures
from withstand.reports.report_folder import write_report
from withstand.study.study import Study
from withstand.subjects import of_names

RECIPES = ("quickstart-plain", "quickstart-gaussian", "quickstart-ant", "quickstart-smoothed")
MEASURED = (
    NoiseDistance(noises=("gaussian", "adversarial"), steps=100, lr=4e-3),
    # 0.05 per pixel. CROWN takes half a second per image, and certifies none of them either.
    Sandwich(balls=(Ball("linf", 0.05),), budget="quick", method="interval"),
)
NEXT = """Next:
  withstand train --data digits --objective.perturbation Speckle --epochs 30
  withstand evaluate {runs} --on clean noise
  withstand list"""


def main(words: list[str]) -> None:
    """Train four ways, measure all and print the tables."""
    parser = make_parser(
        "quickstart",
        "Train a small network on the bundled digits data set in four ways: without perturbations, with Gaussian "
        "noise, with adversarial noise (ANT), and to resist any change of up to 0.05 per pixel. Evaluate all four on "
        "clean images, under corruptions, over a ball (what is proved, and what no attack breaks), and by noise "
        "distance. Write a report. Takes two to three minutes.",
    )
    add_options(parser)
    found = parse(parser, words)
    engine, console, root = start(found)
    root = root / "quickstart"
    folders: list[Path] = []
    for recipe in RECIPES:
        experiment = read_experiment([f"--config={recipe}"])
        with console.progress(experiment.training.epochs) as watch:
            folders.append(run(experiment, root, engine=engine, watch=watch, say=console.say))
    runs = [str(folder) for folder in folders]
    # Procedural textures need no download.
    on = ["clean", "imagenet-c", *MEASURED]
    subjects = of_names(runs, lambda data: Question.of(data, on, frost="procedural"), root=root, seed=0, engine=engine)
    subjects = [replace(each, name=each.name.rsplit("-", 1)[0]) for each in subjects]
    results = measure(subjects, seed=0, engine=engine, console=console)
    show(results, console=console, as_json=found.format == "json")
    if not engine.is_first:
        return
    command = shlex.join(["withstand", "report", str(root)])
    report = write_report(Study.of(root), root / "report", pictures=pictures, command=command)
    console.say(f"Report: {report.page}")
    console.say(NEXT.format(runs=quoted(*runs)))
