"""Data sets of tables, and readers of table files."""
