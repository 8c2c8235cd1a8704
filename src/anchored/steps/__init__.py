"""The steps of a run: each acts through the ports, and may be repeated."""
