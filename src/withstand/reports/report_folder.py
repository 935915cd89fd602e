"""A report's folder: one page, and beside it the same as Markdown, tables, figures and model cards."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from withstand.errors import InputError
from withstand.files import write_whole
from withstand.rendering.grid import Grid
from withstand.rendering.latex import latex
from withstand.rendering.markdown import markdown
from withstand.reports.all_sheet import all_sheet
from withstand.reports.figures.drawing import Drawing, Drawn
from withstand.reports.figures.picture import Picture
from withstand.reports.findings import findings, tally, warnings
from withstand.reports.model_card import model_card
from withstand.reports.page.html import Section, ShownPicture, page
from withstand.reports.page.mistakes import shown_mistakes
from withstand.reports.page.samples import samples_sheets
from withstand.reports.report_markdown import report_markdown
from withstand.reports.sheets import Spread, sheets
from withstand.study.digest import Digest
from withstand.study.origin import Origin
from withstand.study.study import Study

PAGE, LIST = "index.html", "files.json"
FILES = (
    ("report.md", "this report for a repository"),
    ("rows.csv", "every row of every run"),
    ("rows.parquet", "the same with types"),
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
        sheets: Its tables, the main one first.
        holes: Sentences about what is missing.
    """

    page: Path
    sheets: tuple[Grid, ...]
    holes: tuple[str, ...]


def write_report(
    study: Study,
    folder: Path,
    *,
    pictures: Callable[[Study], Sequence[Picture]],
    baseline: list[str] | None = None,
    spread: Spread = "quantiles",
    command: str = "withstand report",
    processes: int = 1,
) -> Report:
    """Write a report, each file atomically, the page last; files of an earlier report are removed.

    Args:
        study: The runs.
        folder: Of the report.
        pictures: Gives the figures.
        baseline: Such as `["method=regular"]`.
        spread: What tables show besides the middle.
        command: That makes it again.
        processes: At most so many draw, one or two. A script that says two must guard its main part, as for any
            other use of multiprocessing.

    Raises:
        InputError: If the folder is a file, or no combination has the baseline's values.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"report: output: expected a folder, found a file at {folder}.")
    command = "results.report(folder), from Python" if study.folder is None else command
    # Everything that can be wrong is found before anything is written.
    digest = Digest.of(study, baseline=baseline)
    mistakes, about = shown_mistakes(study, digest.combinations)
    samples, about_samples = samples_sheets(digest)
    chosen = pictures(study)
    with Drawing(chosen, folder / "figures", processes=processes) as drawing:
        origins = [Origin.of(study, each) for each in digest.combinations]
        found = sheets(digest, spread=spread)
        known = {"tally": tally(digest), "findings": findings(digest), "warnings": warnings(digest)}
        files: dict[str, bytes] = {
            f"cards/{each.key}.md": model_card(digest, each, origins[each.index]).encode()
            for each in digest.combinations
        }
        every = (
            found[-1] if len(found[-1].lines) == len(digest.summary) else all_sheet(digest, most=len(digest.summary))
        )
        for sheet in (*found[:-1], every, *samples):
            files[f"tables/{sheet.name}.md"] = markdown(sheet).encode()
            files[f"tables/{sheet.name}.tex"] = latex(sheet).encode()
        files |= {"rows.csv": study.frame.write_csv().encode(), "summary.csv": _summary(digest)}
        drawn = _shown(chosen, drawing.finish())
    shown = [*found[:-1], *samples]
    text = report_markdown(digest, shown, every, drawn, origins, mistakes=mistakes, command=command, **known)
    files["report.md"] = text.encode()
    text = page(
        digest,
        sections=_sections(
            found,
            drawn,
            Section(key="mistakes", title="Mistakes", text=about, mistakes=mistakes),
            Section(key="samples", title="Samples", text=about_samples, folded=tuple(samples)),
        ),
        origins=origins,
        files=FILES,
        output=folder,
        command=command,
        version=version("withstand"),
        **known,
    )
    for name, content in files.items():
        write_whole(folder / name, content)
    _write_parquet(study, folder / "rows.parquet")
    pictured = [address for each in drawn for address in each.files.values()]
    _forget(folder, {*files, *pictured, "rows.parquet", PAGE})
    write_whole(folder / PAGE, text.encode())
    return Report(page=folder / PAGE, sheets=tuple(found), holes=tuple(digest.holes))


def _sections(found: list[Grid], drawn: list[ShownPicture], mistakes: Section, samples: Section) -> list[Section]:
    """Return the parts of the page between the summary and the runs; a further kind of results is one more part."""
    main, *topics, every = (each for each in found if each.name != "differences")
    parts = [Section(key="results", title="Results", sheets=(main,))]
    if topics:
        title = topics[0].title if len(topics) == 1 else "By topic"
        parts.append(Section(key="topics", title=title, sheets=tuple(topics)))
    parts += [mistakes] if mistakes.mistakes else []
    parts += [samples] if samples.folded else []
    for sheet in (each for each in found if each.name == "differences"):
        parts.append(Section(key="differences", title=sheet.title, sheets=(sheet,)))
    if drawn:
        parts.append(Section(key="figures", title="Figures", figures=tuple(drawn)))
    return [*parts, Section(key="numbers", title="All numbers", folded=(every,))]


def _shown(pictures: Sequence[Picture], drawn: Sequence[Drawn]) -> list[ShownPicture]:
    """Return the figures of the page."""
    return [
        ShownPicture(
            picture=picture, element=element, files={kind: f"figures/{path.name}" for kind, path in files.items()}
        )
        for picture, (element, files) in zip(pictures, drawn, strict=True)
    ]


def _summary(digest: Digest) -> bytes:
    return digest.summary.drop("combination").write_csv().encode()


def _write_parquet(study: Study, path: Path) -> None:
    import io

    buffer = io.BytesIO()
    study.frame.write_parquet(buffer)
    write_whole(path, buffer.getvalue())


def _forget(folder: Path, files: set[str]) -> None:
    """Remove what an earlier report wrote and this one does not, and keep a list of what this one wrote."""
    try:
        before = json.loads((folder / LIST).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        before = []
    for name in before:
        path = PurePosixPath(str(name))
        if str(name) not in files and not path.is_absolute() and ".." not in path.parts:
            (folder / path).unlink(missing_ok=True)
    write_whole(folder / LIST, (json.dumps({"files": sorted(files)}, indent=1) + "\n").encode())
