"""Forecast of a sweep: the time of a step."""

import pytest

from withstand.sweeps import forecast


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([3.0], 3.0),  # the whole training set in one batch
        ([3.0, 1.0], 1.0),
        ([9.0, 0.1, 0.2, 0.3], 0.2),
        ([9.0, *[0.5] * 100], 0.5),
    ],
)
def test_the_first_step_counts_only_if_there_is_no_other(seconds, expected, monkeypatch):
    now, done = [0.0], []
    monkeypatch.setattr(forecast.time, "perf_counter", lambda: now[0])

    def steps():
        for each in seconds:
            now[0] += each
            done.append(each)
            yield each

    assert forecast._of_a_step(steps()) == pytest.approx(expected)
    assert sum(done[1:]) <= forecast.SECONDS + max(seconds[1:], default=0)
