"""One run, step by step: open, version the data, train, log, version the model, seal."""
