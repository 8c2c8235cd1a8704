"""What `anchored` hands out, and what importing it costs: nothing."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import anchored

COMMANDS = {"audit", "close", "diff", "promote", "reproduce", "restore", "resume", "retrain", "run", "runs", "show"}  # fmt: skip


def test_every_exported_name_is_there_and_documented() -> None:
    assert anchored.__all__ == sorted(anchored.__all__, key=lambda name: (name == "open", name))
    for name in anchored.__all__:
        assert name == "__version__" or inspect.getdoc(getattr(anchored, name))
    assert set(dir(anchored)) == set(anchored.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = anchored.nonsense


def test_a_repo_has_the_commands() -> None:
    methods = {name for name, _ in inspect.getmembers(anchored.Repo, inspect.isfunction)}
    assert {name for name in methods if not name.startswith("_")} == COMMANDS
    assert list(inspect.signature(anchored.open).parameters) == [
        "path_or_url",
        "tracker",
        "prefect",
    ]


def test_importing_loads_nothing_and_changes_nothing() -> None:
    script = """
import logging, os, signal, sys
before = dict(os.environ), set(sys.modules), {n: signal.getsignal(n) for n in signal.valid_signals()}
import anchored
assert dict(os.environ) == before[0]
assert {n: signal.getsignal(n) for n in signal.valid_signals()} == before[2]
assert not logging.root.manager.loggerDict
loaded = {name.partition(".")[0] for name in set(sys.modules) - before[1]}
assert loaded <= {"anchored", *sys.stdlib_module_names}, loaded
"""
    subprocess.run([sys.executable, "-c", script], check=True)
