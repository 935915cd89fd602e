"""Cache of the data set that a process loaded last."""

from withstand.configuration import canonical
from withstand.data.base import Dataset
from withstand.experiment import Parts, load_parts

_latest: dict[str, Parts] = {}


def latest_data(data: Dataset) -> Parts:
    """Return the three parts of a data set; the last data set is cached.

    For the processes of a sweep only: changed files are not read again.
    """
    key = canonical(data)
    if key not in _latest:
        _latest.clear()
        _latest[key] = load_parts(data)
    return _latest[key]
