"""Exact answers for ensembles of decision trees."""
