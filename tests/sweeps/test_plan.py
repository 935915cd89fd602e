"""What a sweep's file says, and the experiments this makes."""

from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from withstand.errors import InputError
from withstand.options import read_experiment
from withstand.sweeps.plan import combinations, load, read_plan, words_of

TOY = {"data": "toy", "model": "mlp", "epochs": 1}
BALL = "objective.perturbation.ball.radius"


@pytest.fixture
def plan_of(tmp_path):
    """A function that writes a sweep's file and reads its plan."""

    def read(content, **options):
        path = tmp_path / "try.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return read_plan(str(path), read_experiment, **options)

    return read


def test_every_value_meets_every_other_and_every_seed(plan_of):
    axes = {"objective.fold.temperature": [0.1, 1.0], "training.epochs": [1, 2, 3]}
    plan = plan_of({"set": TOY, "vary": axes, "seeds": 2})
    assert len(plan.entries) == len(plan.experiments) == 12
    for each in plan.entries:
        experiment = plan.experiments[each.run]
        assert experiment.objective.fold.temperature == each.labels["objective.fold.temperature"]
        assert experiment.training.epochs == each.labels["training.epochs"]
        assert experiment.seed == each.seed
        assert each.run == f"{experiment.name}-{experiment.identity}"
    assert {each.seed for each in plan.entries} == {0, 1}
    assert plan.name == "try"


def test_a_group_sets_options_together_and_uses_the_values_of_axes(plan_of):
    groups = {
        "plain": {},
        "pgd": {"objective.perturbation": "PGD", BALL: "$radius"},
    }
    measured = [{"class_path": "WorstCase", "init_args": {"balls": [{"norm": "linf", "radius": "$radius"}]}}]
    plan = plan_of({"set": {**TOY, "evaluations": measured}, "vary": {"method": groups, "radius": [0.1, 0.5]}})
    for each in plan.entries:
        experiment = plan.experiments[each.run]
        assert experiment.evaluations[0].balls[0].radius == each.labels["radius"]
        if each.labels["method"] == "pgd":
            assert experiment.objective.perturbation.ball.radius == each.labels["radius"]
        else:
            assert type(experiment.objective.perturbation).__name__ == "Identity"


def test_a_part_of_the_values_makes_the_same_runs_as_in_the_whole_sweep(plan_of):
    content = {"set": TOY, "vary": {"objective.fold.temperature": [0.1, 1.0], "training.epochs": [1, 2, 3]}}
    whole, part = plan_of(content), plan_of(content, only=["training.epochs=3", "training.epochs=1"])
    assert [each.labels["training.epochs"] for each in part.entries] == [1, 3, 1, 3]
    assert part.experiments.items() <= whole.experiments.items()
    assert plan_of(content, only=["objective.fold.temperature=1"]).experiments.items() <= whole.experiments.items()


def test_values_that_differ_in_capitals_alone_are_told_apart(plan_of):
    content = {"set": TOY, "vary": {"method": {"a": {}, "A": {"training.epochs": 2}}}}
    for name in ("a", "A"):
        assert [each.labels["method"] for each in plan_of(content, only=[f"method={name}"]).entries] == [name]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("epochs=1", "--only must be AXIS=VALUE, got epochs=1; known: flag, training.epochs."),
        ("training.epochs", "--only training.epochs has no value ''; known: 1, 2."),
        ("training.epochs=3", "--only training.epochs has no value 3; known: 1, 2."),
        ("flag=no", "--only flag has no value no; known: False, True."),
    ],
)
def test_a_value_that_no_axis_has_is_refused(plan_of, word, sentence):
    content = {"set": {**TOY, "training.amp": "$flag"}, "vary": {"training.epochs": [1, 2], "flag": [True, False]}}
    with pytest.raises(InputError) as found:
        plan_of(content, only=[word])
    assert sentence in str(found.value)


def test_entries_with_equal_experiments_share_a_run(plan_of):
    plan = plan_of({"set": TOY, "vary": {"method": {"one": {}, "other": {"objective.fold.temperature": 0.0}}}})
    first, second = plan.entries
    assert first.labels != second.labels
    assert (first.run == second.run) == (len(plan.experiments) == 1)
    same = plan_of({"set": TOY, "vary": {"method": {"one": {}, "other": {}}}})
    assert same.entries[0].run == same.entries[1].run
    assert len(same.experiments) == 1


