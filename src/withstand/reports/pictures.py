"""The figures of a study."""

from withstand.reports.bands_figure import bands_pictures
from withstand.reports.examples_figure import examples_pictures
from withstand.reports.frontier_figure import frontier_pictures
from withstand.reports.heat_map_figure import heat_map_pictures
from withstand.reports.picture import Picture
from withstand.reports.robust_curves_figure import robust_curves_pictures
from withstand.reports.severities_figure import severities_pictures
from withstand.reports.training_figure import training_pictures
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
