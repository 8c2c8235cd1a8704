"""The machine that Anchored runs on: files, locks, processes and sockets. Knows nothing of runs."""
