"""Estimators in the manner of scikit-learn, over the same parts as everything else."""
