"""Tables fit the terminal, and lose neither numbers nor names."""

import re

import pytest

from withstand.rendering.grid import Grid
from withstand.rendering.terminal import render
from withstand.study.tables.folding import broken, fitted, room, short_names, terminal_width

MODELS = tuple(f"avila-noise-sgd-std0.{number}-seed0-a1b2c3d{number}" for number in range(9))
LINES = (
    ("clean", "", *(f"9{number}.1" for number in range(9))),
    None,
    ("gaussian_noise", "3", *(f"8{number}.1" for number in range(9))),
    ("mean of corruptions", "", *["100.0"] * 9),
)


def wide(models):
    """A table of so many models with long names."""
    lines = tuple(line and line[: 2 + models] for line in LINES)
    heads = ("condition", "severity", *MODELS[:models])
    return Grid(title="Accuracy", columns=heads, lines=lines, num_labels=2, notes=("One note.",))


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("models", [1, 4, 9])
def test_no_line_is_wider_and_no_number_is_lost(models, width):
    table = wide(models)
    parts = fitted(table, width)
    texts = [render(part, width=width) for part in parts]
    assert max(len(line) for text in texts for line in text.splitlines()) <= width
    found = re.findall(r"(?<= )\d+\.\d(?!\S)", "\n".join(texts))
    assert sorted(found) == sorted(cell for line in LINES if line for cell in line[2 : 2 + models])
    heads = [head.replace("\n", "") for part in parts for head in part.columns[2:]]
    assert tuple(heads) == MODELS[:models]
    assert [part.notes for part in parts] == [()] * (len(parts) - 1) + [("One note.",)]
    assert [part.title for part in parts] == ["Accuracy"] + [""] * (len(parts) - 1)
    for part, text in zip(parts, texts, strict=True):
        assert {room(part)} == {len(line) for line in text.splitlines() if set(line) == {"-"}}


def test_four_models_stand_side_by_side_in_eighty_columns():
    (part,) = fitted(wide(4), 80)
    assert part.columns[:2] == ("condition", "severity")
    assert part.columns[2].split("\n")[-1] == "a1b2c3d0"


def test_what_fits_is_left_as_it_is():
    table = wide(1)
    assert fitted(table, room(table)) == [table]
    assert fitted(table, room(table) - 1) != [table]


def test_labels_without_room_make_a_wider_table_rather_than_lose_something():
    table = Grid(title="", columns=tuple("abcdefgh"), lines=(("x" * 60,) * 7 + ("1",),), num_labels=7)
    (part,) = fitted(table, 60)
    assert render(part, width=room(part)).count("x") == 7 * 60


def test_numbers_among_labels_are_not_broken():
    heads = ("perturbation", "weight_decay", "lr", "runs")
    table = Grid(title="", columns=heads, lines=(("Gaussian", "0.0001", "0.01", "1"),), num_labels=3)
    (part,) = fitted(table, 34)
    assert part.lines[0][1:3] == ("0.0001", "0.01")


def test_breaks_lie_at_hyphens_where_possible():
    assert broken("avila-noise-0a1b", 8) == "avila-\nnoise-\n0a1b"
    assert broken("std0.25-x", 7) == "std0.25\n-x"
    assert broken("abcdefgh", 3) == "abc\ndef\ngh"
    assert broken("", 3) == ""
    assert broken("mean over the ball", 9) == "mean over\nthe ball"


def test_short_names_tell_axes_apart():
    assert short_names(["training.optimizer.lr", "training.batch_size"]) == ["lr", "batch_size"]
    assert short_names(["a.radius", "b.radius", "radius"]) == ["a.radius", "b.radius", "radius"]
    assert short_names(["objective.runs", "runs"]) == ["objective.runs", "runs"]


def test_the_width_is_that_of_the_terminal_and_eighty_without_one(monkeypatch):
    monkeypatch.setenv("COLUMNS", "123")
    assert terminal_width() == 123
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr("shutil.os.get_terminal_size", lambda _: (_ for _ in ()).throw(OSError()))
    assert terminal_width() == 80
