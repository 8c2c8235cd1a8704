"""Anchored: every training run a fact that can be checked again."""

__version__ = "0.1.0"
