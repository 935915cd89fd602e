import logging

from withstand.console import Console


def test_a_warning_is_shown_once_per_command(capsys):
    log = logging.getLogger("withstand")
    for _ in range(2):
        Console(quiet=True)
        for name in ("a", "b", "a", "a"):
            log.warning("%s lacks a file.", name)
        assert capsys.readouterr().err.splitlines() == ["a lacks a file.", "b lacks a file."]
