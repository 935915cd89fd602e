"""Modules with the functions of other packages, so that scripts change one line of imports."""
