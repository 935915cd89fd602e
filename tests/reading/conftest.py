"""An alarm for tests of readers that could hang."""

import signal
from collections.abc import Iterator

import pytest

SECONDS = 30


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    """Fail a test that takes too long."""

    def stop(*_: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
