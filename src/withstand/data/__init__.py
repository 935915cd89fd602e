"""The only place that reads data files."""
