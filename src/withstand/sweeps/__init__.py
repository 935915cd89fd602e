"""Sweeps: many runs of one experiment, on one or many machines."""
