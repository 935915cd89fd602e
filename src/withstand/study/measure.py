"""Measure: a number that a table of outcomes is reduced to, and how it is read."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from withstand.errors import InputError

Better = Literal["higher", "lower", ""]
Kind = Literal["", "attacked", "certified", "estimated", "upper bound", "lower bound"]

ACCURACY = "Accuracy"  # topic of what is shown with corruptions down and severities across
FURTHER = "Further measures"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number per condition, made from one column of the table of outcomes.

    Tables, headlines, figures and reports ask the measure what it is called and how it is written; none of them knows a
    measure by its name.

    Attributes:
        name: In rows and files, e.g. `top1`.
        column: Of the table of outcomes.
        reduction: Name of a function of `withstand.study.reductions`.
        parameters: Its further arguments, by name.
        words: What a reader calls it, e.g. `top-1 accuracy`; the name by default.
        unit: Of its values, e.g. `l2`; nothing for shares.
        better: Which direction is better; nothing where neither can be said.
        percent: Whether values are shares that are shown in percent.
        kind: How a number about robustness was obtained: `attacked` (an upper bound of the accuracy, by attacks),
            `certified`, `estimated` (from draws); or which bound it is. Bounds are rounded to their safe side.
        budget: What was spent on it, e.g. `PGD-40 x 3 + vertices`, or `256 points`; shown in the notes of tables.
        topic: Title of the table that shows it, beside others of the same topic.
        primary: Whether it is shown wherever there is room for few; the others stand in full tables only.

    Example:
        >>> top1 = Measure(name="top1", column="correct", words="top-1 accuracy", better="higher", percent=True)
        >>> top1.written(0.90529), top1.label
        ('90.5', 'top-1 accuracy, %')
        >>> Measure(name="bound", column="bound", kind="upper bound").written(12.3401)
        '12.35'
    """

    name: str
    column: str
    reduction: str = "mean"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    words: str = ""
    unit: str = ""
    better: Better = ""
    percent: bool = False
    kind: Kind = ""
    budget: str = ""
    topic: str = FURTHER
    primary: bool = True

    def __post_init__(self) -> None:
        for name in ("name", "column"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise InputError(f"Measure: {name} must be a text, got {value!r}.")
        if not self.words:
            object.__setattr__(self, "words", self.name.replace("_", " "))

    @property
    def label(self) -> str:
        """What an axis is called: words and unit."""
        unit = "%" if self.percent else self.unit
        return f"{self.words}, {unit}" if unit else self.words

    @property
    def direction(self) -> int:
        """1 where more is better, -1 where less is, 0 where neither can be said."""
        return {"higher": 1, "lower": -1, "": 0}[self.better]

    def scaled(self, value: float) -> float:
        """Return a value as it stands on an axis."""
        return 100 * value if self.percent else value

    def written(self, value: float, *, decimals: int | None = None) -> str:
        """Return a value without its unit; a bound is rounded to the side on which it still holds.

        Args:
            value: A share or a number; infinity is written `never`.
            decimals: None takes 1 for percentages, 2 for numbers below 1,000 and 0 for others.
        """
        if math.isinf(value):
            return "never"
        shown = self.scaled(value)
        digits = decimals if decimals is not None else 1 if self.percent else 2 if abs(shown) < 1000 else 0
        if self.kind in ("upper bound", "lower bound"):
            side = math.ceil if self.kind == "upper bound" else math.floor
            shown = side(shown * 10**digits) / 10**digits
        return f"{shown:,.{digits}f}"

    def plain(self) -> dict[str, Any]:
        """Return its fields, for files."""
        return asdict(self) | {"parameters": dict(self.parameters)}
