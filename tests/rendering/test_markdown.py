"""Markdown: what is read back is what was written."""

import html
import re

import pytest

from withstand.rendering.cell import Cell
from withstand.rendering.grid import Grid
from withstand.rendering.markdown import escaped, markdown

NASTY = (
    "a|b",
    "back\\slash",
    "*bold* _it_",
    "[link](x)",
    "<i>",
    "`code`",
    "50 % & more",
    "\\|",
    "12",
    "1e5",
    "-",
    "a &lt; b < 0.1",
)


def read(text):
    """Return the cells of a Markdown table: split at bare pipes, backslashes and entities removed."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = map(split, lines)
    return [[html.unescape(re.sub(r"\\(.)", r"\1", cell.strip())) for cell in line] for line in cells]


def split(line):
    """Return what lies between the pipes that no backslash stands before."""
    parts, escaped = [""], False
    for letter in line:
        if letter == "|" and not escaped:
            parts.append("")
        else:
            parts[-1] += letter
        escaped = letter == "\\" and not escaped
    return parts[1:-1]


@pytest.mark.parametrize("text", NASTY)
def test_a_text_is_the_same_when_it_is_read_back(text):
    table = Grid(title=text, columns=(text, text), lines=((text, text), None, ("x", Cell(text=text))), notes=(text,))
    heads, rule, *lines = read(markdown(table))
    assert (heads, lines) == ([text, text], [[text, text], ["x", text]])
    assert re.fullmatch(r":-+", rule[0])
    assert re.fullmatch(r"-+:", rule[1])
    bare = re.sub(r"\\.", "", markdown(table)).replace("**", "")
    assert not re.search(r"[`*_\[\]>]|<[a-zA-Z/!?]", bare)


def test_caption_and_notes_are_below_and_the_title_above():
    table = Grid(title="T", columns=("a",), lines=(), caption="What.", notes=("One.", "Two."))
    text = markdown(table)
    assert text.startswith("**T**\n\n| a")
    assert text.endswith("|\n\n- What.\n- One.\n- Two.\n")
    assert not markdown(table, title=False).startswith("**")


def test_only_what_could_be_a_tag_is_escaped():
    assert escaped("p < 0.001, 1<2") == "p < 0.001, 1<2"
    assert "<" not in escaped("<i>, </i>, <!-- -->, <?x?>")
