"""Commands at a terminal of their own, as a person runs them: with a foreground group and Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from tests import forked
from tests.killed import end_trainings, wait_for
from tests.repos import Repo

CTRL_C = b"\x03"
DRAWN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[⠀-⣿] [^\r\n]*|\r")  # control, lines of progress


class Terminal:
    """A command that is under way, and what it has shown."""

    def __init__(self, process: subprocess.Popen[bytes] | Forked, master: int) -> None:
        self.process, self._master, self._shown = process, master, b""
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        with suppress(OSError):  # what Linux says once nobody has the terminal open any more
            while data := os.read(self._master, 65_536):
                self._shown += data

    @property
    def shown(self) -> str:
        """The lines that it has shown, without those of progress."""
        return DRAWN.sub("", self._shown.decode(errors="replace"))

    def wait_for(self, condition: Callable[[], bool]) -> None:
        wait_for(lambda: condition() or self._over(), 120)
        assert condition(), self.shown

    def _over(self) -> bool:
        return self.process.poll() is not None

    def press_ctrl_c(self) -> None:
        os.write(self._master, CTRL_C)

    def hang_up(self) -> None:
        """Closes the terminal's window."""
        os.close(self._master)

    def ended(self) -> str:
        """What it showed after the last Ctrl-C, once it has ended as an interrupted command does."""
        code = self.process.wait(60)  # a guard against a hang, and no promise
        self._reading.join(10)
        assert code == 130, self.shown
        return self.shown.rpartition("^C")[2]


class Forked:
    """A process of `tests.forked`, asked as one that `subprocess` has started."""

    def __init__(self, process: Any) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    def poll(self) -> int | None:
        code: int | None = self._process.exitcode
        return code

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("anchored", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


@contextmanager
def at_terminal(
    repo: Repo, *args: str, deaf: bool = False, afresh: bool = False, **env: str
) -> Iterator[Terminal]:
    """An `anchored` command at a new terminal; `deaf`: with SIGINT ignored from its start.

    `afresh`: from the start of Python, with what loads aside.
    """
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **env}
    process: Any
    if afresh:
        process = _started(repo, args, slave, deaf=deaf, env=environment)
    else:
        command = (os.ttyname(slave), str(repo.root), [*args], deaf, environment)
        process = Forked(forked.started(_lead_terminal, *command))
        wait_for(lambda: os.tcgetpgrp(master) == process.pid)
    os.close(slave)
    terminal = Terminal(process, master)
    try:
        yield terminal
    finally:
        process.kill()
        process.wait()
        end_trainings(repo)


def _started(
    repo: Repo, args: tuple[str, ...], slave: int, *, deaf: bool, env: dict[str, str]
) -> subprocess.Popen[bytes]:
    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_IGN if deaf else signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, "-m", "anchored", *args],
        cwd=repo.root, env=env, stdin=slave, stdout=slave,
        stderr=slave, start_new_session=True, preexec_fn=take_terminal,  # noqa: PLW1509
    )  # fmt: skip


def _lead_terminal(
    name: str, cwd: str, args: list[str], deaf: bool, env: Mapping[str, str]
) -> None:
    """Runs the command in this process, at the terminal of that name."""
    os.environ.clear()
    os.environ.update(env)
    signal.signal(signal.SIGINT, signal.SIG_IGN if deaf else signal.default_int_handler)
    os.setsid()
    slave = os.open(name, os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    forked._as_command(forked._run_anchored, (name, name, name), cwd, args)


def of_home(home: Any) -> list[str]:
    """The live processes that were started in the test's environment, but for this one's group.

    The server that processes are forked from is no test's, and they look like it.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            ours = process.environ().get("HOME") == str(home)
            if ours and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(" ".join(process.cmdline()))
    return [command for command in found if "multiprocessing." not in command]
