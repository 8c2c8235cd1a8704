"""A repository made ready for Anchored."""
