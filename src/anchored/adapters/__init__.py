"""Where foreign libraries are met: one file for each, plain values on this side of it."""
