"""The bench of commands, and the table of faults at the end."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parent))
from bench import Bench

collect_ignore = ["inside"]
HEADS = ("fault", "tried", "survived", "work lost at most")


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Commands on tiny data."""
    found = Bench(tmp_path_factory.mktemp("bench"))
    yield found
    found.close()


@pytest.fixture
def row(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Add a row to the table of faults; what did not survive fails the test, with how to repeat it."""

    def add(fault: str, tried: int, failures: list[str], lost: str = "nothing") -> None:
        record_property("fault", json.dumps([fault, tried, tried - len(failures), lost]))
        if failures:
            pytest.fail("\n\n".join(failures), pytrace=False)

    return add


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a command in one process (with --dist loadgroup), which runs it undisturbed once."""
    for each in items:
        if isinstance(each, pytest.Function) and hasattr(each, "callspec") and "name" in each.callspec.params:
            each.add_marker(pytest.mark.xdist_group(str(each.callspec.params["name"])))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, and write it as JSON to the file that WITHSTAND_FAULTS_TABLE names."""
    reports = [each for key in ("passed", "failed") for each in terminalreporter.stats.get(key, [])]
    found = [json.loads(value) for each in reports for name, value in each.user_properties if name == "fault"]
    if found and (path := os.environ.get("WITHSTAND_FAULTS_TABLE")):
        lines = [dict(zip(HEADS, each, strict=True)) for each in sorted(found)]
        Path(path).write_text(json.dumps(lines, indent=1) + "\n")
    if found:
        terminalreporter.write_sep("=", "faults")
        terminalreporter.write_line(tabulate(sorted(found), headers=HEADS))
