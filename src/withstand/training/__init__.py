"""The training loop, for every objective."""
