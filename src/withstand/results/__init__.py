"""Rows of results, and how they become fewer numbers. No torch here."""

from withstand.results.runs import read as read
