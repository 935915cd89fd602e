"""Measures, and their reduction from outcomes."""
