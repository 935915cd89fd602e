from withstand.rendering.grid import Grid
from withstand.rendering.terminal import render
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


def test_nothing_is_wider_than_the_terminal():
    heads = tuple(f"a-model-with-a-long-name-{number}" for number in range(6))
    wide = Grid(title="t", columns=("condition", *heads), lines=(("clean", *["50.0"] * 6),))
    for width in (60, 80, 200):
        assert max(map(len, render(wide, width=width).splitlines())) <= width
        assert render(wide, width=width).count("50.0") == 6


def test_the_numbers_in_the_text_are_those_of_the_rows():
    top1 = Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, percent=True)
    rows = [
        Row(measure="top1", condition=f"fog/{severity}", value=0.913 - 0.101 * severity, count=1000)
        for severity in range(1, 6)
    ]
    (table,) = tables({"m": rows}, {"top1": top1})
    line = next(line for line in render(table).splitlines() if line.strip().startswith("fog"))
    assert line.split()[:6] == ["fog", *(f"{100 * row.value:.1f}" for row in rows)]
