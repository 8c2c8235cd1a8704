"""Past runs: found in the tracker, traced to their commits."""
