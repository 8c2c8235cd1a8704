"""`python -m anchored`."""

from anchored.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
