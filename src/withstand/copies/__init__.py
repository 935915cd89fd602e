"""Corrupted copies of data sets on disk."""
