"""Perturbations that look at the model: for the worst point of a ball, or for points by how bad they are."""
