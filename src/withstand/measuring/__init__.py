"""Questions that are asked of models, and their results."""
