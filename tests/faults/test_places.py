"""Commands on full disks, without permission, and in folders that disappear."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from bench import COMMANDS, IS_FULL, Bench
from fault_suite import Moment, failed, refusal

pytestmark = pytest.mark.faults
SHARES = [0.02, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95] if IS_FULL else [0.1, 0.6]
SYNCS = range(12) if IS_FULL else (3,)


@pytest.fixture
def mounted(bench: Bench) -> Iterator[Callable[..., Path]]:
    """A function that mounts a small file system as the working folder of a command."""
    places: list[Path] = []

    def mount(name: str, size: int) -> Path:
        place = bench.place(name)
        kept = place.with_name("kept")
        place.rename(kept)
        place.mkdir()
        held = sum(max(4096, each.stat().st_size + 4095) for each in kept.rglob("*"))
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={held + size}", "tmpfs", place], capture_output=True
        )
        if done.returncode:
            pytest.skip("needs the right to mount a file system")
        places.append(place)
        shutil.copytree(kept, place, dirs_exist_ok=True)
        return place

    yield mount
    for each in places:
        subprocess.run(["umount", "-l", each], check=True)


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_on_a_full_disk_a_command_says_so_and_completes_once_there_is_room(name, bench, row, mounted):
    files = [each for each in bench.whole(name).contents.values() if each]
    needed, failures = sum(len(each) + 4096 for each in files), []
    for share in SHARES:
        place = mounted(name, int(needed * share))
        process = bench.start(name, place)
        ended = process.wait()
        wrong = [f"orphan: {each}" for each in process.orphans()]
        if ended.code:  # what needs less than the sum of all files may have completed
            wrong += refusal(ended, codes=(1, 3) if name == "sweep" else (1,))
            wrong += [f"temporary: {each}" for each in place.rglob("*.tmp")]
        remount(place, "size=500m")
        wrong += bench.completes(name, place)
        failures += failed(f"{name}: room for {share} of {needed} bytes", wrong)
    row(f"full disk: {name}", len(SHARES), failures)


@pytest.mark.parametrize("name", COMMANDS)
def test_where_syncing_finds_no_room_a_command_says_so(name, bench, row):
    failures = []
    for after in SYNCS:
        place = bench.place(name)
        process = bench.start(name, place, faults={"full": {"after": after}})
        ended = process.wait()
        wrong = [f"orphan: {each}" for each in process.orphans()]
        if ended.code:
            wrong += refusal(ended, codes=(1, 3) if name == "sweep" else (1,))
        wrong += bench.completes(name, place)
        failures += failed(f"{name}: no room at sync {after}", wrong)
    row(f"no room when syncing: {name}", len(SYNCS), failures)


@pytest.mark.parametrize("name", COMMANDS)
def test_in_a_read_only_folder_a_command_says_so(name, bench, row, mounted):
    place = mounted(name, 100_000_000)
    remount(place, "ro")
    process = bench.start(name, place)
    wrong = refusal(process.wait(), codes=(1, 2, 3) if name == "sweep" else (1, 2))
    wrong += [f"orphan: {each}" for each in process.orphans()]
    remount(place, "rw")
    wrong += bench.completes(name, place)
    row(f"read-only folder: {name}", 1, failed(name, wrong))


@pytest.mark.parametrize("kind", ["missing", "read-only", "full", "another file system"])
@pytest.mark.parametrize("name", COMMANDS if IS_FULL else ("train", "sweep"))
def test_wherever_temporary_files_are_a_command_completes(name, kind, bench, row, mounted):
    room = tempfile.mkdtemp() if kind == "missing" else str(mounted("train", 100_000_000))
    if kind == "missing":
        os.rmdir(room)  # noqa: PTH106
    elif kind == "read-only":
        remount(Path(room), "ro")
    elif kind == "full":
        with suppress(OSError), open(f"{room}/filler", "wb") as file:  # noqa: PTH123
            file.write(bytes(200_000_000))
    place = bench.place(name)
    process = bench.start(name, place, TMPDIR=room)
    ended = process.wait()
    wrong = bench.problems(name, place, ended, process.orphans())
    row(f"TMPDIR {kind}: {name}", 1, failed(f"{name} with TMPDIR {kind}", wrong))


SHELLS = {
    "standard output closed": ('exec "$@" >&-', (0, 1)),
    "standard output full": ('exec "$@" >/dev/full', (0, 1)),  # corrupt writes nothing there
    "standard output and errors closed": ('exec "$@" >&- 2>&-', (0, 1)),
    "a reader of the output that leaves": ('"$@" | true; exit 0', (0,)),
    "a deleted working folder": ('mkdir ../gone && cd ../gone && rmdir ../gone && exec "$@"', (1, 2)),
}


@pytest.mark.parametrize("kind", SHELLS)
@pytest.mark.parametrize("name", COMMANDS if IS_FULL else ("evaluate", "report"))
def test_without_an_output_or_a_working_folder_a_command_completes_or_says_so(name, kind, bench, row):
    place = bench.place(name)
    shell, codes = SHELLS[kind]
    process = bench.start(name, place, real=True, shell=shell)
    ended = process.wait()
    wrong = [f"orphan: {each}" for each in process.orphans()]
    wrong += [f"exit code {ended.code}, expected {codes}: {ended.err}"] if ended.code not in codes else []
    wrong += [f"traceback: {ended.err}"] if ended.has_traceback else []
    wrong += refusal(ended) if ended.code and "errors closed" not in kind else []
    if "working folder" not in kind:
        wrong += bench.completes(name, place)
    row(f"{kind}: {name}", 1, failed(f"{name}: {shell}", wrong))


@pytest.mark.parametrize("name", ["train", "evaluate", "corrupt to files", "sweep"])
def test_a_folder_that_is_deleted_under_a_command_is_one_sentence(name, bench, row):
    place = bench.place(name)
    process = bench.start(name, place)
    wrong = []
    if not process.is_over_at(Moment(0, len(bench.whole(name).units) // 2), place.parent / "units"):
        shutil.rmtree(place, ignore_errors=True)
        ended = process.wait()
        wrong = [f"traceback: {ended.err}"] if ended.has_traceback else []
        wrong += refusal(ended, codes=(1, 2, 3)) if ended.code else []
    wrong += [f"orphan: {each}" for each in process.orphans()]
    place.mkdir(exist_ok=True)
    row(f"a folder deleted under it: {name}", 1, failed(name, wrong))