def test_the_small_variant_replaces_what_it_names(plan_of):
    content = {
        "name": "whole",
        "set": TOY,
        "vary": {"objective.fold.temperature": [0.1, 1.0], "training.batch_size": [10, 20]},
        "seeds": 5,
        "small": {"set": {"epochs": 2}, "vary": {"objective.fold.temperature": [0.5]}, "seeds": 1},
    }
    plan = plan_of(content, small=True)
    assert plan.name == "whole-small"
    assert {each.labels["objective.fold.temperature"] for each in plan.entries} == {0.5}
    assert {each.labels["training.batch_size"] for each in plan.entries} == {10, 20}
    assert all(each.training.epochs == 2 for each in plan.experiments.values())
    assert len(plan_of(content).entries) == 20
    with pytest.raises(InputError, match="has no small variant"):
        plan_of({"set": TOY}, small=True)


def test_options_of_the_command_line_hold_for_every_run(plan_of):
    plan = plan_of({"set": TOY, "seeds": 3}, seeds=2, more=["--epochs", "7"])
    assert [each.training.epochs for each in plan.experiments.values()] == [7, 7]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("- a\n", "must hold name, set, vary, seeds, small, plugin, got list"),
        ("a: [\n", "is not valid YAML at line 2"),
        ({"sets": {}}, "sets is not a key of a sweep file; did you mean set"),
        ({"set": []}, "set must hold options by name, got"),
        ({"set": TOY, "vary": {"radius": []}}, r"vary\.radius must be a list of values or groups of options, got"),
        ({"set": TOY, "vary": {"radius": [1]}}, r"nothing uses \$radius"),
        ({"set": TOY, "vary": {"method": {"a": 1}}}, r"each group of vary\.method must hold options by name, got 1"),
        ({"set": {**TOY, "epochs": "$n"}}, r"\$n is not an axis"),
        ({"set": {**TOY, "epochz": 1}}, "option --epochz is not known"),
        ({"set": TOY, "vary": {"epochs": [1, -1]}}, "epochs"),
        ({"set": TOY, "seeds": 0}, "seeds must be a number of at least 1, got 0"),
        ({"set": TOY, "name": "../up"}, "name must be usable as a folder's name, got"),
        ({"set": TOY, "vary": {"lr": [0.1, 0.2, 0.1]}}, r"vary\.lr has 0\.1 twice; values must be unique"),
        ({"set": TOY, "vary": {"epochs": [1, "1"]}}, r"vary\.epochs has 1 twice"),
        ({"set": TOY, "vary": {"method": {1: {}, "1": {}}}}, r"vary\.method has 1 twice"),
        ({"set": TOY, "vary": {"seed": [1, 2]}}, r"vary\.seed is not an axis; use `seeds: 5`"),
        ({"set": TOY, "vary": {"seeds": [1, 2]}}, r"vary\.seeds is not an axis; use `seeds: 5`"),
        ({"set": TOY, "vary": {1: [1, 2]}}, "names in vary must be strings, got 1"),
        ({"set": {**TOY, 2: 3}}, "names in set must be strings, got 2"),
        ({"set": TOY, "small": {"nosuch": 3}}, r"small\.nosuch is not a key of a sweep file"),
        ({"set": TOY, "small": {"vary": [1]}}, r"small\.vary must hold options by name, got \[1\]"),
        ({"set": TOY, "small": {"small": {}}}, r"small\.small is not a key"),
        ({"set": TOY, "small": {"seeds": 0}}, "seeds must be a number of at least 1, got 0"),
        ({"set": TOY, "small": {"name": "../x"}}, "name must be usable as a folder's name, got '../x'"),
        ({"set": TOY, "small": {"name": "x y"}}, "name must be usable as a folder's name, got 'x y'"),
        ("", r"try\.yaml is empty; expected name, set"),
        ("# nothing\n", r"try\.yaml is empty"),
        ("vary:\n  method:\n    a: {}\n    a: {}\n", r"try\.yaml has the key a twice, at lines 3 and 4"),
        ("set: {data: toy, data: digits}\n", "has the key data twice, at line 1; keys must be unique"),
        ("set: {data: toy}\nset: {epochs: 1}\n", "has the key set twice, at lines 1 and 2"),
    ],
)
def test_a_mistake_is_one_sentence(plan_of, content, sentence):
    with pytest.raises(InputError, match=sentence) as found:
        plan_of(content)
    assert "\n" not in str(found.value)


