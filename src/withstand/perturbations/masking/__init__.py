"""Gradient masking: noticed, and attacked nevertheless."""
