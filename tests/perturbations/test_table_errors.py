"""Errors in tables against values computed by hand, and `--on table-errors` from a file to a table of results."""

import json

import pytest
import torch
from torch import nn

import withstand as ws
from withstand.data.space import Space
from withstand.data.tables.features import Features
from withstand.data.tables.table import Table
from withstand.errors import InputError
from withstand.functional.random import stream
from withstand.measuring.question import Question
from withstand.perturbations.table_errors.suite import ALL

# A measurement, a count whose empty cells are marked, and a category of three levels.
FEATURES = Features(
    names=("size", "rooms", "rooms=(empty)", "colour=a", "colour=b", "colour=c"),
    columns=("size", "rooms", "rooms", "colour", "colour", "colour"),
    kinds=("continuous", "integer", "category", "category", "category", "category"),
    movable=(True,) + (False,) * 5,
    offset=(100.0, 3.0, 0.0, 0.0, 0.0, 0.0),
    scale=(20.0, 2.0, 1.0, 1.0, 1.0, 1.0),
    iqr=(1.0,) * 6,
    typical=(0.25, -0.5, 1.0, 0.0, 1.0, 0.0),
)
SPACE = Space(shape=(6,), features=FEATURES)
NUM = 2000


def rows(size=123.4, rooms=5.0, level=0):
    """Return equal rows of a table, scaled."""
    row = [(size - 100) / 20, (rooms - 3) / 2, 0.0, *(float(each == level) for each in range(3))]
    return torch.tensor([row]).repeat(NUM, 1)


def draw(error, x=None, space=SPACE):
    x = rows() if x is None else x
    return error.draw(
        x, torch.zeros(len(x)).long(), nn.Identity(), space=space, num_draws=1, rng=stream(0, "x")
    ).inputs[0]


def file_values(x, column):
    """Return a column in the units of the file, rounded."""
    found = x[:, column].double() * FEATURES.scale[column] + FEATURES.offset[column]
    return set((found.round(decimals=4) + 0.0).tolist())


EXPECTED = {
    "units": (ws.UnitMistakes(probability=1), {1234.0, 123400.0, 1.234}, {50.0, 5000.0, 0.05}),
    "one unit": (ws.UnitMistakes(probability=1, factors=(2.54,)), {313.436}, {12.7}),
    "one digit": (ws.Rounding(probability=1), {100.0}, {5.0}),
    "three digits": (ws.Rounding(probability=1, digits=3), {123.0}, {5.0}),
    "swapped": (ws.SwappedColumns(probability=1), {5.0}, {123.4}),
    "constant drift": (ws.SensorDrift(probability=1, strength=-2.0), {83.4}, {1.0}),
    "outliers": (ws.Outliers(probability=1, strength=10.0), {323.4, -76.6}, {25.0, -15.0}),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_wrong_numbers_are_those_computed_by_hand_in_the_units_of_the_file(name):
    error, sizes, rooms = EXPECTED[name]
    found = draw(error)
    assert sorted(file_values(found, 0)) == pytest.approx(sorted(sizes), rel=1e-4)
    assert sorted(file_values(found, 1)) == pytest.approx(sorted(rooms), rel=1e-4)
    assert torch.equal(found[:, 2:], rows()[:, 2:]), "categories and marks of empty cells stay"


@pytest.mark.parametrize("value", [0.0, -0.04567, 1e-30, 9.96e30])
def test_any_number_is_rounded_to_significant_digits(value):
    space = Space(shape=(6,), features=FEATURES._replace(offset=(0.0,) * 6, scale=(1.0,) * 6))
    found = draw(ws.Rounding(probability=1, digits=2), torch.full((3, 6), value), space)
    assert found[0, 0].item() == pytest.approx(float(f"{value:.1e}"), rel=1e-6)


def test_a_growing_drift_is_uniform_up_to_its_strength():
    shift = draw(ws.SensorDrift(probability=1, strength=2.0, course="growing"))[:, 0] - rows()[:, 0]
    assert 0 <= shift.min() < 0.05 and 1.95 < shift.max() <= 2  # noqa: PT018
    assert shift.mean().item() == pytest.approx(1, abs=0.05)


def test_missing_values_are_filled_as_the_data_fill_them():
    assert draw(ws.MissingValues(probability=1)).unique(dim=0).tolist() == [list(FEATURES.typical)]


@pytest.mark.parametrize(("unknown", "shares"), [(0.5, (0, 0.25, 0.25)), (0.0, (0, 0.5, 0.5)), (1.0, (0, 0, 0))])
def test_typos_are_unknown_or_one_of_the_other_levels(unknown, shares):
    found = draw(ws.CategoryTypos(probability=1, unknown=unknown))
    assert torch.equal(found[:, :3], rows()[:, :3])
    assert set(found[:, 3:].sum(1).tolist()) <= {0.0, 1.0}
    assert found[:, 3:].mean(0).tolist() == pytest.approx(shares, abs=0.04)


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_the_probability_is_that_of_an_entry_or_row(cls):
    x = rows()
    x[:, 3:] = torch.eye(3)[torch.arange(NUM) % 3]
    for probability in (0.0, 0.2):
        changed = (draw(cls(probability=probability), x) != x)[:, [3, 4, 5] if cls is ws.CategoryTypos else [0]]
        assert changed.any(1).float().mean().item() == pytest.approx(probability, abs=0.03)


def test_columns_restrict_errors():
    found = draw(ws.Outliers(probability=1, columns=("rooms",)))
    assert torch.equal(found[:, 0], rows()[:, 0])
    assert not torch.equal(found[:, 1], rows()[:, 1])


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ws.Outliers(columns=("sizes",)), "Outliers: columns name 'sizes'; did you mean size"),
        (ws.Outliers(columns=("colour",)), "Outliers: columns must hold numbers, got 'colour'"),
        (ws.CategoryTypos(columns=("size",)), "CategoryTypos: columns must hold categories, got 'size'"),
        (ws.SwappedColumns(columns=("size",)), "SwappedColumns: expected a table with 2 columns of numbers, got 1"),
    ],
)
def test_columns_to_which_an_error_does_not_apply_are_refused(error, message):
    with pytest.raises(InputError, match=message):
        error.check(SPACE)


