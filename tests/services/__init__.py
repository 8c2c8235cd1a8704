"""The real services that the tests run against, each on loopback and in a folder of its own.

Every module has one context manager that starts the server, waits until it answers, yields a
frozen value with what a test needs, and ends the server by its own process id. `fixtures.py`
makes pytest fixtures of them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

__all__ = ["ServiceMissing", "require"]


class ServiceMissing(RuntimeError):
    """A program that a service needs is not on this machine; the message says how to get it."""

    def __init__(self, program: str, *, how: str) -> None:
        super().__init__(f"{program} is missing: {how}")
        self.program = program
        self.how = how


@contextmanager
def require() -> Iterator[None]:
    """Turn ServiceMissing into a failure where `CI` is set, and into a skip with reason elsewhere.

    A skip in CI would let a broken machine pass for a tested one.
    """
    try:
        yield
    except ServiceMissing as missing:
        if os.environ.get("CI", "").lower() not in ("", "0", "false"):
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
