"""The only wiring: a path or a URL becomes a training repo with its adapters."""
