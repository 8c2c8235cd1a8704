"""Work on many things at once, that ends at once when it has to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event
from typing import TypeVar

Thing = TypeVar("Thing")
Result = TypeVar("Result")

Stop = Event


def in_parallel(
    work: Callable[[Thing, Stop], Result], things: Sequence[Thing], at_once: int
) -> Iterator[tuple[Thing, Result]]:
    """Each thing with what came of it. The first error ends all; so does an interruption.

    What is under way then should look at `stop`, for it is waited for.
    """
    stop = Stop()
    with ThreadPoolExecutor(max_workers=at_once) as threads:
        futures = [threads.submit(work, thing, stop) for thing in things]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            failed = (f for f in futures if f.done() and f.exception())
            for future in failed:
                future.result()
        except BaseException:
            stop.set()
            threads.shutdown(wait=False, cancel_futures=True)
            raise
        results = [future.result() for future in futures]
    return zip(things, results, strict=True)
