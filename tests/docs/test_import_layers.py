"""The picture of the import layers is the one that its script draws."""

import runpy
from pathlib import Path
from xml.etree import ElementTree

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "import_layers.py"))
SVG = "{http://www.w3.org/2000/svg}"


def test_the_committed_picture_is_what_the_script_draws():
    assert SCRIPT["PICTURE"].read_text(encoding="utf-8") == SCRIPT["draw"](), "run python docs/import_layers.py"


def test_every_package_of_the_source_has_a_place_in_the_picture():
    source = SCRIPT["ROOT"] / "src" / "withstand"
    there = {each.stem for each in source.iterdir() if each.suffix == ".py" or (each / "__init__.py").is_file()}
    drawn = [
        each.text for each in ElementTree.fromstring(SCRIPT["draw"]()).iter(f"{SVG}text") if "class" not in each.attrib
    ]
    assert len(drawn) == len(set(drawn))
    assert there - {"__init__", "recipes"} == set(drawn)
