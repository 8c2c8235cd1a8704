"""A list of runs says in one line how many it has, and which are the first."""

from __future__ import annotations

import pytest

from anchored import Runs
from anchored.records import RunRecord


@pytest.mark.parametrize(("names", "said"), [
    ("", "Runs(0 runs)"),
    ("a b", "Runs(2 runs, a, b)"),
    ("a b c", "Runs(3 runs, a, b, c)"),
    ("a b c d", "Runs(4 runs, a, b, c, …)"),
])  # fmt: skip
def test_the_first_are_named_and_more_are_hinted_at(names: str, said: str) -> None:
    assert repr(Runs(RunRecord("id", name, "sums") for name in names.split())) == said
