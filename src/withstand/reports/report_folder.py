"""Report folder: HTML page, Markdown, tables, figures, model cards."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from withstand.errors import stop_if_asked
from withstand.files import check_no_link, clear, hold, write_whole
from withstand.reading.places import check_output
from withstand.rendering.csv import csv
from withstand.rendering.grid import Grid
from withstand.rendering.latex import latex
from withstand.rendering.markdown import markdown
from withstand.reports.all_sheet import all_sheet
from withstand.reports.chance import chance_notes
from withstand.reports.doubts import doubts
from withstand.reports.figures.bars import bars_picture
from withstand.reports.figures.tools.picture import Picture
from withstand.reports.figures.tools.style import figure_style
from withstand.reports.findings import different_data, findings, tally, warnings
from withstand.reports.headline import headline
from withstand.reports.model_card import model_card
from withstand.reports.page.examples import ShownExamples, shown_examples
from withstand.reports.page.figure import draw
from withstand.reports.page.html import Section, ShownPicture, Summary, page
from withstand.reports.page.mistakes import shown_mistakes
from withstand.reports.page.samples import samples_sheets
from withstand.reports.pairs import SamplePairs
from withstand.reports.report_markdown import report_markdown
from withstand.reports.scores import Scores
from withstand.reports.sheets import Sheets, Spread
from withstand.study.contents import spared
from withstand.study.digest import Digest
from withstand.study.origin import Origin
from withstand.study.records import read_record
from withstand.study.study import Study

PAGE, LIST = "index.html", "files.json"
FOLDERS = ("tables", "figures", "cards")
FILES = (
    ("report.md", "this report as Markdown"),
    ("rows.csv", "every row of every run"),
    ("rows.parquet", "the same, typed"),
    ("summary.csv", "every measure and condition over the seeds"),
    ("tables/", "the tables as Markdown and LaTeX (booktabs, longtable)"),
    ("figures/", "the figures as PNG and SVG"),
    ("cards/", "a model card per combination"),
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was written.

    Attributes:
        page: The page.
        sheets: Its tables.
        holes: Sentences about what is missing.
    """

    page: Path
    sheets: Sheets
    holes: tuple[str, ...]


class _Written(NamedTuple):
    """The content of the list of files."""

    files: tuple[str, ...]


class _Parts(NamedTuple):
    """What the page and the Markdown file show, besides the summary."""

    sheets: Sheets
    whole: Grid
    samples: tuple[list[Grid], str]
    drawn: list[ShownPicture]
    lead: ShownPicture | None
    origins: list[Origin]


def write_report(
    study: Study,
    folder: Path,
    *,
    pictures: Callable[[Study], Sequence[Picture]],
    baseline: list[str] | None = None,
    spread: Spread = "quantiles",
    command: str = "withstand report",
) -> Report:
    """Write a report, each file atomically, the page last; files of an earlier report are removed.

    Args:
        study: The runs.
        folder: Folder of the report.
        pictures: Gives the figures after the first one, which shows the accuracies.
        baseline: Such as `["method=regular"]`.
        spread: What tables show besides the middle.
        command: That makes it again.

    Raises:
        InputError: If the folder is a file, or no combination has the baseline's values.
        BusyError: If another process writes a report there.
    """
    _check(folder)
    command = "results.report(folder), from Python" if study.folder is None else command
    # Everything that can be wrong is found before anything is written.
    digest = Digest.of(study, baseline=baseline)
    scores = Scores.gather(digest)
    samples = samples_sheets(digest)
    lead = bars_picture(scores)
    chosen = [*([lead] if lead else []), *pictures(digest.study)]
    sheets = Sheets.of(digest, spread=spread, pairs=SamplePairs(digest=digest, scores=scores))
    origins = [Origin.of(digest.study, each) for each in digest.combinations]
    further = (*different_data(digest), *chance_notes(scores), *study.damaged)
    sheets = replace(sheets, main=replace(sheets.main, notes=(*sheets.main.notes, *further)))
    is_whole = len(sheets.every.lines) == len(digest.summary)
    whole = sheets.every if is_whole else all_sheet(digest, most=len(digest.summary))
    with _alone(folder):
        drawn = _drawn(chosen, folder / "figures")
        parts = _Parts(sheets, whole, samples, drawn, drawn[0] if lead else None, origins)
        files = _tables(digest, [*sheets.in_order, whole, *samples[0]])
        for each in digest.combinations:
            files[f"cards/{each.key}.md"] = model_card(digest, each, origins[each.index]).encode()
        _write(folder, files | _texts(scores, parts, folder, command), drawn)
    return Report(page=folder / PAGE, sheets=sheets, holes=(*digest.holes, *study.damaged))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a report's folder, and remove temporary files of killed processes; the lock leaves no file."""
    with hold(folder, leaves_lock=False):
        for name in FOLDERS:
            clear(folder / name)
        yield


