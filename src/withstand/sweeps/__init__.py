"""Sweeps: one experiment under many settings and seeds, on this machine or on many."""
