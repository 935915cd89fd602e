"""Data sets of images corrupted beforehand."""