def test_a_number_is_a_number_however_it_is_written(plan_of):
    plan = plan_of("set: {data: toy, model: mlp, epochs: 1}\nvary: {lr: [1e-3, 1E-2, .5e+1, 1.e-1, 2]}\n")
    assert [each.labels["lr"] for each in plan.entries] == [0.001, 0.01, 5.0, 0.1, 2]
    assert [each.training.optimizer.lr for each in plan.experiments.values()] == [0.001, 0.01, 5.0, 0.1, 2.0]
    quoted = plan_of("set: {data: toy, model: mlp, epochs: 1, name: '1e5'}\nvary: {method: {1e5x: {}}}\n")
    assert quoted.entries[0].labels == {"method": "1e5x"}


def test_a_part_may_be_written_once_and_used_again(plan_of):
    plan = plan_of("set: &all {data: toy, model: mlp}\nvary: {method: {a: {<<: *all, epochs: 1}, b: {<<: *all}}}\n")
    assert [each.labels["method"] for each in plan.entries] == ["a", "b"]


def test_neither_file_nor_recipe_names_what_is_near():
    with pytest.raises(InputError, match="expected a YAML file or a recipe, got avila-papr; did you mean avila-paper"):
        load("avila-papr")


def test_words_keep_lists_and_numbers():
    words = words_of({"a": [{"b": 0.1}], "c": 1e-05, "d": True, "e": None, "f": "text"})
    found = dict(word.removeprefix("--").split("=", 1) for word in words)
    assert yaml.safe_load(found["a"]) == [{"b": 0.1}]
    assert float(found["c"]) == 1e-05
    assert (found["d"], found["e"], found["f"]) == ("true", "null", "text")


SWEEPS = sorted(each.stem for each in Path(str(files("withstand") / "recipes" / "sweeps")).glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("name", SWEEPS)
def test_every_recipe_makes_experiments_that_differ_as_its_axes_say(name):
    assert "avila-paper" in SWEEPS
    small = "small" in load(name)
    plan = read_plan(name, read_experiment, small=small, seeds=1)
    assert plan.name == name + ("-small" if small else "")
    assert len(plan.experiments) == len(plan.entries)
    assert len({tuple(each.labels.values()) for each in plan.entries}) == len(plan.entries)


def test_the_study_of_avila_has_four_methods_seven_radii_and_51_seeds():
    content = load("avila-paper")
    assert [len(values) for values in content["vary"].values()] == [4, 7]
    assert content["seeds"] == 51
    # What the four figures of the study show.
    measured = [each["class_path"] for each in content["set"]["evaluations"]]
    assert {"Accuracy", "WorstCase", "Lipschitz"} <= set(measured)


def test_no_axis_is_one_combination():
    assert list(combinations({"epochs": 1}, {})) == [({}, {"epochs": 1})]


def test_different_runs_that_would_share_a_folder_are_refused(plan_of, monkeypatch):
    monkeypatch.setattr("withstand.experiment.identity", lambda _: "0" * 16)
    plan = plan_of({"set": TOY, "vary": {"training.epochs": [1, 2]}, "seeds": 2})
    assert len(plan.experiments) == 4  # their titles tell them apart
    axes = {"method": {"a b": {"training.epochs": 1}, "a_b": {"training.epochs": 2}}}
    with pytest.raises(InputError, match="share the folder a_b-seed0-0000000000000000"):
        plan_of({"set": TOY, "vary": axes})


@pytest.mark.parametrize(
    "text",
    [
        "seeds: 99999999999999",
        f"seeds: {'9' * 23}",
        f"seeds: {'9' * 400}",
        "seeds: 1000\nvary: {epochs: [" + ", ".join(map(str, range(1000))) + "]}",
        "vary: {" + ", ".join(f"v{axis}: [1, 2, 3, 4]" for axis in range(200)) + "}",
        "vary: {weights: [" + "x" * 5000 + "]}",
        f"name: {'x' * 300}",
    ],
    ids=["seeds", "23 digits", "400 digits", "product", "axes", "title", "name"],
)
def test_sweeps_without_bounds_are_refused_before_any_list_is_made(tmp_path, text):
    path = tmp_path / "sweep.yaml"
    path.write_text(f"set: {{data: toy}}\n{text}\n")
    with pytest.raises(InputError, match="sweep: "):
        read_plan(str(path), read_experiment)
