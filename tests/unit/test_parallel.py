"""Work on many things at once: all results in order, and an end as soon as there is an error."""

from __future__ import annotations

import time

import pytest

from anchored.system.parallel import Stop, in_parallel


def test_results_come_with_what_they_are_of() -> None:
    assert list(in_parallel(lambda n, _: n * n, [3, 1, 2], 2)) == [(3, 9), (1, 1), (2, 4)]
    assert list(in_parallel(lambda n, _: n, [], 2)) == []


def test_the_first_error_ends_what_is_under_way_and_what_is_to_come() -> None:
    begun: list[int] = []

    def work(number: int, stop: Stop) -> None:
        begun.append(number)
        if number == 0:
            raise OSError("gone")
        assert stop.wait(timeout=60), "told to stop"

    start = time.monotonic()
    with pytest.raises(OSError, match="gone"):
        list(in_parallel(work, list(range(100)), 2))
    assert time.monotonic() - start < 30
    assert len(begun) < 10
