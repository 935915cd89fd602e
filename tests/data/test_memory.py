import pytest

from withstand.data import memory
from withstand.data.memory import available_memory, check_memory
from withstand.errors import InputError


@pytest.fixture
def machine(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 5000 kB\nHugePages_Total: 0\n")
    monkeypatch.setattr(memory, "MACHINE", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    return tmp_path


def limit(folder, most, used, inactive):
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 3\ninactive_file {inactive}\n")


def test_without_a_limit_the_memory_of_the_machine_counts(machine):
    assert available_memory() == 5000 * 1024
    limit(machine, "max", 10, 1)
    assert available_memory() == 5000 * 1024


def test_the_limit_of_a_container_counts_if_it_is_lower(machine):
    limit(machine, 10_000, 4_000, 1_000)
    assert available_memory() == 7_000
    limit(machine, 10_000, 40_000, 0)
    assert available_memory() == 0
    limit(machine, 10**12, 0, 0)
    assert available_memory() == 5000 * 1024


def test_unknown_memory_rejects_nothing(machine):
    (machine / "meminfo").unlink()
    assert available_memory() is None
    check_memory("Who", "the table", 10**18)


def test_the_message_names_what_is_needed_and_what_there_is(machine):
    check_memory("Who", "the table", 5000 * 1024)
    with pytest.raises(InputError, match=r"^Who: the table .*2\.0 GB.* 0\.0 GB"):
        check_memory("Who", "the table", 2 * 10**9)
