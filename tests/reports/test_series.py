"""Conditions that differ only by the value of an axis belong together, and others do not."""

import pytest

from withstand.reports.series import axis_of, families
from withstand.study.measures.measure import ACCURACY, Measure
from withstand.study.measures.row import Row, write_rows
from withstand.study.study import Study
from withstand.study.sweep import Entry, write_entries

KNOWN = {
    "top1": Measure(
        name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, better="higher", percent=True
    )
}


def study(folder, conditions):
    """Return a study of one run per radius, with rows under the conditions that are given for it."""
    entries = []
    for radius, own in conditions.items():
        rows = [Row(measure="top1", condition=each, value=0.5, count=2) for each in own]
        write_rows(folder / f"{radius:g}" / "rows.jsonl", rows, KNOWN)
        entries.append(Entry(labels={"radius": radius}, seed=0, run=f"{radius:g}"))
    write_entries(folder, entries, command=["withstand", "sweep", "x"])
    return Study.of(folder)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({0.1: ["clean"], 0.2: ["clean"]}, {"clean": 2}),
        ({0.1: ["linf 0.1, a"], 0.2: ["linf 0.2, a"]}, {"linf [radius], a": 2}),
        # A whole grid of a few radii: at the same radius, and at each.
        (
            {key: ["linf 0.1, a", "linf 0.2, a"] for key in (0.1, 0.2)},
            {"linf [radius], a": 2, "linf 0.1, a": 2, "linf 0.2, a": 2},
        ),
        # Of many radii, the figure of curves shows those that are not the same.
        ({key: [f"l2 {k}, a" for k in (1, 2, 3, 4)] for key in (1.0, 2.0)}, {"l2 [radius], a": 2}),
        # The same number by chance.
        (
            {key: ["Gaussian std=0.1", "Gaussian std=0.2"] for key in (0.1, 0.2, 0.3)},
            {
                "Gaussian std=0.1": 3,
                "Gaussian std=0.2": 3,
            },
        ),
        # Cells of corruptions have figures of their own, and one radius makes no line.
        ({0.1: ["fog/1", "clean"], 0.2: ["fog/1", "snow/1"]}, {}),
    ],
)
def test_families(tmp_path, conditions, expected):
    found = study(tmp_path, conditions)
    own = families(found, "top1", axis_of(found))
    assert {name: len(lines) for name, lines in own.items()} == expected


def test_the_axis_is_a_radius_and_knows_its_unit(tmp_path):
    axis = axis_of(study(tmp_path, {0.1: ["linf 0.1 iqr, a"], 0.2: ["linf 0.2 iqr, a"]}))
    assert (axis.label, axis.values) == ("radius, linf in interquartile ranges", (0.1, 0.2))
