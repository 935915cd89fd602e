"""Means over severities and corruptions: of whole runs only."""

import polars
import pytest

from withstand.study.aggregate import aggregate
from withstand.study.corruption_means import corruption_cells, corruption_means


def frame(cells):
    """Return a frame of rows of top-1 accuracy by run; a run without rows was never begun."""
    lines = [
        {"name": "model", "seed": seed, "run": str(seed), "status": "done" if own else "missing", "problem": None}
        | {"measure": measure, "condition": condition, "total": 10 * value, "count": 10, "value": value}
        for seed, own in enumerate(cells)
        for (measure, condition), value in (own or {(None, None): float("nan")}).items()
    ]
    schema = {"seed": polars.Int64, "problem": polars.String, "measure": polars.String, "condition": polars.String}
    return polars.DataFrame(lines, schema_overrides=schema)


def cells(**shares):
    return {("top1", f"{kind}/{severity}"): share for kind, own in shares.items() for severity, share in own.items()}


def test_a_mean_is_that_of_the_severities_and_the_mean_of_all_leaves_the_extras_out():
    found = corruption_means(
        frame([cells(fog={1: 0.8, 2: 0.6}, snow={1: 0.5, 2: 0.1}, spatter={1: 0.9})]), measure="top1"
    )
    values = dict(found.select("condition", "value").iter_rows())
    assert values == {
        "snow": pytest.approx(0.3),
        "fog": pytest.approx(0.7),
        "spatter": 0.9,
        "corruptions": pytest.approx(0.5),
    }


def test_a_run_that_lacks_a_cell_has_no_mean_and_is_named():
    whole, part = cells(fog={1: 0.8, 2: 0.6}, snow={1: 0.5}), cells(fog={1: 0.7}, snow={1: 0.3})
    found = aggregate(corruption_means(frame([whole, part, {}]), measure="top1"))
    lost = dict(found.select("condition", "missing").drop_nulls().iter_rows())
    assert lost == {"snow": "2", "fog": "1, 2", "corruptions": "1, 2"}
    assert set(found["planned"]) == {3}


def test_saved_cells_are_others():
    both = frame([cells(fog={1: 0.8}) | {("top1", "fog+jpeg/1"): 0.4, ("top1", "fog+jpeg/2"): 0.2}])
    assert {kind: len(own) for kind, own in corruption_cells(both, measure="top1").items()} == {"fog": 1}
    found = corruption_means(both, measure="top1", saved="+jpeg")
    assert found["value"].to_list() == pytest.approx([0.3, 0.3])
