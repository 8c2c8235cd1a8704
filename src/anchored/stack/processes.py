"""Processes in the background: started, known again, ended with their children."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

MARK = "ANCHORED_STACK"  # the variable by which a stack's processes are known: its folder
LARGEST_LOG = 5_000_000  # bytes after which a log is put aside at the next start
KILLED = 10.0  # seconds for those that were killed to be gone


def launch(
    argv: Sequence[str], *, folder: Path, settings: Mapping[str, str], log: Path
) -> psutil.Process:
    """Starts a process in a session of its own, which outlives this process and its terminal.

    Its environment is ours with `settings` on top, but for settings of another Prefect.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_name(f"{log.name}.1"))
    with opened(log, "ab") as stream:
        process = subprocess.Popen(
            list(argv),
            cwd=folder,
            env=environment(folder, settings),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # Nobody waits for it: whether it has ended, psutil tells.
    process.returncode = 0
    return psutil.Process(process.pid)


def opened(log: Path, mode: str) -> IO[bytes]:
    """A log that its owner alone may read: it holds what training printed."""
    stream: IO[bytes] = open(log, mode, opener=lambda file, how: os.open(file, how, 0o600))  # noqa: SIM115
    return stream


def environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """What a process of the stack sees: our variables without `PREFECT_*`, and its own."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    # They talk to each other on this machine, which no proxy can reach.
    direct = {
        name: ",".join(filter(None, (ours.get(name), "127.0.0.1,localhost")))
        for name in ("NO_PROXY", "no_proxy")
    }
    return ours | direct | {MARK: str(folder)} | dict(settings)


def end(leaders: Sequence[psutil.Process], *, grace: float) -> None:
    """Ends processes and their children: asks the former, waits, kills what is still there."""
    trees = [process for leader in leaders for process in tree_of(leader)]
    ask(leaders, grace=grace)
    ask([process for process in trees if process not in leaders], grace=grace)
    _send(trees, signal.SIGKILL)
    _wait(trees, KILLED)


def ask(processes: Sequence[psutil.Process], *, grace: float) -> None:
    """Asks processes to end and waits until they have, or the grace is over."""
    _send(processes, signal.SIGTERM)
    _wait(processes, grace)


def children_of(leader: psutil.Process | None) -> list[psutil.Process]:
    """What the process started itself and waits for."""
    with suppress(psutil.Error):
        return leader.children() if leader else []
    return []


def tree_of(leader: psutil.Process) -> list[psutil.Process]:
    """The process and all that it started and that is still its own."""
    with suppress(psutil.Error):
        return [leader, *leader.children(recursive=True)]
    return [leader]


def listens(leader: psutil.Process, port: int) -> bool:
    """Whether it is this process, or one that it started, that takes the connections to a port."""
    for process in tree_of(leader):
        with suppress(psutil.Error):
            for one in process.net_connections("tcp"):
                if one.status == psutil.CONN_LISTEN and one.laddr.port == port:
                    return True
    return False


def strays(folder: Path) -> list[psutil.Process]:
    """Processes of a stack that nobody recorded, or whose parents were killed."""
    found = []
    for process in psutil.process_iter():
        # Other users' processes do not show their environment.
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(folder) and process.pid != os.getpid():
                found.append(process)
    return found


def memory_of(tree: Iterable[psutil.Process]) -> int:
    """Bytes that processes hold in memory, what they share counted for each of them."""
    total = 0
    for process in tree:
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def is_gone(process: psutil.Process) -> bool:
    """Whether it has ended; one that nobody waited for is a zombie, and has."""
    with suppress(psutil.Error):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def _send(processes: Iterable[psutil.Process], how: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error):
            # psutil looks whether the number is still this process's.
            process.send_signal(how)


def _wait(processes: Sequence[psutil.Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not all(map(is_gone, processes)):
        time.sleep(0.05)
