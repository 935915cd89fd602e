"""The page of a report and what lies beside it: the numbers are those of the rows, and nothing is missing unseen."""

import csv
import html
import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import polars
import pytest

from withstand.cli import main
from withstand.conditions import IMAGENET_C
from withstand.errors import InputError
from withstand.rendering.terminal import render
from withstand.reports.figures.tools.picture import Picture
from withstand.reports.page.figure import inline
from withstand.reports.report_folder import write_report
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, write_rows
from withstand.study.measures.suites import suite_rows
from withstand.study.study import Study
from withstand.study.sweep import Entry, write_entries, write_failure

KNOWN = {
    "top1": Measure(
        name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True
    )
}

NASTY = 'a<b>&"c|d_e'
CONFIG = "data:\n  class_path: withstand.data.images.digits.Digits\n  init_args: {}\nseed: 0\nname: x\n"
PLACES = {"regular": 0.0, "smoothed": 0.05, NASTY: 0.02}


def stub(study):
    """One picture with a mark that has a value, and a mark of the same name in another picture."""
    from matplotlib.figure import Figure

    def draw():
        figure = Figure(figsize=(3, 2))
        axes = figure.add_axes((0.2, 0.2, 0.7, 0.7))
        for place in range(3):
            (mark,) = axes.plot([place], [place], "o")
            mark.set_gid(f"mark-{place}")
        return figure

    values = {f"mark-{place}": f"value <{place}>" for place in range(3)}
    return [
        Picture(name=name, title=f"Figure {name}", caption="Three marks.", alt="Three & more", draw=draw, values=values)
        for name in ("one", "two")
    ]


def value(method, seed, name):
    return 0.9 + PLACES[method] * (1 if name == "clean" else -0.5) + 0.004 * seed - 0.05 * (name != "clean")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three methods, four seeds: one failed, one was never begun, one run lacks a measure."""
    folder = tmp_path_factory.mktemp("study") / "sweep <1>"
    entries = []
    for method in PLACES:
        for seed in range(4):
            run = f"run{list(PLACES).index(method)}-{seed}"
            entries.append(Entry(labels={"method": method}, seed=seed, run=run))
            if method == "smoothed" and seed in (1, 3):
                continue
            names = ["clean", *(f"{each}/{severity}" for each in IMAGENET_C for severity in range(1, 6))]
            names = names[:-1] if (method, seed) == (NASTY, 2) else names
            rows = [Row(measure="top1", condition=name, value=value(method, seed, name), count=1000) for name in names]
            further = suite_rows(rows, KNOWN)
            write_rows(folder / run / "rows.jsonl", [*rows, *further.rows], KNOWN | further.measures)
            (folder / run / "config.yaml").write_text(CONFIG.replace("seed: 0", f"seed: {seed}"))
            known = {
                "command": ["/x/bin/withstand", "sweep", "s.yaml"],
                "started": "2026-01-02T00:00:00",
                "identity": "12",
            }
            (folder / run / "provenance.json").write_text(json.dumps(known))
    write_failure(folder / "run1-3", "The loss is not <finite>.", "trace")
    write_entries(folder, entries, command=["/x/bin/withstand", "sweep", "s.yaml", "--name", "a b"])
    return folder


@pytest.fixture(scope="module")
def report(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "report"
    write_report(Study.of(runs), folder, pictures=stub)
    return folder


@pytest.fixture(scope="module")
def page(report):
    return (report / "index.html").read_text()


def cells(page, sheet):
    """Return the lines of a table of the page, each as its cells' texts."""
    table = re.search(rf'id="table-{sheet}".*?</table>', page, re.DOTALL).group()
    body = table.split("<tbody>")[1]
    lines = re.findall(r"<tr.*?</tr>", body, re.DOTALL)
    return [
        [
            html.unescape(re.sub(r"<[^>]+>", " ", cell)).split()
            for cell in re.findall(r"<t[hd].*?</t[hd]>", line, re.DOTALL)
        ]
        for line in lines
    ]


def test_everything_is_there_and_small(report, page):
    names = {str(path.relative_to(report)) for path in report.rglob("*") if path.is_file()}
    assert {"index.html", "report.md", "rows.csv", "rows.parquet", "summary.csv"} <= names
    assert {f"figures/{name}.{kind}" for name in ("one", "two") for kind in ("png", "svg")} <= names
    tables = ("main", "differences", "accuracy", "all")
    assert {f"tables/{name}.{kind}" for name in tables for kind in ("md", "tex")} <= names
    assert sum(name.startswith("cards/") for name in names) == 3
    assert len(page) < 1_000_000
    assert not [name for name in names if name.endswith(".tmp")]


