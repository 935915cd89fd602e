"""Check of torch.export archives, so that loading one runs only the operators of its program."""

import ast
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from withstand.errors import InputError, brief

PARTS = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/.*|models/[^/]+\.json|extra/.*|data/(weights|constants)/[^/]+"
    r"|data/sample_inputs/[^/]+\.pt"
)
CONFIG = re.compile(r"data/(weights|constants)/[^/]+_config\.json", re.IGNORECASE)
OPAQUE = re.compile(r"data/constants/(custom_obj|opaque_obj)", re.IGNORECASE)
NAME = re.compile(r"[\w.:+-]*")
SPEC = re.compile(r'[\w\s.,:"\[\]{}\\-]*')  # JSON without anything that could be called
PLAIN = frozenset(
    "as_string as_strings "  # constants, which PyTorch quotes
    "custom from_node nn_module_stack source_fn_stack stack_trace torch_fn".split()  # metadata, which only describe
)
TARGET = re.compile(
    r"math\.[a-z]\w*|torch\._?sym_\w+|torch\.ops\.(?!profiler)\w+\.(?!save$|save\.|from_file)\w+(\.\w+)?"
)
OPERATORS = frozenset(
    "abs add and_ eq floordiv ge getitem gt index invert is_ is_not le lshift lt matmul mod mul ne neg not_ or_ pos "
    "pow rshift sub truediv truth xor".split()
)
# Of sympy and of torch.utils._sympy.functions, which sizes are made of.
FUNCTIONS = frozenset(
    "Symbol Integer Float Rational Add Mul Pow Mod Max Min Abs Eq Ne Lt Le Gt Ge And Or Not floor ceiling "
    "Equality Unequality StrictLessThan LessThan StrictGreaterThan GreaterThan FloorDiv ModularIndexing Where "
    "PythonMod CleanDiv CeilToInt FloorToInt CeilDiv LShift RShift PowByNatural FloatPow FloatTrueDiv "
    "IntTrueDiv TruncToFloat TruncToInt RoundToInt RoundDecimal ToFloat IsNonOverlappingAndDenseIndicator "
    "Identity".split()
)
POWERS = frozenset("Pow PowByNatural FloatPow LShift".split())
MOST_EXPONENT = 64
ATTRIBUTES = frozenset("size stride shape ndim dim storage_offset numel".split())  # of inputs, in guards
NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Name, ast.Constant, ast.Subscript,
    ast.Attribute, ast.keyword, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context,
)  # fmt: skip


