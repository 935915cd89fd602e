"""The figures of a study."""

from withstand.reports.figures.bands import bands_pictures
from withstand.reports.figures.examples import examples_pictures
from withstand.reports.figures.frontier import frontier_pictures
from withstand.reports.figures.heat_map import heat_map_pictures
from withstand.reports.figures.picture import Picture
from withstand.reports.figures.robust_curves import robust_curves_pictures
from withstand.reports.figures.severities import severities_pictures
from withstand.reports.figures.training import training_pictures
from withstand.study.study import Study

KINDS = (
    bands_pictures,
    frontier_pictures,
    robust_curves_pictures,
    severities_pictures,
    heat_map_pictures,
    examples_pictures,
    training_pictures,
)


def pictures(study: Study) -> list[Picture]:
    """Return the pictures of a study, in the order in which a report shows them; each name is there once."""
    return [picture for kind in KINDS for picture in kind(study)]
