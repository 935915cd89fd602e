"""The limits of the house: files, functions and folders stay small, and modules say in one line what they are."""

import ast
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

import withstand
from withstand.functional.balls import distance

ROOT = Path(withstand.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MOST_LINES_OF_A_FILE, MOST_LINES_OF_A_FUNCTION, MOST_FILES_OF_A_FOLDER = 300, 50, 20


def by_name(path: Path):
    return pytest.param(path, id=path.relative_to(ROOT.parent).as_posix())


@pytest.mark.parametrize("path", [by_name(each) for each in FILES])
def test_files_and_functions_are_short_and_modules_are_named_in_one_line(path):
    text = path.read_text(encoding="utf-8")
    module = ast.parse(text)
    assert len(text.splitlines()) <= MOST_LINES_OF_A_FILE
    long = [
        each.name
        for each in ast.walk(module)
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and (each.end_lineno or 0) - each.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    ]
    assert not long
    words = ast.get_docstring(module)
    assert words, "a module says what it is"
    assert "\n" not in words.partition("\n\n")[0]


@pytest.mark.parametrize("folder", [by_name(each) for each in sorted({each.parent for each in FILES})])
def test_folders_are_small(folder):
    assert len(list(folder.glob("*.py"))) <= MOST_FILES_OF_A_FOLDER


def test_shapes_and_types_are_checked_while_tests_run():
    with pytest.raises(TypeCheckError):
        distance(torch.zeros(2, 3, dtype=torch.int64), "l2")
