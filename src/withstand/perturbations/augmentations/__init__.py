"""Augmentations for training."""
