"""Tables as LaTeX, with booktabs."""

import re
from collections.abc import Iterable

from withstand.rendering.grid import Grid

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\N{EN DASH}": "--",
} | {each: f"\\{each}" for each in "&%$#_{}"}
PATTERN = re.compile("|".join(re.escape(each) for each in SPECIAL))
RANGE = re.compile(r"(?<=\d)-(?=\d)")
SIGNED = re.compile(r"(?<![\w.}-])[-+]\d[\d.]*")


def escaped(text: str) -> str:
    r"""Return a text in which nothing is a command.

    Example:
        >>> escaped("50 % of a_b & c")
        '50 \\% of a\\_b \\& c'
    """
    return PATTERN.sub(lambda found: SPECIAL[found.group()], text).replace("\n", " ")


def latex(table: Grid, *, label: str, is_long: bool = False) -> str:
    r"""Return a table as LaTeX that needs the package booktabs.

    Args:
        table: What to show.
        label: For `\ref`, after `tab:`.
        is_long: Whether it goes over pages, which needs the package longtable.

    Example:
        >>> print(latex(Grid(title="Top 1", columns=("a", "b"), lines=(("x_1", "-1.5"),)), label="t"))
        % Needs \usepackage{booktabs}.
        \begin{table}
          \centering
          \caption{Top 1.}
          \label{tab:t}
          \begin{tabular}{lr}
            \toprule
            a & b \\
            \midrule
            x\_1 & $-1.5$ \\
            \bottomrule
          \end{tabular}
        \end{table}
        <BLANKLINE>
    """
    kinds = "l" * table.num_labels + "r" * (len(table.columns) - table.num_labels)
    body: list[str] = []
    for line in table.lines:
        cells = [] if line is None else [*map(escaped, line[: table.num_labels])]
        cells += [] if line is None else [_number(each) for each in line[table.num_labels :]]
        body.append(r"\midrule" if line is None else _line(cells))
    caption = " ".join(escaped(each).rstrip(".") + "." for each in (table.title, *table.notes) if each)
    head = [r"\toprule", _line(map(escaped, table.columns)), r"\midrule"]
    if is_long:
        lines = [
            r"% Needs \usepackage{booktabs, longtable}.",
            rf"\begin{{longtable}}{{{kinds}}}",
            rf"  \caption{{{caption}}} \label{{tab:{label}}} \\",
            *(
                f"  {each}"
                for each in (*head, r"\endfirsthead", *head, r"\endhead", r"\bottomrule", r"\endfoot", *body)
            ),
            r"\end{longtable}",
        ]
        return "\n".join(lines) + "\n"
    lines = [
        r"% Needs \usepackage{booktabs}.",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{caption}}}",
        rf"  \label{{tab:{label}}}",
        rf"  \begin{{tabular}}{{{kinds}}}",
        *(f"    {each}" for each in (*head, *body, r"\bottomrule")),
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    """Return a line of a table; one that begins with `[` or `*` would be an option of the command before it."""
    text = " & ".join(cells) + r" \\"
    return f"{{{text[0]}}}{text[1:]}" if text[0] in "[*" else text


def _number(text: str) -> str:
    """Return a number or a range with a true minus and a true dash."""
    return SIGNED.sub(r"$\g<0>$", RANGE.sub("--", escaped(text)))
