"""Memory that was freed: kept by our own processes, up to a bound, and by nobody else's."""

import os
import platform
import subprocess
import sys

import pytest

MEGABYTE = 2**20
SIZE = 300  # megabytes
# Prints what the process holds, in megabytes, beside what it held before it made and freed a large array.
PROGRAM = f"""
import os, sys
import numpy as np
from withstand import cli
from withstand.pools import memory

memory.KEPT = int(sys.argv[2]) * {MEGABYTE}
held = lambda: int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // {MEGABYTE}
if sys.argv[1] == "ours":
    memory.keep_freed_memory()
elif sys.argv[1] == "a command of a user's process":
    cli.main(["list", "recipes"])
elif sys.argv[1] == "a command's":
    sys.argv = ["withstand", "list", "recipes"]
    cli.main()
before = held()
np.ones({SIZE * MEGABYTE}, np.uint8)
sys.stderr.write(str(held() - before))
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc, as most of Linux has")


def held_after(whose: str, most: int = 1024, **environment: str) -> int:
    """Return the megabytes that a process still holds after it freed `SIZE` megabytes."""
    words = [sys.executable, "-c", PROGRAM, whose, str(most)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=os.environ | environment)
    return int(done.stderr)


@pytest.mark.parametrize("whose", ["ours", "a command's"])
def test_a_process_keeps_what_it_freed(whose: str) -> None:
    assert held_after(whose) >= SIZE - 20


def test_no_more_than_the_bound_is_kept() -> None:
    assert held_after("ours", most=SIZE // 3) <= SIZE // 3


@pytest.mark.parametrize("whose", ["a user's", "a command of a user's process"])
def test_processes_of_users_give_memory_back(whose: str) -> None:
    assert held_after(whose) <= 20


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_environment_says_about_the_allocator_holds(name: str) -> None:
    value = str(64 * MEGABYTE)
    assert held_after("ours", **{name: value if name.endswith("_") else f"glibc.malloc.trim_threshold={value}"}) <= 64