def test_the_numbers_of_the_page_are_those_of_the_rows(runs, page):
    frame = Study.of(runs).frame.filter(polars.col("condition") == "clean")
    for line, (method, own) in zip(cells(page, "main"), frame.group_by("method", maintain_order=True), strict=True):
        values = 100 * own["value"]
        low, middle, high = (values.quantile(each, interpolation="linear") for each in (0.1, 0.5, 0.9))
        assert " ".join(line[0]).startswith(method[0])
        assert line[2][:2] == [f"{middle:.1f}", f"{low:.1f}\N{EN DASH}{high:.1f}"]
    mean = next(line[3][0] for line in cells(page, "main"))
    expected = polars.Series([value("regular", seed, "fog/1") for seed in range(4)]).median()
    assert mean == f"{100 * expected:.1f}"
    heads = re.findall(
        r"<button[^>]*><span>([^<]*)</span>", re.search(r'id="table-accuracy".*?</thead>', page, re.DOTALL).group()
    )
    place = heads.index("Mean corruption error")
    assert cells(page, "accuracy")[0][place][0] == f"{100 - 100 * expected:.1f}"


def test_heads_say_which_direction_is_better_where_columns_differ(page):
    def heads(sheet):
        part = re.search(rf'id="table-{sheet}".*?</thead>', page, re.DOTALL).group()
        return re.findall(r"<span>([^<]*)</span>(?:<small>([^<]*)</small>)?</button>", part)[2:]

    own = heads("accuracy")
    assert len(own) > 15
    for words, more in own:
        is_error = "error" in f"{words} {more}".lower()
        assert more.endswith("lower is better" if is_error else "higher is better")
    assert not any("is better" in more for _, more in heads("main"))
    assert "<li>Higher is better.</li>" in page


def test_differences_are_paired_and_judged_by_their_interval(page):
    smoothed, nasty = cells(page, "differences")
    # Two seeds with the same difference: the interval has no width, which says nothing.
    assert smoothed[2][0] == "+5.0"
    assert smoothed[3][0] == "\N{MINUS SIGN}2.5"
    assert not {"better", "worse"} & {*smoothed[2], *smoothed[3]}
    assert (nasty[2][0], nasty[2][-1]) == ("+2.0", "better")
    assert nasty[3][-1] == "worse"


def test_missing_seeds_are_named_everywhere(report, page):
    sentence = "smoothed: 2/4 runs, missing seeds 1, 3"
    assert page.count(sentence) >= 4
    assert "missing seeds 1, 3" in " ".join(cells(page, "main")[1][1])
    assert "The loss is not &lt;finite&gt;." in page
    markdown = (report / "report.md").read_text()
    assert sentence in markdown
    for name in ("main", "differences", "accuracy", "all"):
        assert sentence in (report / f"tables/{name}.md").read_text()
        assert sentence in (report / f"tables/{name}.tex").read_text()
    card = next((report / "cards").glob("02-*")).read_text()
    assert "Seeds without a result: 1, 3." in card
    # A run that is there but lacks a cell has no mean over the corruptions.
    assert cells(page, "main")[2][3][-1] == "3/4"
    assert "top-1 accuracy, corruptions is not there for seed 2" in page


def test_names_are_escaped_in_every_form(report, page):
    assert "<b>" not in page
    assert html.escape(NASTY, quote=False).replace('"', "&#34;") in page
    assert "value &lt;1&gt;" in page
    card = next((report / "cards").glob("03-*")).read_text()
    assert r"a&lt;b\>&" in card
    main = (report / "tables/main.tex").read_text()
    assert r'a\textless{}b\textgreater{}\&"c\textbar{}d\_e' in main
    assert main.count(r"\toprule") == main.count(r"\bottomrule") == 1
    values = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL).group(1)
    assert json.loads(values)["combinations"][2]["name"] == NASTY


@pytest.mark.parametrize(
    "line", ["[1]", '{"measure": "top1", "condition": "clean", "value": NaN, "count": 1, "low": null, "high": null}']
)
def test_a_damaged_file_of_rows_is_one_sentence(tmp_path, capsys, line):
    write_entries(tmp_path, [Entry(labels={}, seed=0, run="r")], command=[])
    write_rows(tmp_path / "r" / "rows.jsonl", [Row(measure="top1", condition="clean", value=1, count=1)], KNOWN)
    with (tmp_path / "r" / "rows.jsonl").open("a") as file:
        file.write(line + "\n")
    assert main(["report", str(tmp_path)]) == 2
    path = tmp_path / "r" / "rows.jsonl"
    assert f"results: line 3 of {path} is not a row;" in capsys.readouterr().err


