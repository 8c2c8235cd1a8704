"""A run's model as a version of the registered model."""
