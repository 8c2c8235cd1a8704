"""The data and the model of a run, exported to a folder."""
