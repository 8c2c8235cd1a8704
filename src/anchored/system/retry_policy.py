"""When work is tried again: where a service failed for the moment, and nowhere else.

Tasks of Prefect leave the waiting to Prefect; everything else waits here.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from anchored.errors import ServiceFailed

RETRIES = 4
FIRST_DELAY = 1.6  # seconds; doubled for every retry: 24 s of waiting in all, before jitter
JITTER = 0.3
SILENT_TRIES = 2

Result = TypeVar("Result")


def may_succeed(error: BaseException, tries: int) -> bool:
    """Whether what failed so may succeed when repeated, having been tried so often.

    A service that is silent costs up to 40 s a try: the second one is the last.
    """
    if not isinstance(error, ServiceFailed) or not error.transient:
        return False
    return tries <= RETRIES and (not error.silent or tries < SILENT_TRIES)


def with_retries(work: Callable[[], Result]) -> Result:
    """Does work that may be repeated, again where a service failed only for the moment."""
    for tries in count(1):
        try:
            return work()
        except ServiceFailed as error:
            if not may_succeed(error, tries):
                raise
        delay = FIRST_DELAY * 2 ** (tries - 1)
        time.sleep(delay * random.uniform(1, 1 + JITTER))  # noqa: S311 - no secret
    raise AssertionError("unreachable")
