"""Where foreign libraries are met: one package for each, plain values on this side of it."""
