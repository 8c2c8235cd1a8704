"""Processes of the local stack: how they are started, known again and ended."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from anchored.stack import processes
from anchored.stack_record import Started
from tests.services.process import wait_for

# A leader that ends when asked, and a child that does not.
SCRIPT = """
import os, signal, subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", deaf])
print(os.environ.get("PREFECT_API_URL"), os.environ["MINE"], flush=True)
time.sleep(600)
"""


def test_a_process_is_known_again_and_ends_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://somewhere.example")
    log = tmp_path / "logs" / "part.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * (processes.LARGEST_LOG + 1))
    leader = processes.launch(
        [sys.executable, "-c", SCRIPT], folder=tmp_path, settings={"MINE": "yes"}, log=log
    )
    wait_for(lambda: "deaf" in log.read_text(), timeout=30)
    assert "None yes" in log.read_text()
    assert log.with_name("part.log.1").stat().st_size > processes.LARGEST_LOG
    (child,) = processes.children_of(leader)
    assert {leader, child} == set(processes.strays(tmp_path))
    assert processes.strays(tmp_path / "other") == []

    started = Started(leader.pid, leader.create_time(), "")
    assert started.process() == leader
    assert Started(leader.pid, leader.create_time() - 60, "").process() is None

    processes.end([leader], grace=0.5)
    assert started.process() is None
    assert processes.is_gone(child)
    assert not psutil.pid_exists(child.pid) or child.status() == psutil.STATUS_ZOMBIE
