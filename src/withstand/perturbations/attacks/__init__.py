"""Perturbations that use the model."""
