"""What attacks search with."""
