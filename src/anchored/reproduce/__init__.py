"""A past run, trained again and judged."""
