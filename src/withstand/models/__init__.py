"""The only place where parameters are born."""
