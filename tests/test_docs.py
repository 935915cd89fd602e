"""README.md and docs/: blocks of Python run, commands are understood, options and pages that are named exist.

Blocks are fenced and name their language. A block of Python runs by default; ```` ```python slow ```` marks one that
takes more than ten seconds, which runs with `-m slow` only, after the other blocks of its page. The blocks of a page share
names and a folder, in which `files` lie. A block of text right behind a block of Python is what that prints, up to digits.
"""

import contextlib
import importlib
import io
import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
import torch
import yaml
from PIL import Image

from withstand.cli import COMMANDS, main
from withstand.configuration import discover
from withstand.data.tables.features import fit_features
from withstand.families import family_of, training_fields
from withstand.measuring.question import resolve
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.parser import SHORT
from withstand.perturbations.ball import Ball

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
BLOCK = re.compile(r"(?ms)^```(\w+)( slow)?\n(.*?)^```\n(?:\n(?:prints\n\n)?```text\n(.*?)^```$)?")
# Every block of these runs, in order: tests/docs/test_running_pages.py.
THAT_RUN = ("your-model.md", "plugins.md", "tables.md")
# Name options of other programs, or former ones, too.
OF_OTHERS = ("from-game-of-noise.md", "from-pointwise.md", "CHANGELOG.md")


class Block(NamedTuple):
    language: str
    slow: bool
    text: str
    prints: str


def blocks(page: Path) -> list[Block]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(language, bool(slow), text, prints) for language, slow, text, prints in found]


LONG = ("estimators.md", "measuring-robustness.md", "python.md")  # pages that run for some seconds


def of_page(page: Path, **options):
    return pytest.param(page, id=page.name, **options)


