"""Data sets of tables, and the reader of table files."""
