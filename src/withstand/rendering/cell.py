"""Cell of a printed table with its metadata."""

from dataclasses import dataclass
from typing import Literal

DOUBT = "\N{DAGGER}"  # behind a number that is not trustworthy
DOUBT_NOTE = f"{DOUBT}: not trustworthy; see the note about the model."


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A text in a printed table, and the values that it shows.

    Attributes:
        text: The text; a number is shown without its interval.
        low: Lower end of the interval, if any.
        high: Upper end of the interval, if any.
        value: Sort key of the column; None sorts by the text.
        flag: Short text about missing results.
        aside: A second, smaller line on a page; in print, shown only in column heads.
        tone: Whether it is significantly better or worse than the baseline.
        doubt: Why the number is not trustworthy, if so.
        measure: Measure of the rows of the cell; in the first cell, of the line.
        condition: Condition of these rows.
        combination: In the first cell: index of the combination that the line shows.
        against: In the first cell: index of the combination with which it is compared.
    """

    text: str
    low: str = ""
    high: str = ""
    value: float | None = None
    flag: str = ""
    aside: str = ""
    tone: Literal["", "better", "worse"] = ""
    doubt: str = ""
    measure: str = ""
    condition: str = ""
    combination: int | None = None
    against: int | None = None

    @property
    def range(self) -> str:
        """The interval, if any.

        Example:
            >>> Cell(text="1", low="-0.5", high="2.5").range, Cell(text="1", low="0.5", high="1.5").range
            ('-0.5 to 2.5', '0.5-1.5')
            >>> Cell(text="+0.8", low="0.0", high="+1.5").range, Cell(text="4.97", low="4.84", high="> 5").range
            ('0.0 to +1.5', '4.84 to > 5')
        """
        signed = any(each.startswith(("-", "+", "<", ">")) for each in (self.low, self.high))
        return f"{self.low} to {self.high}" if signed else f"{self.low}-{self.high}" if self.low else ""

    @property
    def plain(self) -> str:
        """Number, interval and flag in one line; a star replaces bold type, and a dagger marks doubts."""
        parts = (
            self.text + "*" * bool(self.tone) + DOUBT * bool(self.doubt),
            self.low and f"({self.range})",
            self.flag and f"[{self.flag}]",
        )
        return " ".join(part for part in parts if part)
