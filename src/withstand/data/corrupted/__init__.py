"""Data sets of images that were corrupted beforehand."""
