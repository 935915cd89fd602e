"""A run that fails, also where not even its failure can be written."""

import pytest

from withstand.data.tables.toy import Toy
from withstand.engine import Engine
from withstand.errors import InputError
from withstand.experiment import Experiment
from withstand.models.mlp import MLP
from withstand.pools.block import Outcome, State, attempt, attempt_on
from withstand.sweeps.batch_pool import BatchPool
from withstand.sweeps.run_block import RunBlock
from withstand.sweeps.sweep import sweep
from withstand.training.settings import Training

RUN = Experiment(data=Toy(num_train=40, num_test=40), model=MLP(hidden=(4,)), training=Training(epochs=1))


@pytest.fixture
def blocked(tmp_path):
    """A place where nothing can be written, for anyone: below a file."""
    (tmp_path / "file").write_bytes(b"")
    return tmp_path / "file" / "runs"


def test_a_run_that_cannot_write_its_failure_reports_it(blocked):
    state, problem, error = attempt(RunBlock(RUN, blocked), Engine())
    assert state == State.FAILED
    assert str(blocked.parent) in problem
    assert isinstance(error, InputError)
    assert attempt_on("cuda:99", RunBlock(RUN, blocked)).state == State.FAILED


def test_runs_in_one_batch_that_cannot_write_their_failure_report_it(blocked):
    pool = BatchPool(blocked, device="cpu")
    pool.begin("run", RunBlock(RUN, blocked))
    ((key, outcome),) = pool.wait(0)
    assert (key, outcome.state) == ("run", State.FAILED)
    assert str(blocked) in outcome.problem


def test_a_sweep_on_a_full_disk_gives_up_lost_runs_and_goes_on(plan, blocked, watch):
    class Losing:
        free, run = 1, None

        def begin(self, key, experiment):
            self.run, self.free = key, 0

        def wait(self, seconds):
            if self.free:
                return []
            self.free = 1
            return [(self.run, Outcome(State.LOST, "its process ended with SIGKILL."))]

    tally = sweep(plan, blocked, Losing(), watch)
    assert set(tally.failed) == set(plan.experiments)
