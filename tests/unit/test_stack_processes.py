"""Processes of the local stack: how they are started, known again and ended."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from anchored.cli.render_stack import in_words
from anchored.errors import ServiceFailed
from anchored.ports import Pages, Silent
from anchored.stack import parts, processes, up
from anchored.stack.parts import Wanted
from anchored.stack.record import FOLDER, Started
from tests.services.loopback import free_port
from tests.services.process import wait_for

# A leader that ends when asked, and a child that does not.
SCRIPT = """
import os, signal, subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", deaf])
print(os.environ.get("PREFECT_API_URL"), os.environ["MINE"], flush=True)
time.sleep(600)
"""


def test_what_an_interrupted_start_had_no_time_to_note_is_ended(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    wanted = Wanted(served="", tracker="", tracker_uri="", pages=Pages("http://127.0.0.1:9"))
    bringing = up._Stack(tmp_path, folder, wanted, Silent())

    def launched() -> psutil.Process:
        return processes.launch(["sleep", "600"], folder=folder, settings={}, log=folder / "log")

    noted, lost = launched(), launched()
    bringing._note(processes={"prefect": Started(noted.pid, noted.create_time(), "")})
    bringing.undo()
    assert processes.is_gone(lost)
    assert processes.strays(folder) == [noted], "what was up before stays"
    processes.end([noted], grace=5)


def test_who_listens_on_a_port_is_told_from_others(tmp_path: Path) -> None:
    script = "import socket, time; s = socket.create_server(('127.0.0.1', {})); time.sleep(600)"
    port, log = free_port(), tmp_path / "log"
    serving, other = (
        processes.launch(argv, folder=tmp_path, settings={}, log=log)
        for argv in ([sys.executable, "-c", script.format(port)], ["sleep", "600"])
    )
    try:
        wait_for(lambda: processes.listens(serving, port), timeout=30)
        assert not processes.listens(other, port)
        assert not processes.listens(serving, port + 1)
        assert log.stat().st_mode & 0o077 == 0
    finally:
        processes.end([serving, other], grace=5)


def test_deployments_that_never_end_are_the_servers_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "DEPLOYING", 0.01)
    with pytest.raises(ServiceFailed, match="did not end within") as raised:
        parts.deploy(tmp_path, {}, tmp_path / "logs" / "deploy.log")
    assert "deploy.log" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("0 3 * * * Etc/UTC", "daily at 03:00 UTC"),
        ("30 5 * * 7 Europe/Berlin", "Sundays at 05:30 Europe/Berlin"),
        ("*/5 * * * * UTC", "(*/5 * * * * UTC)"),
    ],
)
def test_schedules_in_words(when: str, words: str) -> None:
    assert in_words(when) == words


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
