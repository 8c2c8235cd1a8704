"""How values are shown: text in which nothing acts, and plain HTML tables."""
