"""Pools: one way to do long work in many processes, on one or many machines."""
