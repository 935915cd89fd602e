"""Search code that attacks share."""
