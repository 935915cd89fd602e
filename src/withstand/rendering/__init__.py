"""Printed tables: on a terminal, as Markdown and as LaTeX. No torch here."""
