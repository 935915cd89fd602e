"""Pages whose every block runs, in order: files are written, Python is executed, commands are run.

A block that begins with the comment `# NAME.py` or `# NAME.yaml` is a file. A block of text is what the block before it prints, up
to digits.
"""

import re
import shlex
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

from withstand import plugins
from withstand.cli import main
from withstand.configuration import discover
from withstand.evaluation.base import Evaluation
from withstand.perturbations.base import Perturbation

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"(?ms)^```(\w+)\n(.*?)^```$")


def alike(text: str) -> str:
    """Return a text without what differs between machines and widths: digits, signs, rules, spaces."""
    return " ".join(re.sub(r"[-+:*]", "", re.sub(r"\d[\d.,]*(e-?\d+)?", "0", text)).split())


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A folder in which the test works; the plug-ins that it names are forgotten."""
    mpl.use("agg")
    monkeypatch.setenv("WITHSTAND_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_sources", {})
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path  # modules stay imported: their classes live on as subclasses


def run_page(page: Path, folder: Path, capfd) -> None:
    names: dict = {"__name__": "page"}
    printed = ""
    for language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if (found := re.match(r"# ([\w/]+\.(?:py|yaml))\n", text)) is not None:
            (folder / found[1]).parent.mkdir(exist_ok=True)
            (folder / found[1]).write_text(text)
        elif language == "python":
            capfd.readouterr()
            exec(compile(text, page.name, "exec"), names)
            printed = capfd.readouterr().out
        elif language == "bash":
            capfd.readouterr()
            for line in text.replace("\\\n", " ").splitlines():
                assert main([*shlex.split(line, comments=True)[1:]]) == 0, line
            printed = capfd.readouterr().out
        elif language == "text":
            assert alike(printed) == alike(text), printed


@pytest.mark.slow
def test_every_block_of_the_page_on_models_runs(reader, capfd):
    run_page(DOCS / "your-model.md", reader, capfd)


@pytest.mark.slow
def test_every_block_of_the_page_on_plugins_runs(reader, capfd):
    run_page(DOCS / "plugins.md", reader, capfd)
    own = {each.__name__ for family in (Perturbation, Evaluation) for each in discover(family)}
    assert {"Dust", "Mirror", "Margin"} <= own


@pytest.mark.slow
def test_every_block_of_the_page_on_tables_runs(reader, capfd):
    run_page(DOCS / "tables.md", reader, capfd)
    assert (reader / "fragile.html").stat().st_size > 10_000
