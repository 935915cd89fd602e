"""Rows of results, and how they become fewer numbers. No torch here."""

from withstand.results.aggregate import aggregate as aggregate
from withstand.results.aggregate import paired as paired
from withstand.results.runs import read as read
