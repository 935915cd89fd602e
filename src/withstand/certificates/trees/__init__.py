"""Exact robustness of ensembles of decision trees."""
