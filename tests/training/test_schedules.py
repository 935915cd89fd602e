import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withstand.training.schedules import Constant, Cosine, StepDecay

EVERY = [Constant, Cosine, StepDecay]


def at(schedule, epoch, *, epochs, steps_per_epoch=100):
    return schedule.factor(round(epoch * steps_per_epoch), steps_per_epoch=steps_per_epoch, epochs=epochs)


def test_the_constant_is_one():
    assert {at(Constant(), epoch, epochs=5) for epoch in (0, 2.5, 4.99)} == {1.0}


def test_the_cosine_goes_from_one_over_a_half_to_the_floor():
    assert at(Cosine(), 0, epochs=10) == 1.0
    assert at(Cosine(), 5, epochs=10) == pytest.approx(0.5)
    assert at(Cosine(), 2.5, epochs=10) == pytest.approx(0.5 * (1 + math.sqrt(0.5)))
    assert at(Cosine(), 10, epochs=10) == pytest.approx(0.0)
    assert at(Cosine(floor=0.2), 10, epochs=10) == pytest.approx(0.2)
    assert at(Cosine(floor=0.2), 5, epochs=10) == pytest.approx(0.6)


def test_the_last_step_of_a_cosine_still_learns():
    assert 0 < at(Cosine(), 9.99, epochs=10) < 1e-4


def test_steps_divide_by_ten_every_thirty_epochs():
    schedule = StepDecay(every=30, decay=0.1)
    wanted = {0: 1.0, 29.99: 1.0, 30: 0.1, 59.99: 0.1, 60: 0.01, 89.99: 0.01}
    for epoch, factor in wanted.items():
        assert at(schedule, epoch, epochs=90) == pytest.approx(factor)
    assert at(StepDecay(every=60, decay=0.1), 60, epochs=70) == pytest.approx(0.1)


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_the_warm_up_rises_linearly_from_the_first_step(cls):
    schedule = cls(warmup=2.0)
    rise = [schedule.factor(count, steps_per_epoch=10, epochs=100) for count in range(20)]
    assert rise == pytest.approx([(count + 1) / 20 for count in range(20)])
    assert cls(warmup=0.5).factor(4, steps_per_epoch=10, epochs=100) == pytest.approx(1.0)


def test_after_a_warm_up_the_cosine_starts_from_one():
    schedule = Cosine(warmup=2.0)
    assert at(schedule, 2, epochs=10) == pytest.approx(1.0)
    assert at(schedule, 6, epochs=10) == pytest.approx(0.5)


@given(
    cls=st.sampled_from(EVERY),
    warmup=st.floats(0, 20),
    epochs=st.integers(1, 12),
    steps_per_epoch=st.integers(1, 5),
)
def test_every_factor_is_above_zero_and_at_most_one(cls, warmup, epochs, steps_per_epoch):
    schedule = cls(warmup=warmup)
    for count in range(epochs * steps_per_epoch):
        factor = schedule.factor(count, steps_per_epoch=steps_per_epoch, epochs=epochs)
        assert 0 < factor <= 1 + 1e-12
