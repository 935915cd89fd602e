"""Readers of files and texts from outside, with bounds on their size and depth."""
