"""Tables fit the terminal, and lose neither numbers nor names."""

import re

import pytest

from withstand.rendering.cell import Cell
from withstand.rendering.grid import Grid
from withstand.rendering.terminal import LEAST, as_text, render
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row
from withstand.study.tables.all import tables

LINES = (("clean", "97.0", "1.5"), None, ("[bold]noise[/bold] :smile:", "-", "100.0"))
TABLE = Grid(title="Accuracy", columns=("condition", "a", "b"), lines=LINES, notes=("One note.",))


def test_every_text_of_the_table_is_shown_as_it_is():
    text = render(TABLE)
    for line in LINES:
        for cell in line or ():
            assert cell in text
    assert text.splitlines()[0].strip() == "Accuracy"
    assert text.splitlines()[-1] == "One note."
    assert text.endswith("One note.\n")


def test_it_is_plain_ascii_without_trailing_blanks():
    text = render(TABLE)
    assert text.isascii()
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_numbers_stand_below_each_other():
    lines = [line for line in render(TABLE).splitlines() if line.endswith(("1.5", "100.0", " b"))]
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1


MODELS = tuple(f"avila-noise-sgd-std0.{number}-seed0-a1b2c3d{number}" for number in range(9))
WIDE_LINES = (
    ("clean", "", *(f"9{number}.1" for number in range(9))),
    None,
    ("gaussian_noise", "3", *(f"8{number}.1" for number in range(9))),
    ("mean of corruptions", "", *["100.0 (99.0-100.0)"] * 9),
)


def wide(models, **fields):
    """A table of so many models with long names."""
    lines = tuple(line and line[: 2 + models] for line in WIDE_LINES)
    heads = ("condition", "severity", *MODELS[:models])
    return Grid(title="Accuracy", columns=heads, lines=lines, num_labels=2, notes=("One note.",), **fields)


def parts_of(text):
    """Return the lines above and below the rules of every part: of its heads, and of its body."""
    return [part.split("\n") for part in text.split("\n\n")]


def read_down(lines, start, stop):
    """Return what stands in a range of columns, read from line to line."""
    return "".join(line[start:stop].strip() for line in lines)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("models", [1, 4, 9])
def test_no_line_is_wider_and_nothing_is_lost(models, width):
    text = render(wide(models), width=width)
    assert max(map(len, text.splitlines())) <= width
    found = re.findall(r"(?<= )\d+\.\d(?: \(\S+\))?(?!\S)", text)
    assert sorted(found) == sorted(cell for line in WIDE_LINES if line for cell in line[2 : 2 + models])
    assert text.startswith("Accuracy\n")
    assert text.endswith("\nOne note.\n")
    assert text.count("One note.") == text.count("Accuracy") == 1
    heads = []
    for part in parts_of(text):
        rule = next(place for place, line in enumerate(part) if set(line) == {"-"})
        first = next(line for line in part if line.lstrip().startswith("clean"))
        ends = [found.end() for found in re.finditer(r"\d\d\.1", first)]
        start = len(part[rule + 1]) - len(part[rule + 1].lstrip()) + len("clean")
        above = [line for line in part[:rule] if line != "Accuracy"]
        for end in ends:
            heads.append(read_down(above, max(start, end - 18), end))
    assert len(heads) == models
    assert all(name.endswith(head[-8:]) for name, head in zip(MODELS, heads, strict=False))


def test_four_models_stand_side_by_side_in_eighty_columns():
    lines = tuple(line and tuple(cell.split(" (")[0] for cell in line) for line in wide(4).lines)
    text = render(Grid(title="", columns=wide(4).columns, lines=lines, num_labels=2), width=80)
    assert "\n\n" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_labels_are_repeated_in_every_part():
    for part in parts_of(render(wide(9), width=60)):
        assert "\n".join(part).count("gaussian_noise") == 1


def test_what_fits_is_not_wrapped():
    table = wide(1)
    assert len(render(table, width=table.width).splitlines()) == 1 + 1 + 1 + 4 + 1
    assert len(render(table, width=table.width - 1).splitlines()) > 8


def test_labels_without_room_make_a_wider_table_rather_than_lose_something():
    table = Grid(title="", columns=tuple("abcdefgh"), lines=(("x" * 60,) * 7 + ("1",),), num_labels=7)
    assert render(table, width=60).count("x") == 7 * 60


def test_numbers_among_labels_are_not_broken():
    heads = ("perturbation", "weight_decay", "lr", "runs")
    table = Grid(title="", columns=heads, lines=(("Gaussian", "0.0001", "0.01", "1"),), num_labels=3)
    text = render(table, width=34)
    assert max(map(len, text.splitlines())) <= 34
    assert re.search(r"0\.0001 +0\.01 +1", text)


def test_names_are_broken_at_hyphens_where_possible():
    table = Grid(title="", columns=("a", "avila-noise-0a1b2c3d"), lines=(("x", "12345678"),))
    assert [line.split()[-1] for line in render(table, width=14).splitlines()[:3]] == ["avila-", "noise-", "0a1b2c3d"]


def test_a_cell_is_printed_with_its_interval_and_a_head_with_its_second_line():
    cell = Cell(text="+1.0", low="+0.5", high="+1.5", tone="better", flag="2/3", aside="two of three", value=1.0)
    heads = (Cell(text="name"), "axis", Cell(text="accuracy", aside="clean"))
    table = Grid(title="", columns=heads, lines=(("x", "y", cell),), num_labels=2, num_axes=1, caption="What it is.")
    head, _, line, caption = render(table).splitlines()
    assert head.split(maxsplit=1) == ["name", "accuracy, clean"]
    assert line.split(maxsplit=1) == ["x", "+1.0* (+0.5 to +1.5) [2/3]"]
    assert caption == "What it is."


def test_the_width_is_that_of_the_terminal_and_eighty_without_one(monkeypatch):
    table = wide(9)
    for columns, width in (("123", 123), ("10", LEAST)):
        monkeypatch.setenv("COLUMNS", columns)
        assert as_text([table, table]) == "\n".join([render(table, width=width)] * 2)
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr("shutil.os.get_terminal_size", lambda _: (_ for _ in ()).throw(OSError()))
    assert as_text([table]) == render(table, width=80)


def test_the_numbers_in_the_text_are_those_of_the_rows():
    top1 = Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, percent=True)
    rows = [
        Row(measure="top1", condition=f"fog/{severity}", value=0.913 - 0.101 * severity, count=1000)
        for severity in range(1, 6)
    ]
    (table,) = tables({"m": rows}, {"top1": top1})
    line = next(line for line in render(table).splitlines() if line.strip().startswith("fog"))
    assert line.split()[:6] == ["fog", *(f"{100 * row.value:.1f}" for row in rows)]
