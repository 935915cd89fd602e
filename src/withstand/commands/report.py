"""`withstand report`: HTML page, tables and figures of runs."""

import shlex
import webbrowser
from pathlib import Path
from typing import Any, Literal

from withstand.console import Console
from withstand.errors import InputError
from withstand.files import check_no_link
from withstand.options import make_parser
from withstand.parser import parse
from withstand.reading.addresses import Address
from withstand.reading.places import place_of
from withstand.rendering.terminal import as_text
from withstand.reports.figures.pictures import pictures
from withstand.reports.report_folder import Report, write_report
from withstand.study.study import Study

DESCRIPTION = (
    "Write a report on finished runs or a sweep: a self-contained HTML page, Markdown, CSV, Parquet, LaTeX tables, "
    "figures and a model card per combination. Missing runs are listed."
)


def main(words: list[str]) -> None:
    """Run `withstand report`."""
    parser = make_parser("report", DESCRIPTION, positional="RUNS")
    add = parser.add_argument
    add("runs", type=str, help="folder of a sweep, of runs, or of one run")
    add("--output", type=str | None, help="folder of the report (default: RUNS/report)")
    add(
        "--baseline",
        type=str,
        nargs="+",
        metavar="AXIS=VALUE",
        help="baseline to compare with (default: plain training)",
    )
    spreads = Literal["quantiles", "interval"]
    add(
        "--spread",
        type=spreads,
        default="quantiles",
        help="over the seeds: median and 10-90 % range, or mean and 95 % CI",
    )
    add("--open", action="store_true", help="open the page in the browser")
    add("--quiet", action="store_true", help="print only the result")
    add("--format", type=Literal["table", "json"], default="table", help="format of the main table on stdout")
    found = parse(parser, words)
    console = Console(quiet=found.quiet)
    if isinstance(place := place_of(found.runs), Address):
        if found.output is None:
            raise InputError("report: runs in an object store need --output FOLDER, on this machine.")
        from withstand.pools.mirror import pulled

        with pulled(place, _is_read) as mirror:
            console.names[str(mirror.folder)] = found.runs
            _report(str(mirror.folder), found, words, console)
        return
    _report(str(place), found, words, console)


def _is_read(name: str) -> bool:
    """Return whether a report reads a file of a run."""
    return not name.endswith(".safetensors")


def _report(runs: str, found: Any, words: list[str], console: Console) -> None:
    folder = Path(found.output) if found.output is not None else Path(runs) / "report"
    if found.output is None:  # nobody named where a link in a folder from elsewhere leads
        check_no_link(folder)
    report = write_report(
        Study.of(runs),
        folder,
        pictures=pictures,
        baseline=found.baseline,
        spread=found.spread,
        command=shlex.join(["withstand", "report", *words]),
    )
    print_report(report, console, as_json=found.format == "json")
    if found.open:
        webbrowser.open(report.page.resolve().as_uri())


def print_report(report: Report, console: Console, *, as_json: bool) -> None:
    """Print the main table and the path of the page."""
    if as_json:
        table = report.sheets.main.texts
        lines = [dict(zip(table.columns, line, strict=True)) for line in table.lines if line]
        console.print_json({"page": str(report.page), "missing": list(report.holes), "table": lines})
        return
    console.print(as_text([report.sheets.main]))
    console.say(f"Report: {report.page}")
