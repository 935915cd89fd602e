"""The promises in the documentation name tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "robustness-of-withstand.md"
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE.read_text(encoding="utf-8"))


def test_every_promise_names_a_test():
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| .+$", text.partition("## Promises")[2].partition("\n## ")[0])[2:]
    assert len(rows) > 10
    assert not [row for row in rows if not re.search(r"`tests/[\w/]+\.py::test_\w+`", row)]


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_the_named_test_exists(path, name):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in [each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
