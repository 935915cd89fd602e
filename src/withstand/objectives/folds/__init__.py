"""Folds: how the outputs for the copies of a sample become one loss."""
