"""Tables as LaTeX, with booktabs."""

import re

from tabulate import SEPARATING_LINE, DataRow, Line, TableFormat, tabulate

from withstand.rendering.grid import Grid, plain
from withstand.rendering.visible import visible

ONE_COLUMN, ONE_PAGE = 60, 40  # characters of a line, and lines
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # At the start of a line these would be options of the command before it.
    "[": "{[}",
    "*": "{*}",
    "\N{EN DASH}": "--",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{DAGGER}": r"\textdagger{}",
} | {each: f"\\{each}" for each in "&%$#_{}"}
PATTERN = re.compile("|".join(re.escape(each) for each in SPECIAL))
RANGE = re.compile(r"(?<=\d)-(?=\d)")
SIGNED = re.compile(r"(?<![\w.}-])[-+]\d[\d.]*")
# tabulate's own booktabs format escapes all cells, which would undo signs in math mode.
BODY = TableFormat(
    lineabove=Line(r"\toprule", "", "", ""),
    linebelowheader=Line(r"\midrule", "", "", ""),
    linebetweenrows=None,
    linebelow=Line(r"\bottomrule", "", "", ""),
    headerrow=DataRow("", " & ", r" \\"),
    datarow=DataRow("", " & ", r" \\"),
    padding=0,
    with_header_hide=None,
)


def escaped(text: str) -> str:
    r"""Return a text in which nothing is a command.

    Example:
        >>> escaped("50 % of a_b & c")
        '50 \\% of a\\_b \\& c'
    """
    return PATTERN.sub(lambda found: SPECIAL[found.group()], visible(text))


def latex(table: Grid) -> str:
    r"""Return a table as LaTeX: a `table`, a `table*` if it is wide, or a `longtable` if it is long.

    The caption is one sentence; the notes are a small paragraph below the table.

    Example:
        >>> print(latex(Grid(name="t", title="Top 1", columns=("a", "b"), lines=(("x_1", "-1.5"),))))
        % Needs \usepackage{booktabs}.
        \begin{table}
        \centering
        \caption{Top 1.} \label{tab:t}
        \begin{tabular}{lr}
        \toprule
        a    &      b \\
        \midrule
        x\_1 & $-1.5$ \\
        \bottomrule
        \end{tabular}
        \end{table}
        <BLANKLINE>
    """
    texts = table.texts
    kinds = "".join(each[0] for each in texts.alignment)
    caption = rf"\caption{{{escaped(captioned(table))}}} \label{{tab:{table.name}}}"
    body, notes = _body(texts), " ".join(map(escaped, table.notes))
    if len(texts.lines) > ONE_PAGE:
        return _long(body, kinds, caption, notes)
    kind = "table" if texts.width <= ONE_COLUMN else "table*"
    notes = f"\\par\\smallskip\n\\parbox{{\\linewidth}}{{\\footnotesize {notes}}}\n" if notes else ""
    return rf"""% Needs \usepackage{{booktabs}}.
\begin{{{kind}}}
\centering
{caption}
\begin{{tabular}}{{{kinds}}}
{body}
\end{{tabular}}
{notes}\end{{{kind}}}
"""


def _long(body: str, kinds: str, caption: str, notes: str) -> str:
    """Return a table over several pages, with its heads on each."""
    head, lines = body.split("\n\\midrule\n", 1)
    notes = f"{{\\footnotesize\\noindent {notes}\\par}}\n" if notes else ""
    return rf"""% Needs \usepackage{{booktabs, longtable}}, and a page of one column.
\begin{{longtable}}{{{kinds}}}
{caption} \\
{head}
\midrule
\endfirsthead
{head}
\midrule
\endhead
\bottomrule
\endfoot
\endlastfoot
{lines}
\end{{longtable}}
{notes}"""


def captioned(table: Grid) -> str:
    """Return the title and what the numbers are, in one sentence.

    Example:
        >>> print(captioned(Grid(title="Results", caption="Single runs.", columns=(), lines=())))
        Results – single runs.
    """
    what = re.sub(r"^[A-Z](?=[a-z ])", lambda found: found.group().lower(), table.caption)
    return " \N{EN DASH} ".join(part for part in (table.title, what) if part).rstrip(".") + "."


def _body(texts: Grid) -> str:
    """Return the lines of the table between its rules."""
    rows = [_row(line, texts.num_labels) if line else [SEPARATING_LINE] for line in texts.lines]
    heads = [escaped(plain(head)) for head in texts.columns]
    return tabulate(rows, headers=heads, tablefmt=BODY, disable_numparse=True, colalign=texts.alignment)


def _row(line: tuple, num_labels: int) -> list[str]:
    """Return the cells of a line; numbers have true minus signs and dashes."""
    numbers = (SIGNED.sub(r"$\g<0>$", RANGE.sub("--", escaped(each))) for each in line[num_labels:])
    return [*map(escaped, line[:num_labels]), *numbers]