def check_archive(path: Path) -> None:
    """Reject an archive in which PyTorch would find something to run besides operators on tensors.

    PyTorch evaluates sizes and guards as Python expressions, unpickles objects, and loads compiled libraries. Its own
    reader is asked, which other readers of zip files need not agree with: it takes no notice of case.

    Raises:
        InputError: If the file is not a zip archive, or holds such a part.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [each.partition("/")[2] for each in archive.namelist()]
        reader = torch._C.PyTorchFileReader(str(path))
        if sorted(names) != sorted(reader.get_all_records()) or len({each.lower() for each in names}) < len(names):
            raise InputError(f"model: {path} is refused: its list of parts is ambiguous.")
        for name in names:
            if (problem := _problem(name, reader)) is not None:
                raise InputError(f"model: {path} is refused: {brief(name)} {problem}.")
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError) as problem:
        if isinstance(problem, InputError):
            raise
        raise InputError(f"model: {path} is not a program of torch.export (it cannot be read).") from problem


def _problem(name: str, reader: Any) -> str | None:
    """Return why a part of the archive is refused, if it is."""
    if not PARTS.fullmatch(name):
        return "is no part of a program"
    if OPAQUE.match(name):
        return "holds a pickled object"
    if name.endswith(".pt"):
        try:
            torch.load(io.BytesIO(reader.get_record(name)), weights_only=True)
        except Exception:  # a damaged pickle can end in almost any error
            return "holds objects other than tensors"
    if CONFIG.fullmatch(name) and any(key == "use_pickle" and value for key, value in _pairs(_read(reader, name))):
        return "names pickled tensors"
    return _problem_of_program(_read(reader, name)) if name.startswith("models/") else None


def _problem_of_program(program: Any) -> str | None:
    for key, value in _pairs(program):
        if not NAME.fullmatch(key):
            return f"has the key {brief(key)}"
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and key not in PLAIN and not _is_allowed(key, text):
                return f"holds {brief(key)} {brief(text)}"
    return None


def _is_allowed(key: str, text: str) -> bool:
    match key:
        case "target":
            return _is_operator(text)
        case "expr_str" | "guards_code":
            return is_harmless(text)
        case "in_spec" | "out_spec":
            return SPEC.fullmatch(text) is not None and "default_factory" not in text
    return NAME.fullmatch(text) is not None  # PyTorch writes names into the code of the module


def _is_operator(target: str) -> bool:
    """Return whether a target is an operator, and not any function of PyTorch or Python; texts name nothing."""
    if target.startswith("_operator."):
        return target.removeprefix("_operator.") in OPERATORS
    return TARGET.fullmatch(target) is not None or (
        NAME.fullmatch(target) is not None and not target.startswith(("torch", "math"))
    )


def is_harmless(text: str) -> bool:
    """Return whether an expression is arithmetic on sizes.

    Example:
        >>> is_harmless("FloorDiv(Symbol('s0', integer=True), Integer(2))"), is_harmless("L['x'].size()[0] <= 8")
        (True, True)
        >>> is_harmless("__import__('os').system('x')"), is_harmless("Add('evil()')")
        (False, False)
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    symbols = [each for each in ast.walk(tree) if isinstance(each, ast.Call) and _is_symbol(each)]
    names = {id(each.args[0]) for each in symbols}
    keys = {id(each.slice) for each in ast.walk(tree) if isinstance(each, ast.Subscript)}
    return all(isinstance(each, NODES) and _is_harmless(each, texts=names | keys) for each in ast.walk(tree))


def _is_symbol(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "Symbol" and len(call.args) == 1


def _is_harmless(node: ast.AST, *, texts: set[int]) -> bool:
    """Return whether a part of an expression is allowed; texts only as names, since sympy evaluates others."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[base, exponent]) if name in POWERS:
            return _is_small(exponent) and not any(map(_is_power, ast.walk(base)))
        case ast.BinOp(op=ast.Pow() | ast.LShift(), left=base, right=exponent):
            return _is_small(exponent) and not any(map(_is_power, ast.walk(base)))
        case ast.Call(func=ast.Name(id=name)):
            return name in FUNCTIONS - POWERS
        case ast.Call(func=function):
            return isinstance(function, ast.Attribute)
        case ast.Attribute(attr=name):
            return name in ATTRIBUTES
        case ast.Name(id=name):
            return "__" not in name
        case ast.Constant(value=str() as value):
            return id(node) in texts and value.isidentifier() and "__" not in value
    return True


def _is_power(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in POWERS
        case ast.BinOp(op=operator):
            return isinstance(operator, ast.Pow | ast.LShift)
    return False


def _is_small(exponent: ast.AST) -> bool:
    """Return whether a number may be an exponent or a shift: others, such as `9**9**9`, would never be computed."""
    match exponent:
        case ast.UnaryOp(op=ast.USub(), operand=number):
            return _is_small(number)
        case ast.Call(func=ast.Name(id="Integer" | "Float"), args=[number]):
            return _is_small(number)
        case ast.Call(func=ast.Name(id="Rational"), args=[above, below]):
            return _is_small(above) and _is_small(below)
        case ast.Constant(value=int() | float() as number):
            return abs(number) <= MOST_EXPONENT
    return False


def _read(reader: Any, name: str) -> Any:
    return json.loads(reader.get_record(name))


def _pairs(content: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key and value within JSON."""
    pending = [content]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            yield from each.items()
            pending += each.values()
        elif isinstance(each, list):
            pending += each
