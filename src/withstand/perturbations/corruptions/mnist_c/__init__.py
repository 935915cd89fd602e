"""The 15 corruptions of MNIST-C, one per file."""
