"""Many small networks trained in one batch."""
