"""Pictures of studies: everything that is known is in them, and what is missing is named."""

import io

import pytest

from withstand.reports.figure import house_style
from withstand.reports.pictures import pictures


def drawn(picture, *, dark=False):
    """Return the picture as SVG."""
    buffer = io.StringIO()
    with house_style(dark=dark):
        picture.draw().savefig(buffer, format="svg")
    return buffer.getvalue()


def by_name(study):
    return {each.name: each for each in pictures(study)}


def test_names_are_file_names_and_each_is_there_once(sweep, models):
    for study in (sweep, models):
        names = [each.name for each in pictures(study)]
        assert len(set(names)) == len(names)
        assert all(name == name.lower() and name.replace("-", "").isalnum() for name in names)


@pytest.mark.parametrize("dark", [False, True])
def test_every_mark_that_has_a_text_is_in_the_drawing(sweep, dark):
    picture = by_name(sweep)["worst-case-top1-against-radius"]
    svg = drawn(picture, dark=dark)
    assert all(f'id="{gid}"' in svg for gid in picture.values)
