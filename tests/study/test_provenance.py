"""Commands that measured outcomes are recorded next to them, each once."""

import json

import pytest

from withstand.study.provenance import PROVENANCE, add_command
from withstand.study.records import read_json

ONE, OTHER = ["/x/withstand", "evaluate", "a"], ["/x/withstand", "evaluate", "b"]


def test_commands_are_recorded_once_and_what_else_is_known_stays(tmp_path):
    (tmp_path / PROVENANCE).write_text(json.dumps({"platform": "x"}))
    for each in (ONE, OTHER, ONE):
        add_command(tmp_path, each)
    assert read_json(tmp_path / PROVENANCE) == {"platform": "x", "commands": [ONE, OTHER]}


@pytest.mark.parametrize("spoilt", [None, "", "[1]"])
def test_a_missing_or_damaged_file_is_begun_again(tmp_path, spoilt):
    if spoilt is not None:
        (tmp_path / PROVENANCE).write_text(spoilt)
    add_command(tmp_path, ONE)
    assert read_json(tmp_path / PROVENANCE) == {"commands": [ONE]}
