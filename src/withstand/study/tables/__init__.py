"""Grids made of results."""
