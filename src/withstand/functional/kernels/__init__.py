"""Image operations used by the corruptions."""
