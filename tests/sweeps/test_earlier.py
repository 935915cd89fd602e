"""What an earlier plan leaves in the folder of a sweep."""

import json

import pytest
import yaml

from withstand.cli import main
from withstand.errors import InputError
from withstand.experiment import ROWS
from withstand.study.sweep import PLAN, Entry, read_entries
from withstand.sweeps.earlier import spoken_of, unite
from withstand.sweeps.plan import Plan
from withstand.sweeps.sweep import record

TOY = {"data": "toy", "data.num_train": 40, "data.num_test": 40, "model": "mlp", "epochs": 1}


def plan_of(*entries):
    """A plan of entries, each with labels, seed and run; the experiments do not matter."""
    made = tuple(Entry(labels=labels, seed=seed, run=run) for labels, seed, run in entries)
    return Plan(name="mine", entries=made, experiments=dict.fromkeys(each.run for each in made))


def recorded(plan, folder, *, finished=None):
    """Write a plan, and rows of the runs that are finished: all unless said."""
    record(plan, folder, command=["withstand", "sweep"])
    for run in plan.experiments if finished is None else finished:
        (folder / run).mkdir(exist_ok=True)
        (folder / run / ROWS).write_text("")


FIRST = plan_of(({"lr": 0.1}, 0, "a"), ({"lr": 0.1}, 1, "b"), ({"lr": 0.2}, 0, "c"))


def test_finished_runs_of_an_earlier_plan_stay_and_unfinished_ones_do_not(tmp_path):
    recorded(FIRST, tmp_path, finished=["a", "c"])
    union = record(plan_of(({"lr": 0.3}, 0, "d")), tmp_path, command=["withstand", "sweep"])
    assert [each.run for each in read_entries(tmp_path)] == ["d", "a", "c"]
    assert union.earlier == ("a", "c")
    assert spoken_of(union, tmp_path) == f"2 finished runs of an earlier plan stay in {tmp_path}."


def test_fewer_seeds_lose_nothing(tmp_path):
    recorded(FIRST, tmp_path)
    before = (tmp_path / PLAN).read_bytes()
    fewer = plan_of(({"lr": 0.1}, 0, "a"), ({"lr": 0.2}, 0, "c"))
    assert record(fewer, tmp_path, command=["withstand", "sweep", "--seeds", "1"]).earlier == ("b",)
    assert {each.run for each in read_entries(tmp_path)} == {"a", "b", "c"}
    assert record(FIRST, tmp_path, command=["withstand"]).earlier == ()
    assert (tmp_path / PLAN).read_bytes() == before


def test_the_same_plan_is_left_as_it_is_whatever_else_stands_there(tmp_path):
    recorded(FIRST, tmp_path)
    recorded(plan_of(({"lr": 0.3}, 0, "d")), tmp_path)
    before = (tmp_path / PLAN).read_bytes()
    for plan in (FIRST, plan_of(({"lr": 0.3}, 0, "d"))):
        record(plan, tmp_path, command=["other"])
        assert (tmp_path / PLAN).read_bytes() == before


def test_runs_of_the_same_values_and_seed_that_differ_in_another_option_are_refused(tmp_path):
    recorded(FIRST, tmp_path)
    before = (tmp_path / PLAN).read_bytes()
    longer = plan_of(({"lr": 0.1}, 0, "longer"))
    with pytest.raises(InputError, match=r"holds 1 finished run with the values and the seed of a run of this plan"):
        record(longer, tmp_path, command=["withstand"])
    assert (tmp_path / PLAN).read_bytes() == before


def test_other_axes_are_refused_where_runs_would_be_lost(tmp_path):
    recorded(FIRST, tmp_path)
    before = (tmp_path / PLAN).read_bytes()
    wider = plan_of(({"lr": 0.1, "std": 1}, 0, "d"))
    with pytest.raises(
        InputError, match=r"3 finished runs of a sweep that varied lr, not lr and std; choose another --n"
    ):
        record(wider, tmp_path, command=["withstand"])
    assert (tmp_path / PLAN).read_bytes() == before


def test_other_names_for_the_same_runs_take_their_place(tmp_path):
    recorded(FIRST, tmp_path)
    renamed = plan_of(*(({"rate": each.labels["lr"]}, each.seed, each.run) for each in FIRST.entries))
    union = record(renamed, tmp_path, command=["withstand"])
    assert read_entries(tmp_path) == renamed.entries
    assert not union.earlier
    assert spoken_of(union, tmp_path) == ""


def test_a_run_that_both_plans_share_keeps_its_earlier_values(tmp_path):
    """A method that the other axis does not touch has one run for all its values; none of these may become a hole."""
    plan = plan_of(*(({"method": m, "std": 1}, 0, run) for m, run in (("plain", "p"), ("noise", "n1"))))
    other = plan_of(*(({"method": m, "std": 2}, 0, run) for m, run in (("plain", "p"), ("noise", "n2"))))
    recorded(plan, tmp_path)
    recorded(other, tmp_path)
    found = {(each.labels["method"], each.labels["std"], each.run) for each in read_entries(tmp_path)}
    assert found == {("plain", 1, "p"), ("noise", 1, "n1"), ("plain", 2, "p"), ("noise", 2, "n2")}
    assert unite(other, tmp_path).is_written


@pytest.mark.slow
def test_the_command_tells_what_stays_and_another_name_makes_another_folder(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    words = ["sweep", str(path), "--output", str(tmp_path), "--format", "json"]

    def go(vary, *more):
        path.write_text(yaml.safe_dump({"set": TOY, "vary": vary}))
        code = main([*words, *more])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    assert go({"lr": [0.1]})[0] == 0
    code, _, err = go({"lr": [0.2]})
    assert code == 0
    assert f"1 finished run of an earlier plan stays in {tmp_path / 'mine'}." in err
    assert {each.labels["lr"] for each in read_entries(tmp_path / "mine")} == {0.1, 0.2}
    code, _, err = go({"epochs": [2]})
    assert code == 2
    assert "choose another --name or --output" in err
    assert go({"epochs": [2]}, "--dry-run")[0] == 2
    code, out, _ = go({"epochs": [2]}, "--name", "other")
    assert code == 0
    assert json.loads(out)["folder"] == str(tmp_path / "other")
    assert go({"epochs": [2]}, "--name", "../up")[0] == 2
