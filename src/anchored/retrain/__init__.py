"""New data, a new run where anything changed, and the gate before its promotion."""
