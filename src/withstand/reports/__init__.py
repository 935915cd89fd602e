"""Reports from rows; does not import torch."""
