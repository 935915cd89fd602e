"""Freed memory that a process keeps."""

import ctypes
import os
import sys

KEPT = 2**30  # bytes
# Numbers of the settings in <malloc.h> of glibc.
TRIM_THRESHOLD, MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Let this process keep up to 1 GiB of freed memory for its next tensors; return whether it does.

    Otherwise glibc gives the memory of large tensors back, and every step of a training waits until the system has
    filled new pages with zeros. Nothing is changed without glibc, or where the environment sets its allocator
    (`GLIBC_TUNABLES`, `MALLOC_*_`). For processes of our own: a library must leave those of its users alone.

    Source:
        mallopt(3). `benchmarks/generalise.py` measures what it saves.
    """
    is_set = "GLIBC_TUNABLES" in os.environ or any(each.startswith("MALLOC_") for each in os.environ)
    if is_set or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(TRIM_THRESHOLD, KEPT) and mallopt(MMAP_MAX, 0))
