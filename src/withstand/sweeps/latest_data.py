"""The data that a process has loaded last, for the next run that wants the same."""

from functools import lru_cache

from withstand.data.base import Dataset
from withstand.experiment import Parts, load_parts


@lru_cache(maxsize=1)
def latest_data(data: Dataset) -> Parts:
    """Return the three parts of a data set; those of the last one asked for are kept in memory.

    Only for processes that do the runs of one sweep: a file that changes in between is not read again.
    """
    return load_parts(data)
