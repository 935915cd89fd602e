"""Modules that hold a model: black boxes, probabilities as logits, surrogates, expectations."""
