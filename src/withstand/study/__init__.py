"""Rows of results, and how they become fewer numbers. No torch here."""

from withstand.study.aggregate import aggregate as aggregate
from withstand.study.aggregate import paired as paired
from withstand.study.comparison import compare as compare
from withstand.study.groups import by_group as by_group
from withstand.study.outcomes import OutcomeTable as OutcomeTable
from withstand.study.runs import read as read
from withstand.study.suites import suite_rows as suite_rows