def test_every_number_leads_to_its_rows(runs, report, page):
    known = json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL).group(1))
    with (report / "rows.csv").open() as file:
        rows = {(row["run"], row["measure"], row["condition"]): row for row in csv.DictReader(file)}
    for name, own in known["values"].items():
        measure, condition = name.split("\t")
        for index, values in own.items():
            for run, each in zip(known["combinations"][int(index)]["runs"], values, strict=True):
                if each is not None and (run, measure, condition) in rows:
                    assert each == pytest.approx(float(rows[run, measure, condition]["value"]), rel=1e-6)
    for measure, condition in re.findall(r'data-m="([^"]*)" data-q="([^"]*)"', page):
        assert f"{measure}\t{condition}" in known["values"]
    for address in re.findall(r'href="([^"#]+/run\d-\d)"', page):
        assert (
            report / html.unescape(address).replace("%3C", "<").replace("%3E", ">").replace("%20", " ")
        ).parent.is_dir()


def test_the_page_says_how_to_make_everything_again(page):
    assert "withstand sweep s.yaml --name &#39;a b&#39;" in page
    assert "--output again" in page
    assert "withstand.data.images.digits.Digits" in page


def test_the_page_needs_nothing_from_elsewhere(page):
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert not [each for each in addresses if re.match(r"(https?:)?//", each)]
    assert "url(http" not in page
    assert "@import" not in page


def test_figures_share_a_page_without_sharing_names(page):
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names))
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    # The first figure is there for wide and for narrow pages.
    assert len(drawings) == 4
    for drawing in drawings[:2]:
        assert 'aria-label="Bars of the top-1 accuracy.' in drawing
    for drawing in drawings[2:]:
        root = ElementTree.fromstring(drawing)
        known = {each.get("id") for each in root.iter()}
        used = [each.get("href")[1:] for each in root.iter() if each.get("href")]
        used += [
            name for each in root.iter() for text in each.attrib.values() for name in re.findall(r"url\(#(.*?)\)", text)
        ]
        assert set(used) <= known
        assert drawing.count("<title>value &lt;") == 3
        assert root.get("aria-label") == "Three & more"


def test_a_drawing_has_the_colours_of_both_kinds_of_page():
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"><path id="a" style="fill: {}; stroke: #000001"/></svg>'
    found = inline(svg.format("#ffffff").encode(), svg.format("#000000").encode(), prefix="p-", alt="x", values={})
    assert "fill: #ffffff; stroke: #000001; fill: light-dark(#ffffff, #000000)" in found
    assert 'id="p-a"' in found
    assert "width" not in found


def test_a_second_report_takes_the_place_of_the_first(runs, tmp_path):
    write_report(Study.of(runs), tmp_path / "r", pictures=stub)
    (tmp_path / "r" / "mine.txt").write_text("kept")
    first = (tmp_path / "r" / "index.html").read_bytes()
    report = write_report(Study.of(runs), tmp_path / "r", pictures=lambda study: [])
    assert (tmp_path / "r" / "mine.txt").exists()
    assert {each.stem for each in (tmp_path / "r" / "figures").iterdir()} == {"bars"}
    assert b"figure-one" not in report.page.read_bytes()
    write_report(Study.of(runs), tmp_path / "r", pictures=stub)
    assert (tmp_path / "r" / "index.html").read_bytes() == first


def test_terminal_tables_fit_80_columns(runs, tmp_path):
    report = write_report(Study.of(runs), tmp_path / "r", pictures=lambda study: [])
    for sheet in (*report.sheets.in_order, report.sheets.every):
        assert max(map(len, render(sheet, width=80).splitlines())) <= 80


def test_a_baseline_that_is_not_there_is_one_sentence(runs, tmp_path):
    for words, text in ((["method=x"], "method is one of regular"), (["radius=1"], "AXIS=VALUE with one of method")):
        with pytest.raises(InputError, match=text):
            write_report(Study.of(runs), tmp_path / "r", pictures=stub, baseline=words)
    assert not (tmp_path / "r").exists()


def test_reports_come_without_torch():
    code = "import sys, withstand.reports.report_folder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_texts_stand_out_from_their_background_in_light_and_dark():
    from withstand.reports.page import html as module

    style = (Path(module.__file__).parent / "templates" / "report.css").read_text()
    light, dark, forced = re.findall(r"--ink:[^}]*", style)[:3]
    assert re.findall(r"--\w+: #\w+", dark.replace("\n", " ")) == re.findall(r"--\w+: #\w+", forced)
    for part in (light, dark):
        colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part))
        for ink in ("ink", "faint", "accent", "better", "worse", "flag"):
            for paper in ("paper", "raised"):
                assert contrast(colors[ink], colors[paper]) >= 4.5, (ink, paper)
        assert contrast(colors["flag"], colors["flag-paper"]) >= 4.5
        assert contrast(colors["ink"], colors["flag-paper"]) >= 4.5


def contrast(one, other):
    """Return the ratio of luminances (WCAG 2.2)."""

    def luminance(color):
        parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
