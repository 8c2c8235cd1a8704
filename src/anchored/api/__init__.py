"""The Python API: the commands as methods, their results as values."""
