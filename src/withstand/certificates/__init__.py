"""Certificates: bounds on the outputs of networks over balls."""
