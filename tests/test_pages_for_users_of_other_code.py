"""Pages for users of published code, and the guide to robust training: every command of ours is understood."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from withstand.cli import main
from withstand.commands import drawing, evaluate
from withstand.measuring.question import Question
from withstand.measuring.words import WORDS
from withstand.objectives.perturbed_risk import PerturbedRisk

FOLDER = Path(__file__).parents[1] / "docs"
PAGES = ("from-pointwise.md", "robust-training.md")


def commands(verb: str) -> list:
    found = []
    for page in PAGES:
        text = (FOLDER / page).read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(rf"^    withstand ({verb} .+)$", text, re.MULTILINE):
            found.append(pytest.param(shlex.split(line), id=f"{page}: {line}"))
    return found


def test_there_are_commands():
    assert len(commands("train")) >= 8
    assert len(commands("evaluate")) >= 2


@pytest.mark.parametrize("words", commands("train"))
def test_trainings_are_understood(words, capsys):
    assert main([*words, "--print-config"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["training"]["epochs"] > 0


@pytest.mark.parametrize("words", commands("evaluate"))
def test_evaluations_are_understood(words, monkeypatch):
    asked = []
    monkeypatch.setattr(evaluate, "of_names", lambda names, ask, **_: asked.append((names, ask)) or [])
    monkeypatch.setattr(evaluate, "ask", lambda *_, **options: None)
    for module, name in ((evaluate, "show"), (drawing, "check_figures"), (drawing, "draw")):
        monkeypatch.setattr(module, name, lambda *_, **options: None)
    monkeypatch.setattr(Question, "of", lambda data, on, **options: (on or [], options))
    assert main(words) == 0
    ((_, ask),) = asked
    conditions, options = ask(None)
    assert set(conditions) <= set(WORDS)
    assert all(ball.radius > 0 for ball in options["balls"])


@pytest.mark.parametrize("page", PAGES)
def test_every_field_that_is_named_exists(page):
    text = (FOLDER / page).read_text(encoding="utf-8")
    named = {each.replace("-", "_") for each in re.findall(r"--objective\.([a-z-]+)", text)}
    assert named <= set(PerturbedRisk.__dataclass_fields__)
