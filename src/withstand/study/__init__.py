"""Rows of results and their aggregation; does not import torch."""

from withstand.study.aggregate import aggregate as aggregate
from withstand.study.aggregate import paired as paired
from withstand.study.measures.comparison import compare as compare
from withstand.study.measures.groups import by_group as by_group
from withstand.study.measures.outcomes import OutcomeTable as OutcomeTable
from withstand.study.measures.suites import suite_rows as suite_rows
from withstand.study.runs import read as read
