"""Runs on a Ray cluster: what becomes of them is what becomes of local ones, and a lost node costs time only."""

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import withstand
from withstand.cli import main
from withstand.errors import InputError
from withstand.experiment import ROWS, run
from withstand.options import read_experiment
from withstand.pools import on_ray
from withstand.pools.block import Outcome, State
from withstand.pools.on_ray import RayPool, number_of_gpu
from withstand.study.measures.row import read_rows
from withstand.study.sweep import read_failure
from withstand.sweeps.plan import read_plan
from withstand.sweeps.run_block import RunBlock
from withstand.sweeps.sweep import sweep


class RayError(Exception):
    pass


class RayTaskError(RayError):
    cause = None


class FakeRay:
    """As much of Ray as the pool uses: tasks are done when they are waited for, or raise what the test says."""

    def __init__(self):
        self.exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
        strategies = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: node)
        self.util = SimpleNamespace(scheduling_strategies=strategies)
        self.told, self.cancelled, self.up, self.options = {}, [], False, {}
        self.machines = [self.machine("first", CPU=2.0), self.machine("second", CPU=1.0, GPU=1.0)]

    @staticmethod
    def machine(name, **resources):
        return {"Alive": True, "NodeID": name, "NodeManagerHostname": name, "Resources": resources}

    def is_initialized(self):
        return self.up

    def init(self, address, **options):
        self.up, self.options = True, options

    def shutdown(self):
        self.up = False

    def nodes(self):
        return self.machines

    def remote(self, **options):
        def decorate(function):
            def begin(*words):
                return (function.__name__, function, words)

            task = SimpleNamespace(remote=begin)
            task.options = lambda **_: task
            return task

        return decorate

    def wait(self, tasks, num_returns, timeout):
        return tasks[:num_returns], tasks[num_returns:]

    def get(self, task, timeout=None):
        name, function, words = task
        told = self.told.get(name)
        if isinstance(told, Exception):
            raise told
        return function(*words) if told is None else told

    def cancel(self, task, force):
        self.cancelled.append(task)


@pytest.fixture
def ray(monkeypatch):
    """A false Ray of two nodes, of which one has a GPU."""
    false = FakeRay()
    monkeypatch.setattr(on_ray, "import_ray", lambda: false)
    return false


def test_only_one_file_imports_ray_and_one_submitit():
    root = Path(withstand.__file__).parent
    for package, own in (("ray", "on_ray.py"), ("submitit", "slurm.py")):
        pattern = re.compile(rf"^\s*(import|from) {package}\b", re.MULTILINE)
        found = [each for each in root.rglob("*.py") if pattern.search(each.read_text())]
        assert [each.relative_to(root).as_posix() for each in found] == [f"pools/{own}"]


def test_runs_are_done_and_the_marker_goes(ray, plan, tmp_path, watch):
    with RayPool(tmp_path / "swept", address="auto") as pool:
        assert list((tmp_path / "swept").glob(".seen-*"))
        tally = sweep(plan, tmp_path / "swept", pool, watch)
    assert tally.done == list(plan.experiments)
    assert all((tmp_path / "swept" / each / ROWS).exists() for each in plan.experiments)
    assert not list((tmp_path / "swept").glob(".*"))
    assert not ray.up


def test_a_cluster_has_as_many_places_as_its_nodes_and_one_run_waits(ray, tmp_path):
    assert RayPool(tmp_path, address="auto").free == 3 + 1
    assert RayPool(tmp_path, address="auto", most=2).free == 2
    assert RayPool(tmp_path, address="auto", gpus_per_task=0.5).free == 1 + 1  # one CPU on the node with the GPU
    ray.machines[1]["Resources"]["CPU"] = 16.0
    assert RayPool(tmp_path, address="auto", gpus_per_task=0.25).free == 4 + 1
    ray.machines[1]["Alive"] = False
    with pytest.raises(InputError, match=r"a task needs a CPU and 0\.25 of a GPU; no node"):
        RayPool(tmp_path, address="auto", gpus_per_task=0.25)


def test_a_run_whose_node_is_gone_is_lost_and_one_whose_task_raises_has_failed(ray, plan, tmp_path):
    one, other, *_ = plan.experiments
    pool = RayPool(tmp_path, address="auto")
    ray.told["work"] = RayError("the raylet died")
    pool.begin(one, RunBlock(plan.experiments[one], tmp_path))
    assert pool.wait(0) == [(one, Outcome(State.LOST, "its process or node is gone (RayError)."))]
    problem = RayTaskError("a traceback\nof many lines")
    problem.cause = KeyError("torch")
    ray.told["work"] = problem
    pool.begin(other, RunBlock(plan.experiments[other], tmp_path))
    assert pool.wait(0) == [(other, Outcome(State.FAILED, "its task failed ('torch')."))]
    assert read_failure(tmp_path / other) == "its task failed ('torch')."
    assert pool.wait(0) == []


