"""LaTeX: nothing in a text is a command, and every environment is closed."""

import re
import shutil
import subprocess

import pytest

from withstand.rendering.cell import Cell
from withstand.rendering.grid import Grid
from withstand.rendering.latex import ONE_PAGE, captioned, escaped, latex

NASTY = "[x] *a_b* & 50 % {$c$} #1 ~^ <d> |e| \\f"


def squeezed(table):
    """Return a table as LaTeX without the blanks that align its source."""
    return re.sub(" +", " ", latex(table))


def a_table(*, lines=2, width=1):
    heads = tuple(f"[model {NASTY} {number}" for number in range(width))
    body = tuple(
        (NASTY, *(Cell(text="+1.5", low="-0.5", high="+2.5", tone="better") for _ in heads)) for _ in range(lines)
    )
    return Grid(
        name="t", title="50 % of all", caption="Median over the seeds.", columns=("*name", *heads),
        lines=(*body, None, *body), notes=("n = 10 samples.", "One & two."),
    )  # fmt: skip


TABLES = {"table": Grid(name="t", title="T", columns=("a", "b"), lines=(("[1]", "-1"),), notes=("50 %.",))}
TABLES |= {"table*": a_table(), "longtable": a_table(lines=ONE_PAGE)}


@pytest.mark.parametrize("kind", TABLES)
def test_environments_are_closed_in_their_order(kind):
    text = latex(TABLES[kind])
    open_ones = []
    for which, name in re.findall(r"\\(begin|end)\{([^}]*)\}", text):
        if which == "begin":
            open_ones.append(name)
        else:
            assert open_ones.pop() == name
    assert not open_ones
    assert text.count(rf"\begin{{{kind}}}") == 1
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    lines = [line for line in text.splitlines() if line.endswith(r"\\") and "caption" not in line]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {1}


@pytest.mark.parametrize("kind", TABLES)
def test_it_compiles(kind, tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("there is no pdflatex")
    start = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs, longtable}\begin{document}"
    (tmp_path / "t.tex").write_text(start + "\n" + latex(TABLES[kind]) + r"\end{document}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 0


def test_the_caption_is_one_sentence_and_the_notes_stand_below():
    text = squeezed(TABLES["table*"])
    assert r"\caption{50 \% of all -- median over the seeds.} \label{tab:t}" in text
    below = text.split(r"\end{tabular}")[1]
    assert r"\footnotesize n = 10 samples. One \& two." in below
    assert captioned(Grid(title="A", caption="CE of B.", columns=(), lines=())) == "A \N{EN DASH} CE of B."


@pytest.mark.parametrize("text", list(r"&%$#_{}~^\\<>|"))
def test_latex_has_no_bare_special_character(text):
    bare = re.sub(r"\\(text\w+\{\}|[&%$#_{}])", "", escaped(f"x{text}y"))
    assert bare == "xy"


def test_latex_numbers_have_true_signs():
    lines = (("x-1", "-1.5 (-2.0 to 1.0)"), ("y", "1-2"))
    text = squeezed(Grid(title="50 %", columns=("a", "b"), lines=lines))
    assert "x-1 & $-1.5$ ($-2.0$ to 1.0)" in text
    assert "y & 1--2" in text
    assert r"\caption{50 \%.}" in text


def test_a_label_that_begins_with_a_bracket_is_no_option_of_the_line_before():
    text = squeezed(Grid(title="", columns=("[a", "b"), lines=(("[100]", "1"), None, ("*x", "[2]"))))
    assert "{[}a & b" in text
    assert "{[}100] & 1" in text
    assert "{*}x & {[}2]" in text
