"""The generated parts of the documentation site hold every public name and every option."""

import importlib
import re
import runpy
from pathlib import Path

import pytest

import withstand
from withstand.cli import COMMANDS
from withstand.families import friendly

ROOT = Path(__file__).parents[2]
HOOKS = runpy.run_path(str(ROOT / "docs" / "hooks.py"))
API = ROOT / "docs" / "reference" / "api"


class Stopped(Exception):
    pass


def filled(page: Path) -> str:
    return HOOKS["filled"](page.read_text(encoding="utf-8"), group=page.stem)


def test_every_public_name_is_in_the_reference_once():
    found = re.findall(r"(?m)^::: withstand\.(\w+)$", "\n".join(filled(each) for each in sorted(API.glob("*.md"))))
    assert sorted(found) == sorted(withstand.__all__)


@pytest.mark.parametrize("page", sorted(API.glob("*.md")), ids=lambda each: each.stem)
def test_no_page_of_the_reference_is_empty(page):
    assert "::: withstand." in filled(page)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_every_option(command, monkeypatch):
    parsers = []

    def keep(parser, *_, **__):
        parsers.append(parser)
        raise Stopped

    monkeypatch.setattr(importlib.import_module(f"withstand.commands.{command}"), "parse", keep)
    with pytest.raises(Stopped):
        importlib.import_module(f"withstand.commands.{command}").main(["x"])
    monkeypatch.undo()
    shown = set(re.findall(r"(?m)^  (?:-\w, )?(--[\w.-]+)", HOOKS["command_help"](command)))
    options = {name for action in parsers[0]._actions for name in action.option_strings if name.startswith("--")}
    # `--X.help` is described once, above the options; fields of `training` come without that prefix.
    options = {each for each in options if not each.endswith(".help")}
    assert {f"--{friendly(each[2:])}" for each in options} - {"--training"} <= shown


@pytest.mark.parametrize(
    ("source", "link", "target"),
    [
        ("how-to/data.md", "../../benchmarks/README.md#corruptions", "../benchmarks.md#corruptions"),
        ("how-to/data.md", "evaluation.md#samples", "evaluation.md#samples"),
        ("index.md", "../CONTRIBUTING.md", "contributing.md"),
        ("contributing.md", "docs/how-to/data.md", "how-to/data.md"),
        ("contributing.md", "CHANGELOG.md", "changelog.md"),
        ("benchmarks.md", "../docs/how-to/data.md", "how-to/data.md"),
        ("contributing.md", "https://example.org/docs/a.md", "https://example.org/docs/a.md"),
        ("contributing.md", "#tests", "#tests"),
    ],
)
def test_links_lead_to_the_places_of_the_site(source, link, target):
    assert HOOKS["relinked"](f"a [word]({link}) b", source) == f"a [word]({target}) b"
