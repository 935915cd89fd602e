"""`withstand report`: an HTML page, tables and figures of all runs in a folder."""

import shlex
import webbrowser
from pathlib import Path
from typing import Literal

from withstand.console import Console
from withstand.options import make_parser
from withstand.parser import parse
from withstand.rendering.terminal import shown
from withstand.reports.figures.pictures import pictures
from withstand.reports.report_folder import Report, write_report
from withstand.study.study import Study

DESCRIPTION = (
    "Write a report of finished runs or a sweep: a self-contained HTML page, Markdown, CSV, Parquet, LaTeX tables, "
    "figures and a model card per combination. Missing runs are listed."
)


def main(words: list[str]) -> None:
    """Report."""
    parser = make_parser("report", DESCRIPTION, positional="RUNS")
    parser.add_argument("runs", type=str, help="folder of a sweep, of runs, or of a run")
    parser.add_argument("--output", type=str | None, default=None, help="folder of the report; RUNS/report by default")
    parser.add_argument(
        "--baseline",
        type=str,
        nargs="+",
        default=None,
        help="values that others are compared with, such as method=regular; by default a value called regular, "
        "plain, standard or baseline, else the first value of the first axis",
    )
    parser.add_argument(
        "--spread",
        type=Literal["quantiles", "interval"],
        default="quantiles",
        help="quantiles: median over the seeds and the range from the 10 to the 90 percent quantile; interval: "
        "mean and its 95 percent interval",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--quiet", action="store_true", help="print the main table only")
    parser.add_argument(
        "--format", type=Literal["table", "json"], default="table", help="print the main table, or JSON"
    )
    found = parse(parser, words)
    console = Console(quiet=found.quiet)
    report = write_report(
        Study.of(found.runs),
        Path(found.output) if found.output is not None else Path(found.runs) / "report",
        pictures=pictures,
        baseline=found.baseline,
        spread=found.spread,
        command=shlex.join(["withstand", "report", *words]),
    )
    tell(report, console, as_json=found.format == "json")
    if found.open:
        webbrowser.open(report.page.resolve().as_uri())


def tell(report: Report, console: Console, *, as_json: bool) -> None:
    """Print the main table and where the page is."""
    if as_json:
        table = report.sheets[0].texts
        lines = [dict(zip(table.columns, line, strict=True)) for line in table.lines if line]
        console.print_json({"page": str(report.page), "missing": list(report.holes), "table": lines})
        return
    console.print(shown(report.sheets[:1]))
    console.say(f"Report: {report.page}")
