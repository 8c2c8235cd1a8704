"""Runs that were interrupted: closed, or resumed from where they are."""
