"""The list of decisions names every page by its title."""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"


def test_the_list_names_every_decision_by_its_title():
    pages = {each.name: each.read_text(encoding="utf-8") for each in sorted(FOLDER.glob("0*.md"))}
    titles = {name: re.findall(r"(?m)^# (.+)$", text) for name, text in pages.items()}
    listed = re.findall(r"(?m)^\| \[(.+)\]\((.+\.md)\) \|", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert [(name, [title]) for title, name in listed] == list(titles.items())
