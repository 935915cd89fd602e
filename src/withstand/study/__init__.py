"""Rows of results, and how they become fewer numbers. No torch here."""

from withstand.study.aggregate import aggregate as aggregate
from withstand.study.aggregate import paired as paired
from withstand.study.runs import read as read