def test_constant_columns_of_estimators_have_no_errors():
    scale = (float("inf"), *FEATURES.scale[1:])
    found = draw(ws.UnitMistakes(probability=1), space=Space(shape=(6,), features=FEATURES._replace(scale=scale)))
    assert torch.equal(found[:, 0], rows()[:, 0])
    assert found.isfinite().all()


@pytest.fixture
def path(tmp_path):
    lines = [f"{k % 10 * 1.5},{k * 7 % 11},{'' if k % 4 else 'uvv'[k % 3]},{'pq'[k % 10 > 4]}" for k in range(120)]
    (tmp_path / "file.csv").write_text("\n".join(["size,count,colour,y", *lines]))
    return str(tmp_path / "file.csv")


@pytest.mark.parametrize(("missing", "level"), [("impute", "colour=v"), ("own", "colour=(empty)")])
def test_a_table_says_what_an_empty_cell_becomes(path, missing, level):
    split = Table(path=path, target="y", missing=missing).load("train")
    assert split.features is not None
    typical = dict(zip(split.features.names, split.features.typical, strict=True))
    for number, name in enumerate(("size", "count")):
        assert typical[name] == pytest.approx(split.x[:, number].median().item(), abs=1e-6)
    assert [name for name in typical if "=" in name and typical[name]] == [level]


def test_all_errors_that_a_table_can_have_are_measured_by_one_word(path):
    table = Table(path=path, target="y", missing="impute")
    assert Question.of(table, "table-errors").conditions[0].startswith("MissingValues")
    assert len(Question.of(table, "table-errors").conditions) == len(ALL) == 7
    numbers = Table(path=path, target="y", features=("size",))
    names = [each.partition(" ")[0] for each in Question.of(numbers, "table-errors").conditions]
    assert names == ["MissingValues", "UnitMistakes", "Rounding", "SensorDrift", "Outliers"]
    with pytest.raises(InputError, match=r"on: table-errors needs a table"):
        Question.of(ws.Digits(), "table-errors")


def test_errors_are_trained_on_and_measured_from_the_command_line(path, tmp_path, capsys):
    from withstand.cli import main

    words = ["--data=table", "--data.path", path, "--data.target=y", "--data.missing=own", "--model=mlp", "--quiet"]
    trained = ["--objective.perturbation=MissingValues", "--objective.perturbation.probability=0.2", "--epochs=30"]
    assert main(["train", *words, *trained, "--output", str(tmp_path / "runs")]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    capsys.readouterr()
    yaml = "{class_path: Outliers, init_args: {probability: 1, strength: 50, columns: [size]}}"
    assert main(["evaluate", str(run), "--on", "clean", "table-errors", yaml, "--format=json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    top1 = {row["condition"]: row["value"] for row in rows if row["measure"] == "top1"}
    assert len(top1) == 9
    assert top1["clean"] > 0.9
    assert min(top1.values()) == top1[next(name for name in top1 if "strength=50" in name)] < 0.75
    assert 0.75 < top1["Rounding probability=0.05 digits=1"] <= 1
