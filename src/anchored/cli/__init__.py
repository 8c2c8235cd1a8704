"""The command line: parse, call, render, exit code. All words and colours are made here."""
