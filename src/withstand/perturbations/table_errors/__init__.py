"""Errors in the entries of tables, as data entry, sensors and exports make them."""
