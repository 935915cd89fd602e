"""Image operations that the corruptions are made of."""
