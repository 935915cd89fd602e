"""Rows to text and pictures. No torch here."""
