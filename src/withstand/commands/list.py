"""`withstand list`: names that options accept."""

import textwrap
from typing import Literal

from withstand.configuration import discover
from withstand.console import Console
from withstand.data.base import Dataset
from withstand.errors import InputError, brief, nearest
from withstand.evaluation.base import Evaluation
from withstand.families import command_name, recipes
from withstand.measuring.words import WORDS
from withstand.models.base import Model
from withstand.models.external.external import External
from withstand.models.in_memory import InMemory
from withstand.models.released import RELEASES, Released
from withstand.models.vision import Vision, known_names
from withstand.objectives.base import Objective
from withstand.options import make_parser
from withstand.parser import parse
from withstand.perturbations.base import Corruption, Perturbation
from withstand.plugins import MODEL_FILES

KINDS = (
    "conditions",
    "corruptions",
    "datasets",
    "evaluations",
    "models",
    "objectives",
    "perturbations",
    "recipes",
    "sweeps",
)
WIDTH = 130  # of a line


def main(words: list[str]) -> None:
    """Run `withstand list`."""
    description = f"List the names that options accept. Kinds: {', '.join(KINDS)}."
    parser = make_parser("list", description, positional="[KIND ...]")
    parser.add_argument("kinds", type=str, nargs="*", help="kinds to list (default: all)")
    parser.add_argument("--format", type=Literal["table", "json"], default="table", help="format of the output")
    found = parse(parser, words)
    for kind in found.kinds:
        if kind not in KINDS:
            raise InputError(f"list: {brief(kind)} is not a kind; {nearest(kind, KINDS)}")
    content = {kind: entries(kind) for kind in found.kinds or KINDS}
    console = Console(quiet=False)
    if found.format == "json":
        console.print_json(content)
        return
    blocks = []
    for kind, each in content.items():
        width = max(map(len, each))
        lines = [_entry(f"  {name:<{width}}  ", summary) for name, summary in each.items()]
        blocks.append("\n".join([kind, *lines]))
    console.print("\n\n".join(blocks))


def entries(kind: str) -> dict[str, str]:
    """Return the names of a kind, with summaries."""
    if kind in ("recipes", "sweeps"):
        found = recipes("sweeps" if kind == "sweeps" else "")
        return {name: path.read_text().splitlines()[0].lstrip("# ") for name, path in found.items()}
    if kind == "conditions":
        more = {
            "contrast": "one corruption at severities 1 to 5; see `withstand list corruptions`",
            "contrast/3": "one corruption at one severity, from 1 to 5; contrast/2.5 between the published ones",
            "contrast+jpeg/3": "the same, with images saved as JPEG and read again",
            "threshold/c-bar": "the threshold for the corruptions of a suite, or for one corruption",
            "noise-distance/adversarial": "the distance for one kind of noise",
            "Gaussian": "any perturbation or evaluation, with default fields; see `withstand list perturbations`",
            "{class_path: Gaussian, init_args: {std: 0.1}}": "the same with other fields, as quoted YAML",
        }
        return dict(WORDS) | more
    if kind == "corruptions":
        return {
            each.published_name(): _summary(each) for each in discover(Perturbation) if issubclass(each, Corruption)
        }
    if kind == "models":
        others = (Vision, Released, External, InMemory)
        found = {command_name(each): _summary(each) for each in discover(Model) if each not in others}
        some = [name for name in known_names() if name in ("resnet18", "resnet50", "squeezenet1_1", "vit_b_16")]
        number = len(known_names())
        what = f"any of {number} names, e.g. {', '.join(some)}" if number else "needs the extra `vision`"
        found |= {"NAME": f"a network from torchvision: {what}", "timm/NAME": "a network from timm"}
        found |= {
            "FILE.py:NAME": "your own class or function; also package.module:NAME",
            "FILE": f"a model in a file ({', '.join(MODEL_FILES)})",
            "FOLDER": "an image classifier of transformers",
        }
        return found | {name: f"ResNet-50 for ImageNet: {each.training}" for name, each in RELEASES.items()}
    families = {
        "datasets": Dataset,
        "objectives": Objective,
        "evaluations": Evaluation,
        "perturbations": Perturbation,
    }
    return {
        command_name(each) if kind == "datasets" else each.__name__: _summary(each)
        for each in discover(families[kind])
        if not issubclass(each, Corruption)
    }


def _entry(name: str, summary: str) -> str:
    """Return a name and its meaning, with long meanings wrapped in their own column."""
    return textwrap.fill(summary, WIDTH, initial_indent=name, subsequent_indent=" " * len(name))


def _summary(cls: type) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0].removesuffix(".")
