"""Measuring in many processes: the same outcomes as in one, whatever happens to some of the blocks."""

import os
import pickle
import signal

import pytest
import torch
from torch import nn

import withstand as ws
from withstand.engine import Engine
from withstand.errors import InputError, TrainingError
from withstand.measuring.ask import ask
from withstand.measuring.blocks import SHARED, SampleBlock, Spread, divided, loaded
from withstand.measuring.parts import PARTS
from withstand.measuring.question import Question
from withstand.perturbations.ball import Ball
from withstand.pools.block import Outcome, State, attempt
from withstand.pools.local_pool import LocalPool
from withstand.pools.pool import Pool
from withstand.pools.shared import SharedFile, packed
from withstand.subjects import of_modules

ENGINE = Engine(batch_size=50)
ON = ["clean", "contrast/3", ws.Gaussian(std=0.2), "calibration"]
MORE = [*ON, "worst-case", "threshold"]  # with states, and with passes after the first


class Here(Pool):
    """A pool of this process, to which blocks are sent as to others; it loses some, and can stop."""

    def __init__(self, *, loses=(), stops_after=None):
        self.waiting, self.begun, self.loses, self.stops_after = [], [], list(loses), stops_after

    @property
    def free(self):
        return 2 - len(self.waiting)

    def begin(self, key, block):
        self.waiting.append((key, pickle.dumps(block)))
        self.begun.append((block.start, block.stop))

    def wait(self, seconds):
        if self.stops_after is not None and len(self.begun) > self.stops_after:
            raise KeyboardInterrupt
        key, sent = self.waiting.pop()  # the last first: the order must not matter
        if key in self.loses:
            self.loses.remove(key)
            return [(key, Outcome(State.LOST, "its process ended with SIGKILL."))]
        loaded.cache_clear()
        block = pickle.loads(sent)
        outcome = attempt(block, Engine())
        assert outcome.state == State.FAILED or block.is_done()
        return [(key, outcome)]

    def close(self):
        self.waiting.clear()


@pytest.fixture(scope="module")
def model():
    model = ws.SmallCNN(width=4).build((3, 32, 32), 10, seed=0)
    ws.fit(model, ws.Digits(), epochs=1, batch_size=64)
    return model


def asked(model, folder, pool=None, on=ON):
    """Return the outcomes of all conditions, and what was said, measured in this process or in a pool."""
    data, said = ws.Digits(), []
    question = Question.of(data, on, balls=[Ball("linf", 0.02)], budget="quick")
    subjects = of_modules({"net": model}, question, data=data, keep=folder, seed=3, engine=ENGINE)
    spread = None if pool is None else Spread(lambda *_: pool, 2, warn=said.append)
    results = ask(subjects, seed=3, engine=ENGINE, spread=spread)
    return results, said


def assert_same(one, two):
    first, second = (each.tables_of_outcomes["net"] for each in (one, two))
    assert [each.condition for each in first.conditions] == [each.condition for each in second.conditions]
    for a, b in zip(first.conditions, second.conditions, strict=True):
        assert a.frame.equals(b.frame), a.condition
        assert (a.numbers, a.notes) == (b.numbers, b.notes)
    assert first.samples.equals(second.samples)
    assert one.rows == two.rows


@pytest.mark.parametrize("on", [ON, pytest.param(MORE, marks=pytest.mark.slow)], ids=["few", "more"])
def test_outcomes_are_equal_in_every_value_and_lost_blocks_are_repeated(model, tmp_path, on):
    pool = Here(loses=["0", "0", "2"])
    alone, _ = asked(model, tmp_path / "alone", on=on)
    together, said = asked(model, tmp_path / "together", pool, on)
    assert len(pool.begun) >= 8
    assert len(said) == 3
    assert_same(alone, together)
    assert not list((tmp_path / "together").rglob(f"{PARTS}*"))  # parts and shared work are removed at the end


