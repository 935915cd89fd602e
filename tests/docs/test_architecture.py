"""docs/architecture.md: the files and folders that it names exist, and every package has a place in its list."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "withstand"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_files_and_folders_that_are_named_exist():
    named = set(re.findall(r"`((?:\w+/)*\w+\.py|(?:\w+/)+)`", PAGE))
    assert len(named) > 40
    places = (ROOT, SOURCE, SOURCE / "perturbations")
    assert not {each for each in named if not any((place / each).exists() for place in places)}


def test_every_package_has_lines_of_code():
    (section,) = re.findall(r"(?ms)^## Where does a line of code go\?$(.*?)^## ", PAGE)
    listed = {each.split("/")[0] for each in re.findall(r"`(\w+/)", section)}
    packages = {each.parent.name for each in SOURCE.glob("*/__init__.py")}
    assert packages == listed - {"attacks", "augmentations", "corruptions", "masking", "search", "table_errors"}
