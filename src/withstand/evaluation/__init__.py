"""Evaluations of finished models."""