def photos(folder: Path, *, side: int, name: str, number: int) -> None:
    """Write pictures in two classes: which half is bright."""
    generator = np.random.default_rng(0)
    for place, own in enumerate(("lower", "upper")):
        (folder / own).mkdir(parents=True)
        for count in range(number):
            pixels = generator.integers(0, 80, (side, side, 3), dtype=np.uint8)
            pixels[side // 2 * (1 - place) : side // 2 * (2 - place)] += 150
            Image.fromarray(pixels).save(folder / own / name.format(count))


def files(folder: Path) -> None:
    """Write what blocks read: a table of three sensors in different units, pictures, and pictures in fog."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 3))
    y = np.digitize(x[:, 0] + x[:, 1] * x[:, 2], (-0.6, 0.6))
    columns = dict(zip(("pressure", "temperature", "vibration"), (x * (3, 10, 0.1) + (20, 60, 1)).T, strict=True))
    pl.DataFrame(columns | {"state": [("loose", "good", "worn")[each] for each in y]}).write_csv(
        folder / "readings.csv"
    )
    for part, number in (("train", 10), ("val", 2)):
        photos(folder / "photos" / part, side=32, name="{}.png", number=number)
    photos(folder / "photos-c" / "fog" / "3", side=224, name="{}.JPEG", number=2)
    (folder / "map.json").write_text('{"lower": 0, "upper": 1}')


def study(folder: Path) -> None:
    """Make the sweep that the page on reports reads: two ways to train, two seeds."""
    plan = {
        "set": {"data": "toy", "data.num_train": 60, "data.num_test": 40, "model": "mlp", "epochs": 1},
        "vary": {"radius": [0.1, 0.2], "method": {"plain": {}, "noise": {"objective.perturbation": "Uniform"}}},
        "seeds": 2,
    }
    plan["vary"]["method"]["noise"]["objective.perturbation.ball.radius"] = "$radius"
    (folder / "moons.yaml").write_text(yaml.safe_dump(plan))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert main(["sweep", "moons.yaml", "--vectorize", "--quiet", "--device", "cpu"]) == 0


def alike(text: str) -> str:
    """Return a text without what differs between machines and widths: digits, signs, rules, spaces."""
    return " ".join(re.sub(r"[-+:]", "", re.sub(r"\d[\d.,]*(e-?\d+)?", "0", text)).split())


def run_python(page: Path, folder: Path, *, slow: bool) -> None:
    names: dict = {"__name__": "page"}
    found = [each for each in blocks(page) if each.language == "python"]
    for block in [each for each in found if not each.slow] + [each for each in found if each.slow and slow]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block.text, page.name, "exec"), names)
        if block.prints:
            assert alike(out.getvalue()) == alike(block.prints), out.getvalue()


WITH_PYTHON = [
    page for page in PAGES if page.name not in THAT_RUN and any(each.language == "python" for each in blocks(page))
]


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A folder with the files of the pages, in which the test works, without a network."""
    mpl.use("agg")
    monkeypatch.setenv("WITHSTAND_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    files(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "page",
    [
        of_page(each, marks=pytest.mark.slow if each.name in LONG else ())
        for each in WITH_PYTHON
        if not all(b.slow for b in blocks(each) if b.language == "python")
    ],
)
def test_blocks_of_python_run_and_print_what_stands_below_them(page, reader):
    if page.name == "reports.md":
        study(reader)
    run_python(page, reader, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [of_page(each) for each in WITH_PYTHON if any(b.slow for b in blocks(each) if b.language == "python")]
)
def test_slow_blocks_of_python_run_after_the_others(page, reader):
    run_python(page, reader, slow=True)


class Understood(Exception):
    """A command has read its options."""


def commands(page: Path) -> list[list[str]]:
    """Return the words of every `withstand ...` in the blocks of a page."""
    found = []
    for block in blocks(page):
        if block.language != "bash":
            continue
        text = re.sub(r"(?ms)<<'END'\n.*?^END$", "", block.text).replace("\\\n", " ")
        for line in text.splitlines():
            for part in re.split(r" (?:&&|\||>) ", f"{line} "):
                words = shlex.split(part, comments=True)
                if "withstand" in words and words[0] in ("withstand", "torchrun", "python"):
                    found.append(words[words.index("withstand") + 1 :])
    return [each for each in found if each]


# Those of extending.md name classes that the page adds: tests/test_extending.py.
COMMANDS_OF_PAGES = [
    pytest.param(page, words, id=f"{page.name}: {' '.join(words)}")
    for page in PAGES
    for words in commands(page)
    if page.name not in ("extending.md", *THAT_RUN)
]


def test_there_are_many_commands():
    assert len(COMMANDS_OF_PAGES) > 80


@pytest.mark.parametrize(("page", "words"), COMMANDS_OF_PAGES)
def test_commands_are_understood(page, words, reader, monkeypatch):
    if words[0].startswith("-"):
        return
    assert words[0] in COMMANDS
    (reader / "plain.yaml").write_text("seed: 0\n")
    module = importlib.import_module(f"withstand.commands.{words[0]}")
    found = []

    def parse(*arguments, **options):
        found.append(real(*arguments, **options))
        raise Understood

    real = module.parse
    monkeypatch.setattr(module, "parse", parse)
    if words[0] == "train":
        monkeypatch.setattr(module, "_with_config_of_resumed", lambda words: words)
    with pytest.raises(Understood):
        module.main(words[1:])
    if words[0] == "evaluate":
        for word in found[0].on or ():
            options = {"balls": (Ball("l2", 0.1),), "pixels": None, "frost": "procedural"}
            assert list(resolve(word, (3, 224, 224), features=fit_features(["a"], torch.zeros(1, 1)), **options))


def test_the_sweep_of_the_page_is_understood(reader):
    from withstand.options import read_experiment
    from withstand.sweeps.plan import read_plan

    (text,) = [each.text for each in blocks(ROOT / "docs" / "how-to" / "sweeps.md") if each.language == "yaml"]
    (reader / "mine.yaml").write_text(text)
    assert len(read_plan("mine.yaml", read_experiment, small=False, seeds=None, more=[]).experiments) == 2 * 5 * 7
    assert read_plan("mine.yaml", read_experiment, small=True, seeds=None, more=[]).experiments


@pytest.fixture(scope="module")
def known_options() -> set[str]:
    """All options of all commands, with underscores, and the fields of what an option may name."""
    parsers = []

    class Stopped(Exception):
        pass

    def keep(parser, *_, **__):
        parsers.append(parser)
        raise Stopped

    with pytest.MonkeyPatch.context() as patch:
        for name in COMMANDS:
            module = importlib.import_module(f"withstand.commands.{name}")
            patch.setattr(module, "parse", keep)
            for words in ([], ["x"]):
                with contextlib.suppress(Stopped):
                    module.main(words)
                    break
    found = {option for each in parsers for action in each._actions for option in action.option_strings}
    found |= {*SHORT, "-j", "-b", "--help", "--version", *(f"--{each}" for each in training_fields())}
    for key in ("data", "model", "objective", "optimizer", "schedule"):
        classes = discover(family_of(key))
        found |= {f"--{key}.{each.name}" for cls in classes for each in fields(cls)} | {f"--{key}.help"}
    for key in ("perturbation", "fold"):
        inner = {each.name for cls in discover(family_of(key)) for each in fields(cls)}
        found |= {f"--objective.{key}.{each}" for each in inner}
    objectives = {f"--objective.{branch}." for branch in ("main", "auxiliary")}
    found |= {start + each.name for start in objectives for each in fields(PerturbedRisk)}
    places = ("--objective.perturbation.ball", "--objective.ball")
    return found | {f"{place}.{each.name}" for place in places for each in fields(Ball)}


@pytest.mark.parametrize(
    "page", [of_page(each) for each in PAGES if each.name not in OF_OTHERS and "decisions" not in each.parts]
)
def test_options_that_are_named_exist(page, known_options):
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for span in re.findall(r"`([^`\n]+)`", text):
        if not span.startswith(("-", "withstand ")):
            continue
        for word in re.findall(r"(?<!\S)--?[a-zA-Z][\w.-]*", span):
            option = word.replace("-", "_").replace("__", "--", 1) if word.startswith("--") else word
            option = "--model.arguments" if option.startswith("--model.init_args") else option
            assert option in known_options or option.isupper() or option.endswith(("FIELD", "<field>")), span


@pytest.mark.parametrize("page", [of_page(each) for each in PAGES])
def test_decisions_are_named_by_their_numbers(page):
    found = re.findall(r"\[(?:decision )?(\d+)\]\([^)]*?(\d{4})-", page.read_text(encoding="utf-8"))
    assert [each for each in found if int(each[0]) != int(each[1])] == []


@pytest.mark.parametrize("page", [of_page(each) for each in PAGES])
def test_pages_and_headings_that_are_named_exist(page):
    for target in re.findall(r"\]\(((?!http)[^)\s]+)\)", page.read_text(encoding="utf-8")):
        name, _, heading = target.partition("#")
        other = (page.parent / name) if name else page
        assert other.exists(), target
        if heading:
            titles = re.findall(r"(?m)^#+ (.+)$", other.read_text(encoding="utf-8"))
            slugs = [re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in titles]
            assert heading in slugs, target


def story(heading: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the commands of a section of the README as a reader would."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"(?ms)^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text)
    (block,) = [text for language, _, text, _ in BLOCK.findall(section) if language == "bash"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=os.environ | {"PATH": path, "COLUMNS": "80", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_the_story_of_a_folder_of_images(reader):
    done = story("A folder of images", reader)
    header = next(line for line in done.stdout.splitlines() if {"plain", "noisy"} <= set(line.split()))
    assert header.index("plain") < header.index("noisy")
    for condition in ("clean", "gaussian_noise", "glass_blur", "fog", "jpeg_compression", "mean of corruptions"):
        assert re.search(rf"(?m)^ {condition}\S*(?: +\d+\.\d(?: \([\d.]+-[\d.]+\))?){{2}}$", done.stdout), condition
    assert "on the same samples" in done.stdout
    page = (reader / "runs" / "report" / "index.html").read_text(encoding="utf-8")
    assert "plain" in page
    assert "noisy" in page


@pytest.mark.slow
def test_the_story_of_a_study(reader):
    done = story("A study", reader)
    assert re.search(r"(?m)^ runs +90$", done.stdout)
    assert re.search(r"(?m)^ time on one core +\d", done.stdout)
    runs = reader / "runs" / "moons-small"
    assert len(list(runs.glob("*/rows.jsonl"))) == len(list(runs.glob("*/model.safetensors"))) == 6
    assert not (reader / "runs" / "moons").exists()
    # Labels wrap if the table is as wide as the terminal.
    assert len(re.findall(r"(?m)^ radius 0.4, .*2/2 +\d", done.stdout)) == 3
    for method in ("plain", "noise", "adversarial"):
        assert re.search(rf"radius 0.4, {method} +\d", done.stdout)
    report = runs / "report"
    assert (report / "index.html").is_file()
    assert list((report / "tables").glob("*.tex"))
    assert list((report / "figures").glob("*.svg"))
