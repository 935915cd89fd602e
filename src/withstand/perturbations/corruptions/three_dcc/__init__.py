"""Three corruptions of 3DCC that need no depth, one per file."""
