"""Try again where a service failed for the moment, for commands that no flow stands behind."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from anchored.errors import ServiceFailed

DELAYS = (1.6, 3.2, 6.4)  # seconds before another try at a remote that failed for the moment
JITTER = 0.3
AGAIN = "the same command again goes on where this one ended"

Result = TypeVar("Result")


def patiently(work: Callable[[], Result]) -> Result:
    """Does work that may be repeated, again where a service failed only for the moment."""
    for delay in (*DELAYS, None):
        try:
            return work()
        except ServiceFailed as error:
            # One that is silent has been waited for long enough.
            if not error.transient or error.silent or delay is None:
                error.hint = AGAIN if error.transient or not error.hint else error.hint
                raise
        time.sleep(delay * random.uniform(1, 1 + JITTER))  # noqa: S311 - no secret
    raise AssertionError("unreachable")
