"""uv, by its command, as the builder of training environments."""
