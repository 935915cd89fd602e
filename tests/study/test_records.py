import pytest

from withstand.errors import InputError
from withstand.study import records
from withstand.study.records import read_json


def test_no_more_than_the_largest_size_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "MOST_BYTES", 10)
    (tmp_path / "a.json").write_text('"12345678"')
    assert read_json(tmp_path / "a.json") == "12345678"
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


def test_a_missing_file_is_called_missing(tmp_path):
    with pytest.raises(InputError, match=r"a\.json is missing"):
        read_json(tmp_path / "a.json")
