"""Evaluate models and store their outcomes."""
