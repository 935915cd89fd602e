"""Tensor maths of procedural corruptions: noise fields, stars, caustics, lines, and sampling between pixels."""