def test_what_is_under_way_is_cancelled_at_the_end(ray, plan, tmp_path):
    one = next(iter(plan.experiments))
    with RayPool(tmp_path, address="auto") as pool:
        pool.begin(one, RunBlock(plan.experiments[one], tmp_path))
    assert len(ray.cancelled) == 1


def test_a_node_that_cannot_do_runs_is_named(ray, tmp_path):
    ray.told["look"] = (False, "0")
    with pytest.raises(InputError, match=r"node first does not see .*; choose an --output folder on a file system"):
        RayPool(tmp_path, address="auto")
    ray.told["look"] = (True, "0.0.1")
    with pytest.raises(InputError, match=r"node first has withstand 0\.0\.1, expected"):
        RayPool(tmp_path, address="auto")
    ray.told["look"] = RayTaskError("No module named 'withstand'\nand more")
    with pytest.raises(InputError, match=r"node first cannot do tasks \(No module named 'withstand'\)"):
        RayPool(tmp_path, address="auto")
    assert not list(tmp_path.iterdir())
    assert not ray.up


def test_every_node_is_asked_also_if_their_machines_have_one_name(ray, tmp_path, monkeypatch):
    for node in ray.machines:
        node["NodeManagerHostname"] = "localhost"
    asked, get = [], ray.get
    monkeypatch.setattr(ray, "get", lambda task, **options: (asked.append(task[0]), get(task, **options))[1])
    RayPool(tmp_path, address="auto").close()
    assert asked == ["look", "look"]


def test_a_node_that_joins_later_without_the_folder_fails_its_runs_only(ray, plan, tmp_path):
    one = next(iter(plan.experiments))
    pool = RayPool(tmp_path, address="auto")
    pool.place.marker.unlink()
    pool.begin(one, RunBlock(plan.experiments[one], tmp_path))
    ((_, outcome),) = pool.wait(0)
    assert outcome.state == State.FAILED
    assert "does not see" in outcome.problem


def test_the_number_of_a_gpu_is_that_among_those_that_are_seen(monkeypatch, ray):
    context = SimpleNamespace(get_accelerator_ids=lambda: {"GPU": ["5"]})
    ray.get_runtime_context = lambda: context
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert number_of_gpu() == 5
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert number_of_gpu() == 1


def test_without_ray_one_sentence_names_the_extra(source, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["sweep", str(source), "--output", str(tmp_path), "--address", "auto"]) == 2
    assert "address: needs Ray; install it with pip install 'withstand[cluster]'" in capsys.readouterr().err
    assert not (tmp_path / "try").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--address", "auto", "--slurm"], "--address and --slurm cannot be combined"),
        (["--gpus-per-task", "0.5"], "add --address"),
        (["--address", "auto", "--device", "cpu"], "--device cannot be combined with --address"),
        (["--address", "auto", "--gpus-per-task", "2"], "gpus_per_task: must be a share from 0 to 1, got 2"),
        (["--slurm-options", "partition=gpu"], "--slurm-options needs --slurm"),
    ],
)
def test_options_that_contradict_each_other_are_one_sentence(source, tmp_path, capsys, words, sentence):
    assert main(["sweep", str(source), "--output", str(tmp_path), *words]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "try").exists()


@pytest.mark.faults
@pytest.mark.filterwarnings("default")
def test_a_node_that_dies_in_the_middle_changes_no_row(source, tmp_path, watch, monkeypatch, record_property):
    pytest.importorskip("ray", reason="needs the extra cluster")
    from ray.cluster_utils import Cluster

    content = yaml.safe_load(source.read_text())
    source.write_text(yaml.safe_dump({**content, "set": {**content["set"], "epochs": 2000}}))
    plan = read_plan(str(source), read_experiment)
    monkeypatch.setitem(os.environ, "RAY_USAGE_STATS_ENABLED", "0")
    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 * 2**20}
    machines = Cluster(initialize_head=True, head_node_args=head)
    root, outcomes = tmp_path / "swept", []
    try:
        second = machines.add_node(num_cpus=1, object_store_memory=100 * 2**20)
        with RayPool(root, address=machines.address) as pool:
            assert pool.free == 2 + 1
            wait = pool.wait

            def kill_and_wait(seconds):
                nonlocal second
                ended = wait(seconds)
                outcomes.extend(ended)
                begun = [each.parent for each in root.glob("*/config.yaml")]
                if second is not None and sum(not (each / ROWS).exists() for each in begun) == 2 and not ended:
                    machines.remove_node(second, allow_graceful=False)
                    second = None
                return ended

            monkeypatch.setattr(pool, "wait", kill_and_wait)
            tally = sweep(plan, root, pool, watch)
    finally:
        machines.shutdown()
    assert second is None
    assert [outcome.state for _, outcome in outcomes].count(State.LOST) == 1
    assert not tally.failed
    assert set(tally.done) == set(plan.experiments)
    for name, experiment in plan.experiments.items():
        assert read_rows(root / name / ROWS) == read_rows(run(experiment, tmp_path / "alone") / ROWS)
    record_property("fault", '["a lost Ray node: sweep", 1, 1, "the runs under way on it"]')
