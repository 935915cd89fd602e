"""The figures of a study: those that its data are enough for."""

from collections import Counter
from dataclasses import replace

from withstand.reports.figures.balls.distance_curves import distance_curves_pictures
from withstand.reports.figures.balls.robust_curves import robust_curves_pictures
from withstand.reports.figures.balls.sandwich import sandwich_pictures
from withstand.reports.figures.frontier import frontier_pictures
from withstand.reports.figures.heat_map import heat_map_pictures
from withstand.reports.figures.reliability import reliability_pictures
from withstand.reports.figures.severities import severities_pictures
from withstand.reports.figures.tools.curves import bands_pictures
from withstand.reports.figures.tools.picture import Form, Picture
from withstand.reports.figures.training import training_pictures
from withstand.study.study import Study

KINDS = (
    bands_pictures,
    frontier_pictures,
    sandwich_pictures,
    robust_curves_pictures,
    distance_curves_pictures,
    reliability_pictures,
    severities_pictures,
    heat_map_pictures,
    training_pictures,
)
# How much a figure must show to say more than a table does, by its form; see `Picture.size`.
LEAST: dict[Form, int] = {
    "line": 3,  # values along the axis, of the longest line
    "scatter": 4,  # points
    "heat map": 4,  # cells below the first row, which have something to be compared with
    "bars": 2,  # groups
}
MOST = 12  # of one kind; further ones would not be looked at


def pictures(study: Study) -> list[Picture]:
    """Return the pictures of a study, in the order in which a report shows them; each name and title is there once."""
    found: list[Picture] = []
    for kind in KINDS:
        own = [each for each in kind(study) if is_enough(each)]
        if len(own) > MOST:
            rest = f" {len(own) - MOST} more of this kind are not drawn; the table of all numbers has their values."
            own = [*own[: MOST - 1], replace(own[MOST - 1], caption=own[MOST - 1].caption + rest)]
        found += own
    times = Counter(each.title for each in found)
    return [
        replace(each, title=f"{each.title}, {each.detail}") if times[each.title] > 1 and each.detail else each
        for each in found
    ]


def is_enough(picture: Picture) -> bool:
    """Return whether a picture shows enough to be a figure: two points in a scatter are a line of a table."""
    return picture.size >= LEAST[picture.form]
