"""Images in tar shards, read in place."""
