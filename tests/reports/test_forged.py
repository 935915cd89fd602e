"""Forged runs with malicious texts and names: nothing is run, removed or rewritten."""

import json
import re
from html.parser import HTMLParser

import polars
import pytest

from withstand.cli import main
from withstand.errors import InputError
from withstand.reports.figures.pictures import pictures
from withstand.reports.report_folder import LIST, write_report
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, write_rows
from withstand.study.study import Study
from withstand.study.sweep import Entry, write_entries, write_failure

ANSI, BIDI = "\x1b[2J\x07", "\u202e\u2066"
HIDDEN = {"\x1b", "\x07", "\u202e", "\u2066"}
EVIL = (
    f"=<script>alert(1)</script> [x](javascript:alert(1)) ![y](javascript:b) `c` ``` | a\n\n# b\r{ANSI}{BIDI} "
    r"\input{/etc/passwd} $x^$ {{7*7}} &lt; \" ' --> ]]> %"
)
TEXT = {name: f"{name} {EVIL}" for name in ("method", "condition", "note", "problem", "identity", "version", "command")}
FENCE = "`" * 3


@pytest.fixture
def forged(tmp_path):
    """A sweep in which every text is malicious."""
    folder = tmp_path / "runs"
    words = EVIL + " words"
    measure = Measure(
        name=EVIL + " name", column="c", words=words, topic=EVIL, unit=EVIL, budget=EVIL, better="higher", percent=False
    )
    top1 = Measure(name="top1", column="correct", words=words, topic=ACCURACY, better="higher", percent=True)
    known = {each.name: each for each in (measure, top1)}
    runs = [(TEXT["method"], 0), (TEXT["method"], 1), ("=plain", 0), ("=plain", 1)]
    entries = [
        Entry(labels={EVIL + " axis": method}, seed=seed, run=f"run{k}") for k, (method, seed) in enumerate(runs)
    ]
    write_entries(folder, entries, command=["withstand", "sweep", EVIL, FENCE])
    for k, each in enumerate(entries[:3]):
        place = folder / each.run
        rows = [
            Row(measure=name, condition=condition, value=0.5 + k / 10, count=9, budget=EVIL, doubt=EVIL * (k == 1))
            for name in known
            for condition in ("clean", TEXT["condition"])
        ]
        write_rows(place / "rows.jsonl", rows, known)
        about = {"identity": EVIL, "python": EVIL, "platform": EVIL, "versions": {EVIL: EVIL}, "started": EVIL}
        about |= {"command": ["withstand", EVIL, FENCE], "commands": [["withstand", EVIL]], "classes": [EVIL]}
        (place / "provenance.json").write_text(json.dumps(about))
        (place / "notes.json").write_text(json.dumps([TEXT["note"]]))
        (place / "history.json").write_text(json.dumps([{"epoch": 1, "loss": 1.0}]))
        settings = {"class_path": EVIL, "init_args": {EVIL: {"class_path": EVIL, "init_args": {EVIL: [EVIL]}}}}
        config = {"data": settings, "model": settings, "objective": settings, "weights": EVIL, "name": EVIL, "seed": k}
        (place / "config.yaml").write_text("".join(f"{name}: {json.dumps(each)}\n" for name, each in config.items()))
    write_failure(folder / "run3", TEXT["problem"], EVIL)
    return folder


