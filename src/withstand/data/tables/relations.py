"""Relation: a rule between the columns of a table, written as an expression."""

import ast
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor

from withstand.errors import InputError, nearest

# By how much equal numbers may differ, relative to the larger one, or to 1.
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-5}
LEAST = 1e-12  # argument of a logarithm, divisor
QUOTED = r"""`((?:[^`]|``)*)`|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""  # a name in backquotes, or a level
MOST_NODES = 500
MOST_CHARACTERS = 2000

Values = Mapping[str, Tensor]  # column -> (..., row)
Number = Callable[[Values], Tensor]
FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "abs": torch.abs,
    "log": lambda x: x.clamp_min(LEAST).log(),
    "sqrt": lambda x: x.clamp_min(0).sqrt(),
    "floor": torch.floor,
    "min": lambda *each: torch.stack(torch.broadcast_tensors(*each)).amin(0),
    "max": lambda *each: torch.stack(torch.broadcast_tensors(*each)).amax(0),
}
OPERATORS: dict[type[ast.operator], Callable[[Tensor, Tensor], Tensor]] = {
    ast.Add: torch.add,
    ast.Sub: torch.sub,
    ast.Mult: torch.mul,
    ast.Div: lambda a, b: a / torch.where(b.abs() < LEAST, LEAST, b),
    ast.Mod: lambda a, b: a.remainder(torch.where(b.abs() < LEAST, LEAST, b)),
    ast.Pow: torch.pow,
}
NEGATED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}


class Relation(NamedTuple):
    """A rule that every legal row obeys.

    Attributes:
        text: The expression.
        columns: The columns that occur in it.
        violation: Maps columns to the violation of each row (..., row), differentiable: 0 if the rule holds, else > 0.
        bound: The column that is alone on one side of the only comparison; None without one.
        side: The comparison as seen from this column: `==`, `<=` or `>=`; empty without one.
        other: The value of the other side.
    """

    text: str
    columns: tuple[str, ...]
    violation: Number
    bound: str | None = None
    side: str = ""
    other: Number | None = None


def read_relation(text: str, columns: Sequence[str], levels: Mapping[str, Sequence[str]] | None = None) -> Relation:
    """Read a rule.

    Rules compare (`<`, `<=`, `==`, `!=`, `>=`, `>`) expressions of columns and numbers (`+ - * / % **`, `abs`, `floor`,
    `log`, `max`, `min`, `sqrt`), and join comparisons by `and`, `or`, `not` and `if A: B`. A name that is no Python
    name stands in backquotes; a backquote within is written twice. A category is compared by `==` or `!=` with one of
    its levels in quotes. What is divided by 0 is divided by 1e-12, the logarithm of a number below 1e-12 is that of
    1e-12, and the square root of a number below 0 is 0; an undefined power breaks its comparison.

    Args:
        text: The rule.
        columns: Columns of the table.
        levels: Levels of the columns that are categories; their values are the levels' numbers.

    Raises:
        InputError: If it is no rule, or names another column, function or level.

    Example:
        >>> rule = read_relation("if a > 0: total == a + `b c`", ["a", "b c", "total"])
        >>> x = {"a": torch.tensor([1.0, -1.0]), "b c": torch.tensor([2.0, 2.0]), "total": torch.tensor([5.0, 5.0])}
        >>> rule.violation(x)
        tensor([1.0000, 0.0000])
    """
    return _Reader(text, columns, levels or {}).read()


class _Reader:
    """A parser of rules: a whitelist over the syntax tree of Python, which is never evaluated."""

    def __init__(self, text: str, columns: Sequence[str], levels: Mapping[str, Sequence[str]]) -> None:
        self.text, self.columns, self.levels = text, list(columns), levels
        self.quoted: dict[str, str] = {}
        self.used: dict[str, None] = {}

    def read(self) -> Relation:
        test = self._tree()
        violation = self._violation(test)
        if not self.used:
            raise self._error("it names no column")
        bound, side, other = self._bound(test) or (None, "", None)
        return Relation(self.text, tuple(self.used), violation, bound, side, other)

    def _tree(self) -> ast.expr:
        if not isinstance(self.text, str) or not 0 < len(self.text) <= MOST_CHARACTERS:
            raise InputError(f"rules: expected text of 1 to {MOST_CHARACTERS:,} characters, got {self.text!r}.")
        text = re.sub(QUOTED, self._quote, self.text).strip()
        try:
            body = ast.parse(text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
            hint = "names with blanks, signs or words of Python (such as `class`) stand in backquotes"
            raise self._error(f"it is no expression; {hint}") from problem
        if len(body) == 1 and isinstance(body[0], ast.If) and not body[0].orelse and len(body[0].body) == 1:
            condition, (then,) = body[0].test, body[0].body
            if isinstance(then, ast.Expr):
                test = ast.BoolOp(ast.Or(), [ast.UnaryOp(ast.Not(), condition), then.value])
                return self._checked(test)
        if len(body) == 1 and isinstance(body[0], ast.Expr):
            return self._checked(body[0].value)
        raise self._error("expected one comparison, such as `a == b + c`, or `if condition: comparison`")

    def _checked(self, test: ast.expr) -> ast.expr:
        if sum(1 for _ in ast.walk(test)) > MOST_NODES:
            raise self._error(f"it has more than {MOST_NODES} parts")
        return test

    def _quote(self, found: re.Match[str]) -> str:
        if found[1] is None:  # a level, whose text stays
            return found[0]
        name = f"column_{len(self.quoted)}_"
        while name in self.columns:
            name += "_"
        self.quoted[name] = found[1].replace("``", "`")
        return name

    def _error(self, why: str) -> InputError:
        return InputError(f"rules: {self.text!r}: {why}.")

    def _violation(self, test: ast.expr, *, negate: bool = False) -> Number:
        """Return the violation of a condition (or, with `negate`, of its opposite), as a function of the columns."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return self._violation(test.operand, negate=not negate)
        if isinstance(test, ast.BoolOp):
            parts = [self._violation(each, negate=negate) for each in test.values]
            return _all(parts) if isinstance(test.op, ast.And) != negate else _any(parts)
        if isinstance(test, ast.Compare):
            sides = [test.left, *test.comparators]
            pairs = zip(sides[:-1], test.ops, sides[1:], strict=True)
            parts = [self._comparison(left, type(op), right, negate=negate) for left, op, right in pairs]
            return _any(parts) if negate else _all(parts)
        raise self._error("expected comparisons, joined by `and`, `or`, `not` and `if`")

    def _comparison(self, left: ast.expr, kind: type[ast.cmpop], right: ast.expr, *, negate: bool) -> Number:
        if kind not in NEGATED:
            raise self._error("comparisons are <, <=, ==, !=, >= and >")
        kind = NEGATED[kind] if negate else kind
        if category := self._category(left, right):
            name, number = category
            if kind not in (ast.Eq, ast.NotEq):
                raise self._error(f"{name!r} is a category; compare it by == or !=")
            return lambda x: ((x[name] != number) == (kind is ast.Eq)).to(x[name].dtype)
        before, self.used = self.used, {}
        a, b = self._number(left), self._number(right)
        names, self.used = tuple(self.used), before | self.used
        return lambda x: _distance(kind, a(x), b(x), [x[name] for name in names])

    def _category(self, left: ast.expr, right: ast.expr) -> tuple[str, int] | None:
        """Return the category and the number of its level that are compared, if they are."""
        if isinstance(left, ast.Constant) and isinstance(left.value, str):
            left, right = right, left
        name = self._column(left) if isinstance(left, ast.Name) else None
        if name not in self.levels and not (isinstance(right, ast.Constant) and isinstance(right.value, str)):
            return None
        if name is None or name not in self.levels:
            raise self._error("text is compared with a category only")
        if not isinstance(right, ast.Constant) or isinstance(right.value, complex | bytes):
            raise self._error(f"{name!r} is a category; compare it with one of its levels in quotes")
        names = [str(each) for each in self.levels[name]]
        if str(right.value) not in names:
            raise self._error(f"{name!r} has no level {right.value!r}; {nearest(str(right.value), names)}"[:-1])
        return name, names.index(str(right.value))

    def _column(self, node: ast.Name) -> str:
        name = self.quoted.get(node.id, node.id)
        if name not in self.columns:
            raise self._error(f"there is no column {name!r}; {nearest(name, self.columns)}".rstrip("."))
        self.used[name] = None
        return name

    def _number(self, node: ast.expr) -> Number:
        if isinstance(node, ast.Name):
            name = self._column(node)
            if name in self.levels:
                raise self._error(f"{name!r} is a category; compare it by == or !=")
            return lambda x: x[name]
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            value = float(cast(float, node.value)) if abs(cast(float, node.value)) < 1e300 else math.inf
            if not math.isfinite(value):
                raise self._error("numbers must be finite")
            return lambda x: next(iter(x.values())).new_tensor(value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner, sign = self._number(node.operand), -1 if isinstance(node.op, ast.USub) else 1
            return lambda x: sign * inner(x)
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            a, b, operator = self._number(node.left), self._number(node.right), OPERATORS[type(node.op)]
            return lambda x: operator(a(x), b(x))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return self._call(node.func.id, node.args)
        raise self._error("expected columns, numbers, + - * / % ** and abs, floor, log, max, min, sqrt")

    def _call(self, name: str, arguments: Sequence[ast.expr]) -> Number:
        if name not in FUNCTIONS:
            raise self._error(f"there is no function {name!r}; {nearest(name, FUNCTIONS)}".rstrip("."))
        is_right = len(arguments) >= 2 if name in ("min", "max") else len(arguments) == 1
        if not is_right:
            raise self._error(f"{name} takes {'at least two arguments' if name in ('min', 'max') else 'one argument'}")
        parts, function = [self._number(each) for each in arguments], FUNCTIONS[name]
        return lambda x: function(*(part(x) for part in parts))

    def _bound(self, test: ast.expr) -> tuple[str, str, Number] | tuple[()]:
        """Return the column alone on one side of the only comparison, the comparison, and the other side."""
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            return ()
        side = {ast.Eq: "==", ast.Lt: "<=", ast.LtE: "<=", ast.Gt: ">=", ast.GtE: ">="}.get(type(test.ops[0]))
        for alone, other, turned in ((test.left, test.comparators[0], False), (test.comparators[0], test.left, True)):
            if side is None or not isinstance(alone, ast.Name):
                continue
            name, names = self._column(alone), {each.id for each in ast.walk(other) if isinstance(each, ast.Name)}
            if name in self.levels or alone.id in names or isinstance(other, ast.Constant):
                continue
            return name, {"<=": ">=", ">=": "<="}.get(side, side) if turned else side, self._number(other)
        return ()


def _distance(kind: type[ast.cmpop], a: Tensor, b: Tensor, values: Sequence[Tensor]) -> Tensor:
    """Return the violation of a comparison; undefined values violate it, empty cells do not."""
    if kind in (ast.Gt, ast.GtE):
        kind, a, b = {ast.Gt: ast.Lt, ast.GtE: ast.LtE}[kind], b, a
    tolerance = TOLERANCES.get(a.dtype, 1e-2) * torch.maximum(a.detach().abs(), b.detach().abs()).clamp_min(1)
    if kind is ast.LtE:
        found = (a - b - tolerance).relu()
    elif kind is ast.Lt:  # strictly smaller means smaller by more than the tolerance
        found = (a - b + tolerance).relu()
    elif kind is ast.Eq:
        found = ((a - b).abs() - tolerance).relu()
    else:
        found = ((a - b).abs() <= tolerance).to(a.dtype)
    found = torch.where(a.isnan() | b.isnan() | found.isnan(), 1, found)
    is_hole = [each.isnan() for each in values]
    return torch.where(torch.stack(is_hole).any(0), 0, found) if is_hole else found


def _all(parts: Sequence[Number]) -> Number:
    return lambda x: cast(Tensor, sum(part(x) for part in parts))


def _any(parts: Sequence[Number]) -> Number:
    return lambda x: torch.stack(torch.broadcast_tensors(*(part(x) for part in parts))).amin(0)
