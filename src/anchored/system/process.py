"""Training as a subprocess: its own process group, its lines as they come, its end in words."""

from __future__ import annotations

import os
import selectors
import shlex
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from anchored.errors import DiskFull
from anchored.system.lifeline import dismiss, guard

GRACE = 10.0  # seconds between SIGTERM and SIGKILL
MOMENT = 0.5  # the same, where everything is to end at once
TAIL = 40  # lines kept for an error message
LONGEST_LINE = 64 * 1024  # bytes after which a line without an end is passed on
# Put before a command, the shell waits for a line; without one, its parent is dead.
GATE = "read -r _ || exit 1; exec </dev/null\n"
RUN_ID = "ANCHORED_RUN_ID"  # the variable by which a training's processes are known
PIPE = 1 << 20  # bytes that a pipe can hold, at the most


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended: its exit status (negative: the signal), if it ran out of time, its
    last lines.
    """

    status: int
    timed_out: bool
    tail: tuple[str, ...]

    @property
    def in_words(self) -> str:
        if self.timed_out:
            return "ran out of time"
        if self.status < 0:
            return f"was killed by {_signal_name(-self.status)}"
        if self.status == 127:
            return "was not found (exit status 127)"
        # A shell reports a killed child as 128 + signal.
        if self.status > 128 and self.status - 128 in {s.value for s in signal.Signals}:
            return f"was killed by {signal.Signals(self.status - 128).name}"
        return f"ended with exit status {self.status}"


def run_command(
    command: str,
    *,
    cwd: Path,
    variables: Mapping[str, str],
    log: Path,
    timeout: float | None,
    on_line: Callable[[str], str],
    on_start: Callable[[], None],
) -> Ending:
    """Runs a shell command to its end, and ends whatever it started that is still there.

    `variables` hold `RUN_ID`. `on_line` gets every line of output, and what it returns is what
    stands in `log`. The command begins when `on_start` has returned: should this process be killed
    before, it never ran.
    """
    process = subprocess.Popen(
        GATE + command,
        shell=True,
        cwd=cwd,
        env=dict(variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    tail: deque[str] = deque(maxlen=TAIL)
    guarding = guard(process.pid, int(GRACE))
    try:
        on_start()
        _let_go(process)
        with log.open("wb", buffering=0) as stream:

            def take(line: str) -> None:
                kept = on_line(line)
                tail.append(kept)
                try:
                    stream.write(f"{kept}\n".encode(errors="backslashreplace"))
                except OSError as error:
                    # A full disk costs lines of the log, and not the training.
                    if not DiskFull.is_meant_by(error):
                        raise

            timed_out = _follow(process, take, timeout)
    finally:
        # Children that outlive the command would go on writing into a tree that is taken away.
        _end_group(process)
        end_training(variables[RUN_ID])
        dismiss(guarding)
    return Ending(status=process.returncode, timed_out=timed_out, tail=tuple(tail))


def _signal_name(number: int) -> str:
    """The signal's name; real-time signals have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _let_go(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as gate:
        gate.write(b"go\n")


def _follow(
    process: subprocess.Popen[bytes], take: Callable[[str], None], timeout: float | None
) -> bool:
    """Reads lines until the process has ended and its output is drained; True on time-out."""
    deadline = None if timeout is None else time.monotonic() + timeout
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    os.set_blocking(descriptor, False)
    pending, undrained = b"", PIPE
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while undrained > 0:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return True
            # A daemon that training left behind may hold the pipe open, and go on writing to it:
            # the process decides, and what it wrote was in the pipe when it ended.
            ended = process.poll() is not None
            wait = 0.2 if left is None else min(left, 0.2)
            ready = selector.select(0 if ended else wait)
            chunk = _read(descriptor) if ready else None
            if chunk:
                *lines, pending = (pending + chunk).replace(b"\r\n", b"\n").split(b"\n")
                if len(pending) > LONGEST_LINE:
                    line, pending = _cut(pending)
                    lines.append(line)
                for line in lines:
                    take(_text(line))
                undrained -= len(chunk) if ended else 0
            elif chunk == b"" or ended:
                break
        if pending:
            take(_text(pending))
    while process.poll() is None:
        if deadline is not None and time.monotonic() > deadline:
            return True
        time.sleep(0.01)
    return False


def _read(descriptor: int) -> bytes | None:
    try:
        return os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return None


def _cut(line: bytes) -> tuple[bytes, bytes]:
    """A line's start and rest, cut between words: half a secret would not be known for one."""
    end = max(line.rfind(b" "), line.rfind(b"\r")) + 1
    return (line[:end], line[end:]) if end else (line, b"")


def _text(line: bytes) -> str:
    """The line as a terminal would leave it: what a progress bar overwrote is gone."""
    return line.decode("utf-8", errors="replace").rstrip("\r").rsplit("\r", 1)[-1]


def _end_group(leader: subprocess.Popen[bytes]) -> None:
    """Ends every process of a group: asks first, kills what is still there after the grace."""
    deadline = time.monotonic() + GRACE
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            leader.poll()
            os.killpg(leader.pid, 0)
            time.sleep(0.02)
        os.killpg(leader.pid, signal.SIGKILL)
    leader.wait()


def end_training(run_id: str) -> None:
    """Ends what still runs of a run's training, in whatever group or session it is.

    Asks first, kills after the grace. Processes are known by `RUN_ID` in their environment: a
    number would be no proof, it may be another's by now.
    """
    deadline, asked = time.monotonic() + GRACE, set()
    while (left := _trainings(run_id)) and time.monotonic() < deadline + GRACE:
        for process in left:
            with suppress(psutil.Error):
                if time.monotonic() > deadline:
                    process.kill()
                elif process not in asked:
                    asked.add(process)
                    process.terminate()
        psutil.wait_procs(left, timeout=0.2)


def end_descendants() -> None:
    """Ends every process that comes of this one: asks first, and kills after a moment."""
    left = psutil.Process().children(recursive=True)
    for process in left:
        with suppress(psutil.Error):
            process.terminate()
    for process in psutil.wait_procs(left, timeout=MOMENT)[1]:
        with suppress(psutil.Error):
            process.kill()


def _trainings(run_id: str) -> list[psutil.Process]:
    """Live processes of a run's training; a zombie has no environment left."""
    found = []
    for process in psutil.process_iter():
        # Other users' processes do not show theirs.
        with suppress(psutil.Error, OSError):
            if process.environ().get(RUN_ID) == run_id and process.pid != os.getpid():
                found.append(process)
    return found


def program_of(command: str) -> str | None:
    """The first word of a shell command behind its variables; None if there is none."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    while words and "=" in words[0] and not words[0].startswith(("/", ".")):
        words.pop(0)
    return words[0] if words else None


def interpreter_of(command: str, variables: Mapping[str, str], cwd: Path) -> str | None:
    """The Python that a training command runs, by its first word; else the first on the PATH."""
    path, program = variables.get("PATH", os.defpath), program_of(command)
    if program and Path(program).name.startswith(("python", "pypy")):
        named = program if "/" not in program else str(cwd / program)
        if found := shutil.which(named, path=path):
            return found
    return shutil.which("python", path=path) or shutil.which("python3", path=path)


def probed(interpreter: str, variables: Mapping[str, str], cwd: Path) -> bytes | None:
    """What an interpreter says it is, as JSON; None if it could not run the probe."""
    script = Path(__file__).parents[1] / "probe" / "environment.py"
    try:
        answer = subprocess.run(
            [interpreter, str(script)],
            cwd=cwd,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=True,
        )
    except (subprocess.SubprocessError, OSError):
        return None
    return answer.stdout
