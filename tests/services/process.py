"""Server processes: started, waited for, and ended with all their children."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil


class ServiceFailed(RuntimeError):
    """A server did not come up; the message ends with the last lines of its log."""


def wait_for(predicate: Callable[[], bool], timeout: float, *, interval: float = 0.02) -> None:
    """Return as soon as `predicate` holds; TimeoutError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:g} s")
        time.sleep(interval)


@dataclass
class Server:
    """One server process, its children included; it can be killed and started again as it was."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    log: Path
    ready: Callable[[], bool]
    timeout: float
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _guard: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def pid(self) -> int:
        """Process id, and process group id, of the server that runs or last ran."""
        assert self._process is not None, "never started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process that was started still runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and return when it is ready; ServiceFailed, with nothing left running, if not."""
        if self.alive:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                list(self.argv),
                cwd=self.cwd,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own: its children end with it
            )
        self._guard = _guard(self._process.pid)
        try:
            wait_for(lambda: not self.alive or self.ready(), self.timeout)
        except TimeoutError as error:
            self.kill()
            raise ServiceFailed(f"{self.argv[0]}: {error}\n{self._tail()}") from error
        except BaseException:  # an interrupt or a test's own time limit
            self.kill()
            raise
        if not self.alive:
            code = self._process.returncode
            self.kill()
            raise ServiceFailed(f"{self.argv[0]}: exited with {code}\n{self._tail()}")

    def stop(self, *, grace: float = 10) -> None:
        """End it as an operator would (SIGTERM); what is still there after `grace` s is killed."""
        self._end(signal.SIGTERM, grace)

    def kill(self) -> None:
        """SIGKILL at once, as a crash or a power cut: no connection is closed in order."""
        self._end(signal.SIGKILL, 10)

    def restart(self) -> None:
        """Kill it if it runs, and start it again on the same ports and data."""
        self.kill()
        self.start()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Killed within the block and up again after it, so that later tests find it."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    def _end(self, how: signal.Signals, grace: float) -> None:
        if self._process is None or self._guard is None:
            return
        # sshd puts every connection into a session, and so a group, of its own: ask for the tree.
        tree: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            tree = psutil.Process(self.pid).children(recursive=True) if self.alive else []
        _signal_all(self._process, tree, how)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(grace)
        _signal_all(self._process, tree, signal.SIGKILL)
        self._process.wait()
        with suppress(TimeoutError):
            wait_for(lambda: all(map(is_gone, tree)), timeout=10)
        self._guard.kill()
        self._guard.communicate()
        self._guard = None

    def _tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def start(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    ready: Callable[[], bool],
    timeout: float,
) -> Server:
    """A server that is up: `ready` was true within `timeout` seconds; ServiceFailed if not."""
    server = Server(argv, cwd, env, log, ready, timeout)
    server.start()
    return server


def is_gone(process: psutil.Process) -> bool:
    """Whether it has ended; its parent (process 1 of a container) may never ask how: a zombie."""
    with suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def _signal_all(
    leader: subprocess.Popen[bytes], tree: Sequence[psutil.Process], how: signal.Signals
) -> None:
    # Once the leader was waited for, its id may be another's; if nobody has it, what is left of
    # the group is ours.
    if leader.returncode is None or not psutil.pid_exists(leader.pid):
        # macOS says PermissionError for a group of zombies.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader.pid, how)
    for process in tree:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(how)


def _guard(group: int) -> subprocess.Popen[bytes]:
    """A shell that kills the group when this process is gone, however it ended.

    It waits on a pipe whose other end only this process holds; a killed test session, which
    runs no clean-up, would otherwise leave its servers running.
    """
    return subprocess.Popen(
        ["/bin/sh", "-c", 'read _; kill -KILL "-$0"', str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
