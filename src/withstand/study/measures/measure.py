"""Measure: a number that a table of outcomes is reduced to, and how it is read."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, NamedTuple

from withstand.errors import InputError, nearest
from withstand.limits import check_fields

Better = Literal["higher", "lower", ""]
Kind = Literal["", "attacked", "certified", "estimated", "upper bound", "lower bound"]

ACCURACY = "Accuracy"  # topic of what is shown with corruptions down and severities across
FURTHER = "Further measures"
BY_CLASS, NUMBER = "by_class", "number"  # reductions to several rows, and of the model as a whole


class Parameter(NamedTuple):
    """A parameter of a reduction.

    Attributes:
        expected: Which values it takes, as text.
        accepts: Whether it takes a value.
        is_required: Whether it has no default.
    """

    expected: str
    accepts: Callable[[Any], bool]
    is_required: bool = True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


# The parameters of every reduction, by its name.
REDUCTION_PARAMETERS: dict[str, dict[str, Parameter]] = {
    "mean": {"interval": Parameter("wilson or exact", lambda value: value in ("wilson", "exact"), is_required=False)},
    "median": {},
    "quantile": {"q": Parameter("a number between 0 and 1", lambda value: _is_number(value) and 0 < value < 1)},
    "balanced": {},
    "calibration_error": {
        "bins": Parameter("a whole number >= 1", lambda value: type(value) is int and value >= 1, is_required=False),
        "correct": Parameter("the name of a column", lambda value: isinstance(value, str), is_required=False),
    },
    "share_at_least": {"threshold": Parameter("a number", _is_number)},
    "area": {"limit": Parameter("a finite number > 0", lambda value: _is_number(value) and 0 < value < math.inf)},
    BY_CLASS: {"class": Parameter("the name of a class", lambda value: isinstance(value, str), is_required=False)},
    NUMBER: {"samples": Parameter("true or false", lambda value: isinstance(value, bool), is_required=False)},
}


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number per condition, made from one column of the table of outcomes.

    Tables, headlines, figures and reports take labels and formats from the measure; none of them depends on its name.

    Attributes:
        name: Name in rows and files, such as `top1`.
        column: Column of the table of outcomes.
        reduction: How the column is reduced to a number: a key of `REDUCTION_PARAMETERS`.
        parameters: Parameters of the reduction, by name.
        words: Label for readers, such as `top-1 accuracy`; the name by default.
        unit: Unit of the values, such as `l2`; empty for fractions.
        better: Which direction is better; empty if neither is.
        percent: Whether values are fractions, shown in percent.
        kind: How a robustness measure was obtained: `attacked` (an upper bound on accuracy, from attacks), `certified`
            or `estimated` (from draws); or which kind of bound it is. Bounds are rounded outward.
        budget: Effort spent on the measure, such as `PGD-40 x 3 + vertices` or `256 points`; shown in the notes of
            tables.
        topic: Title of the table that shows the measure, together with others of the same topic.
        searched: Lowest and highest value of a search. A value beyond them is not known: it is infinite, and shown as
            `< 1` or `> 5`. None without such a search.
        primary: Whether compact tables show the measure; others are shown only in full tables.

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
    searched: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("name", "column"):
            if not getattr(self, name):
                raise InputError(f"Measure: {name} must be a text, got ''.")
        self._check_reduction()
        if not self.words:
            object.__setattr__(self, "words", self.name.replace("_", " "))

    @property
    def label(self) -> str:
        """Label of an axis: words and unit."""
        unit = "%" if self.percent else self.unit
        return f"{self.words}, {unit}" if unit else self.words

    @property
    def direction(self) -> int:
        """1 if higher is better, -1 if lower is better, 0 if neither is."""
        return {"higher": 1, "lower": -1, "": 0}[self.better]

    def scaled(self, value: float) -> float:
        """Return a value as shown on an axis."""
        return 100 * value if self.percent else value

    def written(self, value: float, *, decimals: int | None = None) -> str:
        """Return a value without its unit; bounds are rounded outward.

        Args:
            value: A fraction or a number; infinity is written as `never` if higher is better (for distances), otherwise
                as `inf`.
            decimals: None takes 1 for percentages, 2 for numbers below 1,000 and 0 for others.
        """
        if math.isinf(value) and self.searched is not None:
            return f"> {self.searched[1]:g}" if value > 0 else f"< {self.searched[0]:g}"
        if math.isinf(value):
            return "never" if value > 0 and self.better == "higher" else "inf" if value > 0 else "-inf"
        shown = self.scaled(value)
        digits = decimals if decimals is not None else 1 if self.percent else 2 if abs(shown) < 1000 else 0
        if self.kind in ("upper bound", "lower bound"):
            side = math.ceil if self.kind == "upper bound" else math.floor
            shown = side(shown * 10**digits) / 10**digits
        return f"{shown:,.{digits}f}"

    def is_comparable(self, other: "Measure") -> bool:
        """Return whether two declarations make comparable values: labels, budgets and kinds of intervals may differ.

        Example:
            >>> exact = Measure(name="top1", column="correct", parameters={"interval": "exact"}, topic="Balls")
            >>> exact.is_comparable(Measure(name="top1", column="correct")), exact.is_comparable(
            ...     Measure(name="top1", column="certified")
            ... )
            (True, False)
        """
        return self._meaning == other._meaning

    @property
    def _meaning(self) -> tuple[Any, ...]:
        parameters = {name: value for name, value in self.parameters.items() if name != "interval"}
        return self.column, self.reduction, parameters, self.unit, self.better, self.percent, self.kind

    def plain(self) -> dict[str, Any]:
        """Return the fields as plain values, for files."""
        plain = asdict(self) | {"parameters": dict(self.parameters)}
        if self.searched is None:
            del plain["searched"]
        return plain

    def _check_reduction(self) -> None:
        """Refuse an unknown reduction, and parameters that it does not take."""
        if self.reduction not in REDUCTION_PARAMETERS:
            known = nearest(str(self.reduction), REDUCTION_PARAMETERS)
            raise InputError(f"Measure: {self.name} has the unknown reduction {self.reduction}; {known}")
        known = REDUCTION_PARAMETERS[self.reduction]
        for name, value in self.parameters.items():
            if name not in known:
                takes = ", ".join(known) or "none"
                raise InputError(f"Measure: {self.name}: {self.reduction} takes the parameters {takes}, got {name}.")
            if not known[name].accepts(value):
                raise InputError(f"Measure: {self.name}: {name} must be {known[name].expected}, got {value!r}.")
        for name, parameter in known.items():
            if parameter.is_required and name not in self.parameters:
                raise InputError(f"Measure: {self.name}: {self.reduction} needs the parameter {name}.")


def joined(known: Mapping[str, Measure], further: Mapping[str, Measure]) -> dict[str, Measure]:
    """Return the measures of both; of two declarations the first counts, without a budget where the two differ in it.

    Example:
        >>> weak, strong = (Measure(name="worst", column="worst", budget=f"PGD-{k}") for k in (2, 40))
        >>> joined({"worst": weak}, {"worst": strong})["worst"].budget
        ''
    """
    found = {**further, **known}
    for name in known.keys() & further.keys():
        if known[name].budget != further[name].budget:
            found[name] = replace(known[name], budget="")
    return {name: found[name] for name in (*known, *further)}
