"""Available memory."""

from pathlib import Path

from withstand.errors import InputError

MACHINE, GROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def check_memory(who: str, what: str, needed: int) -> None:
    """Reject work that needs more memory than is available.

    Args:
        who: First word of the message.
        what: Subject of the message, such as "the table".
        needed: Bytes.

    Raises:
        InputError: If too little is available.
    """
    available = available_memory()
    if available is not None and needed > available:
        raise InputError(
            f"{who}: {what} needs {needed / 1e9:,.1f} GB of memory, but {available / 1e9:,.1f} GB are available; "
            "use fewer rows or columns, or free memory."
        )


def available_memory() -> int | None:
    """Return the bytes that can be allocated without swapping, in this container; None if unknown."""
    machine, group = _numbers(MACHINE), _numbers(GROUP / "memory.stat")
    found = [1024 * machine["MemAvailable:"]] if "MemAvailable:" in machine else []
    try:
        most, used = (int((GROUP / f"memory.{each}").read_text()) for each in ("max", "current"))
        found.append(max(0, most - used + group.get("inactive_file", 0)))  # the cache of files can be freed
    except (OSError, ValueError):  # no container, or one without a limit
        pass
    return min(found, default=None)


def _numbers(path: Path) -> dict[str, int]:
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
        return {name: int(number) for name, number, *_ in lines}
    except (OSError, ValueError):
        return {}
