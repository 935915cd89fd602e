"""Perturbations of inputs."""
