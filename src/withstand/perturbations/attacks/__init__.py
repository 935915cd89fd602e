"""Attacks, and sampling of points with a high loss."""
