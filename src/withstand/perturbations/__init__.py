"""Ways to draw changed copies of an input."""