def _write(folder: Path, files: dict[str, bytes], drawn: Sequence[ShownPicture]) -> None:
    """Write the files of a report, the page last; files of an earlier report are removed."""
    for name, content in files.items():
        if name != PAGE:
            write_whole(folder / name, content)
    _forget(folder, {*files, *(address for each in drawn for address in each.files.values())})
    write_whole(folder / PAGE, files[PAGE])


def _check(folder: Path) -> None:
    """Refuse a file in place of the folder, and links in place of its subfolders."""
    check_output("report: output", folder)
    for each in FOLDERS:
        check_no_link(folder / each)


def _texts(scores: Scores, parts: _Parts, folder: Path, command: str) -> dict[str, bytes]:
    """Return the page and the same as Markdown."""
    digest = scores.digest
    mistakes, about = shown_mistakes(scores.evidence, digest.combinations)
    summary = Summary(
        headline=headline(scores),
        lead=parts.lead,
        tally=tally(digest),
        findings=findings(digest, scores),
        warnings=[*warnings(digest), *digest.study.damaged],
        doubts=doubts(digest),
    )
    sections = _sections(
        parts,
        Section(key="mistakes", title="Mistakes", text=about, mistakes=mistakes),
        shown_examples(scores.evidence),
    )
    text = page(
        digest,
        summary=summary,
        sections=sections,
        origins=parts.origins,
        files=FILES,
        output=folder,
        command=command,
        version=version("withstand"),
    )
    plain = report_markdown(
        digest,
        [*parts.sheets.in_order, *parts.samples[0]],
        parts.whole,
        parts.drawn,
        parts.origins,
        mistakes=mistakes,
        summary=summary,
        command=command,
    )
    return {"report.md": plain.encode(), PAGE: text.encode()}


def _tables(digest: Digest, every: Sequence[Grid]) -> dict[str, bytes]:
    """Return the tables and numbers as files."""
    files = {
        "rows.csv": csv(digest.study.frame),
        "rows.parquet": _parquet(digest),
        "summary.csv": csv(digest.summary.drop("combination")),
    }
    for sheet in every:
        files[f"tables/{sheet.name}.md"] = markdown(sheet).encode()
        files[f"tables/{sheet.name}.tex"] = latex(sheet).encode()
    return files


def _sections(parts: _Parts, mistakes: Section, examples: ShownExamples | None) -> list[Section]:
    """Return the parts of the page between the summary and the runs; a further kind of results is one more part."""
    sheets, figures = parts.sheets, tuple(each for each in parts.drawn if each is not parts.lead)
    found = [Section(key="results", title="Results", sheets=(sheets.main,))]
    if sheets.differences:
        found.append(Section(key="differences", title=sheets.differences.title, sheets=(sheets.differences,)))
    if sheets.topics:
        title = sheets.topics[0].title if len(sheets.topics) == 1 else "By topic"
        found.append(Section(key="topics", title=title, sheets=sheets.topics))
    if figures:
        found.append(Section(key="figures", title="Figures", figures=figures))
    if examples:
        found.append(Section(key="examples", title="Examples", text=examples.about, examples=examples))
    found += [mistakes] if mistakes.mistakes else []
    tables, about = parts.samples
    found += [Section(key="samples", title="Samples", text=about, folded=tuple(tables))] if tables else []
    return [*found, Section(key="numbers", title="All numbers", folded=(sheets.every,))]


def _drawn(pictures: Sequence[Picture], folder: Path) -> list[ShownPicture]:
    """Draw the figures; each has its own prefix for the names in its drawing, for there are several in a page."""
    found = []
    with figure_style():
        for place, picture in enumerate(pictures):
            stop_if_asked()
            element, files = draw(picture, folder, prefix=f"f{place}-")
            addresses = {kind: f"{folder.name}/{path.name}" for kind, path in files.items()}
            found.append(ShownPicture(picture=picture, element=element, files=addresses))
    return found


def _parquet(digest: Digest) -> bytes:
    buffer = io.BytesIO()
    digest.study.frame.write_parquet(buffer)
    return buffer.getvalue()


def _forget(folder: Path, files: set[str]) -> None:
    """Remove files of an earlier report that this one did not write, and keep a list of what this one wrote.

    The list may come from elsewhere: what is no file in this folder or one of its own is kept, and so is what only a
    damaged list knew.
    """
    path = folder / LIST
    before = spared(lambda: read_record(path, _Written).files, (), {}) if path.exists() else ()
    for name in before:
        parts = PurePosixPath(name).parts
        is_own = len(parts) == 1 or (len(parts) == 2 and parts[0] in FOLDERS)
        if name not in files and is_own and ".." not in parts and not (folder / name).is_dir():
            (folder / name).unlink(missing_ok=True)
    write_whole(folder / LIST, (json.dumps({"files": sorted(files)}, indent=1) + "\n").encode())
