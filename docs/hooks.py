"""Hooks of the documentation site: pages from outside `docs/`, the Python API and the command line."""

import contextlib
import io
import os
import re
from pathlib import Path
from typing import Any
from unittest import mock

from griffe import Class, Extension, Function
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from withstand.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
PUBLIC = ROOT / "src" / "withstand" / "__init__.pyi"
API, HELP = "<!-- public names -->", "<!-- help of every command -->"
# Pages in other folders, and their place on the site.
OUTSIDE = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
}
# Page of the API reference for each package, or module of the package itself.
GROUPS = {
    "api": "training",
    "attacking": "evaluations",
    "data": "data",
    "engine": "training",
    "errors": "training",
    "estimators": "estimators",
    "evaluation": "evaluations",
    "experiment": "training",
    "functional": "training",
    "measuring": "results",
    "models": "models",
    "objectives": "objectives",
    "perturbations": "perturbations",
    "study": "results",
    "training": "training",
}


def public_names(group: str) -> list[str]:
    """Return the names that `withstand` exports from the packages of a group, base classes first."""
    text = PUBLIC.read_text(encoding="utf-8")
    found = re.findall(r"(?m)^from withstand\.((\w+)\S*) import \(?\s*\w+ as (\w+)", text)
    names = {name: module for module, package, name in found if GROUPS[package] == group}
    return sorted(names, key=lambda name: not names[name].endswith(".base"))


def command_help(command: str) -> str:
    """Return what `withstand COMMAND --help` prints."""
    out = io.StringIO()
    with (
        mock.patch.dict(os.environ, {"COLUMNS": "80"}),
        contextlib.redirect_stdout(out),
        contextlib.suppress(SystemExit),
    ):
        main([command, "--help"])
    return out.getvalue().rstrip()


def filled(markdown: str, *, group: str) -> str:
    """Return a page with its generated parts."""
    if API in markdown:
        markdown = markdown.replace(API, "\n\n".join(f"::: withstand.{name}" for name in public_names(group)))
    if HELP in markdown:
        parts = [f"## {name}\n\n{text}\n\n```text\n{command_help(name)}\n```" for name, text in COMMANDS.items()]
        markdown = markdown.replace(HELP, "\n\n".join(parts))
    return markdown


def relinked(markdown: str, source: str) -> str:
    """Return a page in which links to and from the pages outside `docs/` lead to their places on the site.

    Args:
        markdown: Text of the page.
        source: Place of the page on the site.
    """
    origin = next((path for path, place in OUTSIDE.items() if place == source), f"docs/{source}")

    def target(found: re.Match[str]) -> str:
        path = os.path.normpath(Path(origin).parent / found[1])
        place = OUTSIDE.get(path, path.removeprefix("docs/"))
        moved = path in OUTSIDE or source in OUTSIDE.values()
        return f"]({os.path.relpath(place, Path(source).parent) if moved else found[1]}{found[2]})"

    return re.sub(r"\]\(((?!\w+:)[^)#\s]+)(#[^)\s]*|)\)", target, markdown)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside `docs/`."""
    for path, place in OUTSIDE.items():
        files.append(File.generated(config, place, content=(ROOT / path).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Fill in generated parts and mend links."""
    source = page.file.src_uri
    return filled(relinked(markdown, source), group=Path(source).stem)


class Docstrings(Extension):
    """Translates docstrings to what the site understands: the section `Example:`, and formulas."""

    def _translate(self, found: Class | Function) -> None:
        if found.docstring is None:
            return
        text = re.sub(r"(?m)^(\s*)Example:$", r"\1Examples:", found.docstring.value)
        text = re.sub(r"(?m)^( *)\.\. math:: (.+(?:\n\1 +\S.*)*)$", r"\1```text\n\1\2\n\1```", text)
        found.docstring.value = text.replace(":math:`", "`")

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """Translate the docstring of a class."""
        self._translate(cls)

    def on_function(self, *, func: Function, **_: Any) -> None:
        """Translate the docstring of a function."""
        self._translate(func)
