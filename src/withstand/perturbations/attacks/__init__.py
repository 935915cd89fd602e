"""Perturbations that use the model: the worst point of a ball, or points weighted by their loss."""