def test_after_a_stop_only_missing_blocks_are_done(model, tmp_path):
    on = ["clean", "contrast/3"]
    stopped = Here(stops_after=3)
    with pytest.raises(KeyboardInterrupt):
        asked(model, tmp_path / "stopped", stopped, on)
    resumed = Here()
    together, _ = asked(model, tmp_path / "stopped", resumed, on)
    assert 0 < len(resumed.begun) < 8
    done = [each for each in stopped.begun if each not in resumed.begun]
    assert done
    assert sorted(done + resumed.begun)[0][0] == 0
    assert sum(stop - start for start, stop in done + resumed.begun) == len(ws.Digits().load("test"))
    assert_same(asked(model, tmp_path / "alone", on=on)[0], together)


def test_what_a_pool_left_is_completed_in_this_process_and_the_other_way_round(model, tmp_path, monkeypatch):
    on = ["clean", "contrast/3"]
    with pytest.raises(KeyboardInterrupt):
        asked(model, tmp_path / "mixed", Here(stops_after=3), on)
    alone, _ = asked(model, tmp_path / "alone", on=on)
    assert_same(alone, asked(model, tmp_path / "mixed", on=on)[0])


def test_a_failure_in_a_block_is_raised_as_in_this_process(model, tmp_path):
    class Odd(nn.Module):
        def forward(self, x):
            if len(x) > 2:
                raise InputError("net: too many samples at once, got 50.")
            return x.flatten(1)[:, :10]

    for pool in (None, Here()):
        with pytest.raises(InputError, match="too many samples at once"):
            asked(Odd(), tmp_path / str(pool is None), pool, ["clean"])


def test_work_that_is_lost_again_and_again_is_given_up(model, tmp_path):
    with pytest.raises(TrainingError, match="lost 3 times"):
        asked(model, tmp_path, Here(loses=["0"] * 3), ["clean"])


def test_a_model_that_cannot_be_sent_is_refused(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    model.register_forward_hook(lambda *_: None)
    model.note = (each for each in ())
    with pytest.raises(InputError, match="cannot be sent to other processes"):
        asked(model, tmp_path, Here(), ["clean"])


def test_shared_work_that_was_exchanged_is_refused(tmp_path):
    path = tmp_path / SHARED
    path.write_bytes(pickle.dumps("something else"))
    block = SampleBlock(SharedFile(path, "0" * 64), tmp_path, 0, 2, 2)
    outcome = attempt(block, Engine())
    assert outcome.state == State.FAILED
    assert "has changed while it was in use" in outcome.problem


def test_a_model_of_a_users_file_is_sent_by_value(tmp_path):
    (tmp_path / "own.py").write_text(
        "from torch import nn\nSIZE = 3072\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.part = nn.Linear(SIZE, 10)\n\n    def forward(self, x):\n        return self.part(x.flatten(1))\n"
    )
    from withstand import plugins

    own = plugins.find("model", f"{tmp_path / 'own.py'}:Net")
    content = packed("evaluate", own(), ())
    assert b"SIZE" in content


@pytest.mark.parametrize("conditions", [1, 20, 5000])
def test_blocks_hold_whole_batches_and_lose_little(conditions):
    missing = [(0, 1000), (1100, 1205)]
    found = divided(missing, 50, conditions=conditions, processes=2)
    assert max(stop - start for start, stop in found) * conditions <= max(4096, 50 * conditions)
    assert all((start - first) % 50 == 0 for first, last in missing for start, _ in found if first <= start < last)
    covered = torch.cat([torch.arange(*each) for each in found])
    assert covered.tolist() == [*range(1000), *range(1100, 1205)]


@pytest.mark.slow
def test_processes_measure_what_one_measures_and_a_killed_one_costs_only_its_block(model, tmp_path):
    class Killing(LocalPool):
        killed = False

        def wait(self, seconds):
            process = next((each.process for each in self.workers if each.future), None)
            if not Killing.killed and process is not None and process.pid:
                Killing.killed = True
                os.kill(process.pid, signal.SIGKILL)
            return super().wait(seconds)

    alone, _ = asked(model, tmp_path / "alone", on=MORE)
    together, said = asked(model, tmp_path / "together", Killing(2), MORE)
    assert len(said) == 1
    assert_same(alone, together)
