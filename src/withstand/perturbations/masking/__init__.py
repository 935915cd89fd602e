"""Detection of gradient masking, and attacks that circumvent it."""
