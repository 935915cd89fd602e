"""Numbers about a finished model."""
