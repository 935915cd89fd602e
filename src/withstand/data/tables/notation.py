"""Notation: how a table file writes numbers and empty cells, and how to recognise other notations."""

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import polars

Decimal = Literal[".", ","]
Thousands = Literal[",", ".", " ", "'", "_"]
NOTATION_SHARE = 0.5  # of the cells, from which a column without plain numbers is one of numbers in another notation
PLACEHOLDERS = ("?", "-", "--", ".", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing", "unknown")
MOST_SIZES = 2  # different numbers with one unit that may be a category, such as "2 doors" and "4 doors"
MARKS: dict[str, str] = {" ": r"[ \x{a0}\x{2009}\x{202f}]", "'": "['\u2019]", "_": "_", ".": r"\.", ",": ","}
SIGN, AMOUNT = r"[+\-\x{2212}]?", r"[+\-\x{2212}]?\d[\d.,'\x{2019}_\s]*"
CURRENCY = r"([$\x{a3}\x{a5}\x{20ac}\x{20b9}]|USD|EUR|GBP|CHF|JPY|CNY|INR)"
UNIT = rf"^{AMOUNT}([A-Za-z\x{{b5}}\x{{b0}}\x{{3bc}}\x{{3a9}}][\w/^\x{{b7}}\x{{b2}}\x{{b3}}]*)$"
WRITE = "write plain numbers"
COMMA, GROUPS = "numbers with a decimal comma", "numbers with thousands separators"
DAY = r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2}(\d{2})?"
MONTH = r"\d{1,2}[-. ]{1,2}\p{L}{3,9}\.?[-, ]{1,2}\d{2,4}|\p{L}{3,9}\.? \d{1,2},? \d{4}"


def _grouped(mark: Thousands, rest: str = r"([.,]\d*)?") -> str:
    return rf"^{SIGN}\d{{1,3}}({MARKS[mark]}\d{{3}})+{rest}$"


# What cells look like, what to do, and the pattern; of those that fit equally many cells, the first counts.
OTHERS = (
    (f"{COMMA} or thousands separators", "--data.decimal ',' or --data.thousands ','", _grouped(",", "")),
    (COMMA, "--data.decimal ','", rf"^{SIGN}\d*,\d+([eE][+-]?\d+)?$"),
    (GROUPS, "--data.thousands ','", _grouped(",", r"\.\d*")),
    (GROUPS, "--data.decimal ',' --data.thousands '.'", _grouped(".", r"(\.\d{3}|,\d*)")),
    (GROUPS, "--data.thousands ' '", _grouped(" ")),
    (GROUPS, """--data.thousands "'\"""", _grouped("'")),
    (GROUPS, "--data.thousands _", _grouped("_")),
    ("numbers with a decimal point", "--data.decimal .", r"^[+-]?\d*\.\d+([eE][+-]?\d+)?$"),
    ("percentages", WRITE, rf"^{AMOUNT}%$"),
    ("hexadecimal numbers", WRITE, "^[+-]?0[xX][0-9a-fA-F]+$"),
    ("amounts of money", WRITE, rf"^{SIGN}{CURRENCY}\s*{AMOUNT}$|^{AMOUNT}{CURRENCY}$"),
    ("negative numbers with another sign", WRITE, r"^\x{2212}[\d.,]+$|^\([\d.,]+\)$"),
    ("dates", "write numbers, such as days", rf"^({DAY}|{MONTH})([T ].*)?$"),
    ("times", "write numbers, such as seconds", r"^\d{1,3}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp]\.?[Mm]\.?)?$"),
)  # fmt: skip


class Notation(NamedTuple):
    """How a table file writes its cells.

    Attributes:
        separator: Of the cells of a CSV file; None finds it in the first line.
        decimal: Decimal mark.
        thousands: Separator of groups of three digits; None allows none. A blank is also a non-breaking one.
        encoding: Of a CSV file, a name that Python knows.
        empty: Words that mean an empty cell.
    """

    separator: str | None = None
    decimal: Decimal = "."
    thousands: Thousands | None = None
    encoding: str = "utf-8"
    empty: tuple[str, ...] = ()

    def filled(self, text: "polars.Series") -> "polars.Series":
        """Return cells of text without surrounding blanks, null where they are empty.

        Example:
            >>> import polars as pl
            >>> Notation(empty=("?",)).filled(pl.Series([" a ", " ", "?", None])).to_list()
            ['a', None, None, None]
        """
        text = text.str.strip_chars()
        return text.set(text.is_in(["", *self.empty]), None)

    def numbers(self, text: "polars.Series") -> "polars.Series":
        """Return cells of text, without surrounding blanks, as numbers; null where they are none.

        Example:
            >>> import polars as pl
            >>> Notation(decimal=",", thousands=".").numbers(pl.Series(["1.234,5", "1.5", "7", "x"])).to_list()
            [1234.5, None, 7.0, None]
        """
        import polars as pl

        if (self.decimal, self.thousands) == (".", None):
            return text.cast(pl.Float64, strict=False)
        groups = rf"\d{{1,3}}({MARKS[self.thousands]}\d{{3}})+|" if self.thousands else ""
        valid = text.str.contains(rf"^[+-]?({groups}\d*)({MARKS[self.decimal]}\d*)?([eE][+-]?\d+)?$")
        if self.thousands:
            text = text.str.replace_all(MARKS[self.thousands], "")
        text = text.str.replace(self.decimal, ".", literal=True)
        return text.set(~valid, None).cast(pl.Float64, strict=False)


def other_notation(cells: "polars.Series", *, share: float = NOTATION_SHARE) -> tuple[str, str, str] | None:
    """Return what text that is no plain number looks like, what to do, and an example; None for words.

    Args:
        cells: Cells of text without surrounding blanks; empty ones are null.
        share: Share of the cells, without empty ones and words such as n/a, from which they count.

    Example:
        >>> import polars as pl
        >>> other_notation(pl.Series(["1,5", "12,25"]))
        ('numbers with a decimal comma', "--data.decimal ','", '1,5')
        >>> other_notation(pl.Series(["red", "1-2", "3+"]))
    """
    import polars as pl

    counts = pl.DataFrame({"cell": cells.drop_nulls()}).group_by("cell", maintain_order=True).len()
    texts, counts = counts["cell"], counts["len"]
    fits = [(what, advice, texts.str.contains(pattern)) for what, advice, pattern in OTHERS]
    units = texts.str.extract(UNIT)
    if units.drop_nulls().n_unique() == 1 and units.count() > MOST_SIZES:
        fits.append((f"numbers with the unit {units.drop_nulls()[0]}", WRITE, units.is_not_null()))
    any_fits = pl.DataFrame([own.alias(str(number)) for number, (_, _, own) in enumerate(fits)]).select(
        pl.any_horizontal(pl.all())
    )[:, 0]
    filled = ~texts.str.to_lowercase().is_in(PLACEHOLDERS)
    if not any_fits.any() or int(counts.filter(any_fits).sum()) < share * int(counts.filter(filled).sum()):
        return None
    what, advice, own = max(fits, key=lambda each: counts.filter(each[2]).sum())
    return what, advice, texts.filter(own)[0]
