"""The order of steps; file = flow function = Prefect flow name."""
