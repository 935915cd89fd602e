"""Commands that are killed or signalled at random moments."""

import signal
from itertools import cycle

import pytest
from bench import COMMANDS, IS_FULL, disturb
from fault_suite import refusal

pytestmark = pytest.mark.faults
KILLS, REALS, SIGNALS = (50, 5, 34) if IS_FULL else (5, 1, 3)


def tries(number, name):
    """Return a smaller number for commands whose workers import PyTorch, except in full runs."""
    return number if IS_FULL or name not in ("sweep", "corrupt to files") else number // 2


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_random_moments_a_command_ends_in_the_files_of_an_undisturbed_one(name, bench, row):
    def kill(process):
        process.send(signal.SIGKILL)
        process.wait()
        return [f"orphan: {each}" for each in process.orphans()]

    row(f"kill -9: {name}", *disturb(bench, name, "kill -9", tries(KILLS, name), kill, reals=REALS))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_ends_a_command_with_its_code_and_nothing_is_lost(name, number, bench, row):
    to_all = cycle([True, False])  # as a terminal sends it to the workers, too

    def end(process):
        process.send(number, to_all=next(to_all))
        has_completed = bench.has_completed(name, process.cwd)
        ended = process.wait()
        wrong = [f"orphan: {each}" for each in process.orphans()]
        has_begun = "withstand: " in ended.err or "/withstand/" in ended.err
        if ended.code and not has_begun and (process.server is None or ended.code == 128 + number):
            return wrong  # Python was still starting
        if ended.code == 0 and has_completed:
            return wrong + [f"traceback: {ended.err}"] * ended.has_traceback
        return wrong + refusal(ended, codes=(128 + number,))

    row(f"{number.name}: {name}", *disturb(bench, name, number.name, tries(SIGNALS, name), end, reals=REALS))
