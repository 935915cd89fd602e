"""Three corruptions of LAION-C, one per file."""