class Tags(HTMLParser):
    """Collects tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def outside_code(text: str) -> str:
    """Return Markdown without its blocks of code."""
    kept, fence = [], ""
    for line in text.splitlines():
        mark = re.match("(`{3,})$", line)
        if mark and not fence:
            fence = mark.group()
        elif fence:
            fence = "" if line == fence else fence
        else:
            kept.append(line)
    assert not fence
    return "\n".join(kept)


def test_no_text_of_a_forged_run_is_markup_anywhere(forged, capsys):
    assert main(["report", str(forged)]) == 0
    out, err = capsys.readouterr()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e\u2066]", out + err.replace(str(forged), ""))
    report = forged / "report"
    page = (report / "index.html").read_text()
    assert not HIDDEN.intersection(page)
    tags = Tags(page).found
    assert sum(tag == "script" for tag, _ in tags) <= 5
    assert "<script>alert" not in page
    links = [each.get("href") or each.get("src") or "" for _, each in tags if {"href", "src"} & each.keys()]
    assert links
    assert not [each for each in links if re.match(r"\s*\w+script:", each, re.IGNORECASE)]
    assert not [name for _, each in tags for name in each if name.startswith("on")]
    texts = [*report.glob("*.md"), *report.glob("*/*.md")]
    assert len(texts) >= 5
    for path in texts:
        text = outside_code(path.read_text())
        assert not (HIDDEN | {"\r"}).intersection(text), path
        assert not re.search(r"(?<!\\)(?:\\\\)*\]\(javascript", text), path
        assert not re.search(r"<script", text), path
        assert not re.search(r"(?<!\\)`", text), path
        assert "\n# b" not in text, path
    for path in report.glob("tables/*.tex"):
        text = path.read_text()
        assert r"\input{" not in text, path
        assert not HIDDEN.intersection(text), path


def test_no_cell_of_a_csv_is_a_formula(forged):
    assert main(["report", str(forged), "--quiet"]) == 0
    for name in ("rows.csv", "summary.csv"):
        frame = polars.read_csv(forged / "report" / name, infer_schema=False)
        cells = [*frame.columns, *(each for line in frame.iter_rows() for each in line if each is not None)]
        assert any(each.startswith("'=") for each in cells)
        assert not [each for each in cells if re.match(r"[=+@\t\r]|-(?![\d.])", each)]
    kept = polars.read_parquet(forged / "report" / "rows.parquet")
    assert kept.columns[0].startswith("=")
    assert set(kept[kept.columns[0]]) == {TEXT["method"], "=plain"}


def test_figures_take_any_name(forged, tmp_path):
    write_report(Study.of(forged), tmp_path / "out", pictures=pictures)
    found = list((tmp_path / "out" / "figures").iterdir())
    assert found
    for path in found:
        assert re.fullmatch(r"[a-z0-9-]+\.(png|svg)", path.name)


@pytest.fixture
def plain(tmp_path):
    """A run, and beside it a folder that the program did not write."""
    known = {"top1": Measure(name="top1", column="correct", topic=ACCURACY, percent=True)}
    write_rows(tmp_path / "run" / "rows.jsonl", [Row(measure="top1", condition="clean", value=0.5, count=9)], known)
    (tmp_path / "run" / "config.yaml").write_text("name: run\nseed: 0\n")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "old.md").write_text("theirs")
    return tmp_path


@pytest.mark.parametrize(
    "name", ["link/old.md", "../theirs/old.md", "figures/../../theirs/old.md", "{root}/theirs/old.md", "cards", ".", ""]
)
def test_a_list_of_files_removes_nothing_elsewhere(plain, name):
    report = plain / "run" / "report"
    (report / "cards").mkdir(parents=True)
    (report / "link").symlink_to(plain / "theirs")
    (report / "cards" / "old.md").write_text("own")
    files = [name.format(root=plain), "cards/old.md"]
    (report / LIST).write_text(json.dumps({"files": files}))
    write_report(Study.of(plain / "run"), report, pictures=lambda study: [])
    assert (plain / "theirs" / "old.md").read_text() == "theirs"
    assert not (report / "cards" / "old.md").exists()


@pytest.mark.parametrize("name", ["tables", "figures", "cards"])
def test_a_report_writes_and_removes_nothing_through_a_link(plain, name):
    report = plain / "run" / "report"
    report.mkdir()
    (report / name).symlink_to(plain / "theirs")
    (report / LIST).write_text(json.dumps({"files": [f"{name}/old.md"]}))
    with pytest.raises(InputError, match=str(report / name)):
        write_report(Study.of(plain / "run"), report, pictures=lambda study: [])
    assert [each.name for each in (plain / "theirs").iterdir()] == ["old.md"]


def test_a_report_is_written_through_a_link_only_where_that_is_named(plain, capsys):
    (plain / "run" / "report").symlink_to(plain / "theirs")
    assert main(["report", str(plain / "run"), "--quiet"]) == 2
    assert str(plain / "run" / "report") in capsys.readouterr().err
    assert [each.name for each in (plain / "theirs").iterdir()] == ["old.md"]
    assert main(["report", str(plain / "run"), "--quiet", "--output", str(plain / "run" / "report")]) == 0
    assert (plain / "theirs" / "index.html").exists()


@pytest.mark.parametrize("run", ["../theirs", "/theirs", "a/../../theirs"])
def test_a_plan_reads_no_run_outside_its_folder(plain, run):
    entry = {"labels": {}, "seed": 0, "run": run}
    (plain / "sweep.json").write_text(json.dumps({"entries": [entry]}))
    with pytest.raises(InputError, match=re.escape(str(plain / "sweep.json"))):
        Study.of(plain)


def test_outcomes_are_neither_kept_nor_removed_through_a_link(plain):
    from withstand.measuring.kept import Kept

    outcomes = plain / "run" / "outcomes"
    outcomes.symlink_to(plain / "theirs")
    with pytest.raises(InputError, match=str(outcomes)):
        Kept(outcomes, data="Digits", seed=0, classes=("a", "b"), shape=(1,))


def test_only_outcomes_of_our_own_are_removed(plain, made_up_outcomes):
    from withstand.measuring.kept import Kept

    folder = plain / "outcomes"
    folder.mkdir()
    for name in ("theirs.parquet", "clean-0123456789abcdef.parquet"):
        (folder / name).write_bytes(b"")
    table = made_up_outcomes({"clean": {"correct": [True, False]}}, ())
    kept = Kept(folder, data="Digits", seed=0, classes=("a", "b"), shape=(1,))
    kept.add(table.conditions, table.samples.drop("source"), source="")
    assert (folder / "theirs.parquet").exists()
    assert not (folder / "clean-0123456789abcdef.parquet").exists()


def test_temporary_files_are_removed_in_the_folder_itself_only(plain):
    from withstand.training.checkpoint import clear

    (plain / "theirs" / "last.checkpoint.tmp").write_bytes(b"")
    (plain / "checkpoints").symlink_to(plain / "theirs")
    with pytest.raises(InputError, match="checkpoints"):
        clear(plain / "checkpoints")
    (plain / "theirs" / "notes.tmp").write_bytes(b"")
    clear(plain / "theirs")
    assert sorted(each.name for each in (plain / "theirs").iterdir()) == ["notes.tmp", "old.md"]
