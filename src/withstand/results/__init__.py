"""Rows of results, and how they become fewer numbers. No torch here."""
