"""`withstand quickstart`: the main job in two minutes, on data that comes with scikit-learn."""

from pathlib import Path

from withstand.commands.common import add_options, make_parser, start
from withstand.commands.evaluate import show
from withstand.commands.measuring import evaluate
from withstand.commands.train import read_experiment
from withstand.experiment import run
from withstand.parser import parse

RECIPES = ("quickstart-plain", "quickstart-gaussian")
NEXT = """Next:
  withstand train --data digits --objective.perturbation Speckle --epochs 30
  withstand evaluate {runs} --on clean noise
  withstand list"""


def main(words: list[str]) -> None:
    """Train two ways, measure both, show one table."""
    parser = make_parser(
        "quickstart",
        "Train a small network on embedded handwritten digits, plainly and with Gaussian noise on half of every batch, "
        "and measure both on clean test images and under every corruption.",
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
    # Textures made here: the published ones would have to be fetched, and numbers should not depend on that.
    measured = evaluate(
        runs,
        data=None,
        on=["clean", "imagenet-c"],
        frost="procedural",
        root=root,
        engine=engine,
        console=console,
    )
    measured = measured._replace(rows={name.rsplit("-", 1)[0]: rows for name, rows in measured.rows.items()})
    show(measured, console=console, as_json=found.format == "json")
    console.say(NEXT.format(runs=" ".join(runs)))
