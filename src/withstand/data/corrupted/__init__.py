"""Data sets of already corrupted images."""
