"""Which figures a study deserves."""

from withstand.reports.bands_figure import bands_pictures
from withstand.reports.picture import Picture
from withstand.results.study import Study

KINDS = (bands_pictures,)


def pictures(study: Study) -> list[Picture]:
    """Return the pictures of a study, in the order in which a report shows them; each name is there once."""
    return [picture for kind in KINDS for picture in kind(study)]
