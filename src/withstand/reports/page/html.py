"""A report as one page that needs no other file and no network."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from withstand.rendering.grid import Grid
from withstand.rendering.visible import visible
from withstand.reports.figures.tools.picture import Picture
from withstand.reports.page.examples import ShownExamples
from withstand.reports.page.mistakes import ShownMistakes
from withstand.study.digest import Digest
from withstand.study.origin import Origin, commands_of

BETWEEN, MINUS = re.compile(r"(?<![\w.,-])(\d[\d.,]*)-(?=\d)"), re.compile(r"(?<![\w-])-(?=[\d.])")
PERCENT = re.compile(r"(?<=\d) %")
MOST_FIGURES = 10  # of a section that are open; the others are one click away
MOST_VALUES = 150_000  # values of single runs within the page


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page: tables, then figures. What comes next to a report is one more of these.

    Attributes:
        key: Its address within the page.
        title: Its heading.
        text: A sentence below it, or nothing.
        sheets: Tables, open.
        folded: Tables that are opened by the reader.
        figures: Pictures, each with its element and the names of its files.
        mistakes: Mistakes of combinations; the first is open.
        examples: The browser of examples.
    """

    key: str
    title: str
    text: str = ""
    sheets: tuple[Grid, ...] = ()
    folded: tuple[Grid, ...] = ()
    figures: tuple["ShownPicture", ...] = ()
    mistakes: tuple[ShownMistakes, ...] = ()
    examples: ShownExamples | None = None

    @property
    def examples_json(self) -> Markup:
        """The content of the browser of examples."""
        return _json(self.examples.content if self.examples else {})


@dataclass(frozen=True, kw_only=True)
class ShownPicture:
    """A picture within the page.

    Attributes:
        picture: What it is.
        element: Its element in the page.
        files: Addresses of its files by kind.
    """

    picture: Picture
    element: Markup = field(repr=False)
    files: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What the page opens with.

    Attributes:
        headline: Statements, as `headline` returns them.
        lead: The picture below them.
        tally: How many runs there are, in a sentence.
        findings: Measure and sentence, as `findings` returns them.
        warnings: Sentences about runs that may not belong together.
        doubts: Sentences about numbers that are not trustworthy, as `doubts` returns them.
    """

    headline: Sequence[tuple[str, str]]
    lead: ShownPicture | None
    tally: str
    findings: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    doubts: Sequence[str]


def page(
    digest: Digest,
    *,
    summary: Summary,
    sections: Sequence[Section],
    origins: Sequence[Origin],
    files: Sequence[tuple[str, str]],
    output: Path,
    command: str,
    version: str,
) -> str:
    """Return the page.

    Args:
        digest: The numbers.
        summary: What the page opens with.
        sections: Between the summary and the runs.
        origins: By combination.
        files: Address and description of the files next to the page.
        output: Folder of the page, for addresses of runs.
        command: That makes the report again.
        version: Version of withstand.
    """
    place = digest.study.folder
    # A name such as `javascript:x` must not be taken for a scheme.
    folder = "" if place is None else f"./{quote(os.path.relpath(place.resolve(), output.resolve()))}"
    return (
        environment()
        .get_template("report.html")
        .render(
            name=digest.study.name,
            digest=digest,
            summary=summary,
            sections=sections,
            origins=origins,
            files=files,
            runs=folder,
            commands=[*commands_of(origins), command],
            version=version,
            values=_json(values_of(digest)),
            most_figures=MOST_FIGURES,
        )
    )


def values_of(digest: Digest) -> dict[str, Any]:
    """Return the values of single runs behind the numbers of the page, as data for its script.

    Returns:
        `combinations` with name, seeds and runs of each, and `values`: by measure and condition, by combination, one
        number per run, null if there is none and a text (`never`, `inf`) if it is infinite. Very many values are
        left out, as `left_out` says.
    """
    known = [
        {"name": each.name, "seeds": [one.seed for one in each.trials], "runs": [one.run for one in each.trials]}
        for each in digest.combinations
    ]
    found: dict[str, dict[int, list[float | str | None]]] = {}
    rows = digest.frame.filter(digest.frame["measure"].is_not_null())
    if len(rows) > MOST_VALUES:
        return {"combinations": known, "values": {}, "left_out": True}
    places = [{trial.run: place for place, trial in enumerate(each.trials)} for each in digest.combinations]
    known_as = digest.study.measures
    columns = rows.select("combination", "run", "measure", "condition", "value")
    for index, run, measure, condition, value in columns.iter_rows():
        own = found.setdefault(f"{measure}\t{condition}", {})
        if index not in own:
            own[index] = [None] * len(places[index])
        own[index][places[index][run]] = float(f"{value:.7g}") if isfinite(value) else known_as[measure].written(value)
    return {"combinations": known, "values": found, "left_out": False}


def dashes(text: str) -> str:
    """Return a text with true minus signs and dashes at its numbers, which keep their percent sign in the line.

    Example:
        >>> print(dashes("-1.2 to 3.4"), dashes("1.2-3.4"), dashes("net-50-2"))
        −1.2 to 3.4 1.2–3.4 net-50-2
    """
    text = MINUS.sub("\N{MINUS SIGN}", BETWEEN.sub("\\1\N{EN DASH}", text))
    return PERCENT.sub("\N{NO-BREAK SPACE}%", text)


def _json(content: object) -> Markup:
    """Return data that a script element can hold: nothing in it ends the element."""
    text = json.dumps(content, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _cleaned(value: Any) -> Any:
    """Return a text or an element of the page without control characters."""
    return type(value)(visible(value, lines=True)) if isinstance(value, str) else value


@lru_cache
def environment() -> Environment:
    """Return the templates of pages."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_cleaned,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["dashes"] = dashes
    return environment
