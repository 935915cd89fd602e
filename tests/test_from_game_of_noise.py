"""The page for users of the published code: every command of ours on it is understood."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from withstand.cli import main
from withstand.commands import drawing, evaluate
from withstand.measuring.question import Question
from withstand.measuring.words import WORDS
from withstand.models.released import RELEASES

PAGE = Path(__file__).parents[1] / "docs" / "from-game-of-noise.md"
TEXT = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
COMMANDS = re.findall(r"^    withstand (.+)$", TEXT.replace("\\\n", " "), re.MULTILINE)


def of(command):
    found = [shlex.split(each) for each in COMMANDS if each.startswith(command)]
    return pytest.mark.parametrize("words", found, ids=" ".join)


def test_there_are_commands():
    assert len(COMMANDS) >= 15
    assert {each.split()[0] for each in COMMANDS} == {"train", "evaluate"}


@of("train")
def test_trainings_are_understood(words, capsys):
    assert main([*words, "--print-config"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["training"]["epochs"] > 0


@of("evaluate")
def test_evaluations_are_understood(words, monkeypatch):
    asked = []
    monkeypatch.setattr(evaluate, "of_names", lambda names, ask, **_: asked.append((names, ask)) or [])
    monkeypatch.setattr(evaluate, "ask", lambda *_, **options: None)
    for module, name in ((evaluate, "show"), (drawing, "check_figures"), (drawing, "draw")):
        monkeypatch.setattr(module, name, lambda *_, **options: None)
    monkeypatch.setattr(Question, "of", lambda data, on, **options: (on or [], options))
    assert main(words) == 0
    ((models, ask),) = asked
    conditions, _ = ask(None)
    assert all(each in RELEASES or re.fullmatch(r"runs/[\w-]+\*", each) for each in models)
    assert set(conditions) <= set(WORDS)


def test_every_released_network_and_every_recipe_is_named():
    assert all(name in TEXT for name in RELEASES)
    recipes = Path(evaluate.__file__).parents[1] / "recipes"
    assert all(each.stem in TEXT for each in recipes.glob("imagenet-*.yaml"))


def test_every_field_that_is_named_exists():
    from withstand.objectives.adversarial_noise import AdversarialNoise

    named = {each.replace("-", "_") for each in re.findall(r"--objective\.([a-z-]+)", TEXT)} - {"perturbation"}
    assert named <= set(AdversarialNoise.__dataclass_fields__)
