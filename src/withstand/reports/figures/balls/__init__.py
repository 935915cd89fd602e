"""Figures over balls: accuracies against the radius."""
