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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from tests.killed import end_trainings, wait_for
from tests.repos import Repo

CTRL_C = b"\x03"
DRAWN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[⠀-⣿] [^\r\n]*|\r")  # control, lines of progress


class Terminal:
    """A command that is under way, and what it has shown."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
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


@contextmanager
def at_terminal(repo: Repo, *args: str, deaf: bool = False, **env: str) -> Iterator[Terminal]:
    """An `anchored` command at a new terminal; `deaf`: with SIGINT ignored from its start."""
    master, slave = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_IGN if deaf else signal.SIG_DFL)

    process = subprocess.Popen(
        [sys.executable, "-m", "anchored", *args],
        cwd=repo.root, env={**os.environ, "TERM": "xterm", **env}, stdin=slave, stdout=slave,
        stderr=slave, start_new_session=True, preexec_fn=take_terminal,  # noqa: PLW1509
    )  # fmt: skip
    os.close(slave)
    terminal = Terminal(process, master)
    try:
        yield terminal
    finally:
        process.kill()
        process.wait()
        end_trainings(repo)


def of_home(home: Any) -> list[str]:
    """The live processes that were started in the test's environment, but for this one's group."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            ours = process.environ().get("HOME") == str(home)
            if ours and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(" ".join(process.cmdline()))
    return found
