"""The data that a process has loaded last, for the next run that wants the same."""

from withstand.configuration import canonical
from withstand.data.base import Dataset
from withstand.experiment import Parts, load_parts

_latest: dict[str, Parts] = {}


def latest_data(data: Dataset) -> Parts:
    """Return the three parts of a data set; those of the last one asked for are kept in memory.

    Only for processes that do the runs of one sweep: a file that changes in between is not read again.
    """
    key = canonical(data)
    if key not in _latest:
        _latest.clear()
        _latest[key] = load_parts(data)
    return _latest[key]
