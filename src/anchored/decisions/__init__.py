"""Pure functions: what to do, say or refuse, computed without effects."""
