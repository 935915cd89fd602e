"""Data sets of images, and readers of image files."""
