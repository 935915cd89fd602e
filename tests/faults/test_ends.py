"""Commands that are killed or told to end, at random moments."""

import signal
import time
from itertools import cycle

import pytest
from bench import COMMANDS, IS_FULL, disturb

pytestmark = pytest.mark.faults
KILLS, REALS, SIGNALS = (50, 5, 34) if IS_FULL else (5, 1, 3)


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_random_moments_a_command_ends_in_the_files_of_an_undisturbed_one(name, bench, row):
    def kill(process):
        process.send(signal.SIGKILL)
        process.wait()
        return [f"orphan: {each}" for each in process.orphans()]

    row(f"kill -9: {name}", *disturb(bench, name, "kill -9", KILLS, kill, reals=REALS))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_ends_a_command_with_its_code_and_nothing_is_lost(name, number, bench, row):
    to_all = cycle([True, False])  # as a terminal sends it to the workers, too

    def end(process):
        sent = time.monotonic()
        process.send(number, to_all=next(to_all))
        ended = process.wait()
        wrong = [f"orphan: {each}" for each in process.orphans()]
        # What had ended by itself may have succeeded.
        if ended.code != 128 + number and not (ended.code == 0 and time.monotonic() - sent < 0.5):
            wrong.append(f"exit code {ended.code}: {ended.err}")
        if ended.has_traceback:
            wrong.append(f"traceback: {ended.err}")
        return wrong

    row(f"{number.name}: {name}", *disturb(bench, name, number.name, SIGNALS, end, reals=REALS))
