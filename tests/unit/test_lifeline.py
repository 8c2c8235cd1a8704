"""Processes of ours end with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from anchored.system.lifeline import dismiss, guard

TEMPORARY_SERVER = [sys.executable, "-m", "anchored.cli.temporary_prefect", "0"]
READING = """\
import subprocess, sys
from anchored.system.lifeline import end_with_parent

end_with_parent()
print(repr(subprocess.run(["cat"], capture_output=True).stdout), flush=True)
import time
time.sleep(300)
"""


def test_a_process_ends_with_its_parent_and_keeps_its_pipe_to_itself() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", READING], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"for the process alone")
        process.stdin.flush()
        assert process.stdout.readline() == b"b''\n"
        process.stdin.close()
        assert process.wait(60) == 1


def test_the_temporary_server_ends_with_its_command() -> None:
    with subprocess.Popen(TEMPORARY_SERVER, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 1


def test_a_guard_ends_its_group_unless_it_was_dismissed() -> None:
    stubborn = ["/bin/sh", "-c", "trap '' TERM; echo; while :; do sleep 1; done"]
    left, ended = (
        subprocess.Popen(stubborn, stdout=subprocess.PIPE, start_new_session=True) for _ in range(2)
    )
    for group in (left, ended):
        assert group.stdout is not None
        group.stdout.readline()
    dismissed, guarding = guard(left.pid, 1), guard(ended.pid, 1)
    dismiss(dismissed)
    assert guarding.stdin is not None
    guarding.stdin.close()  # as when this process is killed
    assert ended.wait(60) == -signal.SIGKILL
    assert guarding.wait(60) is not None
    assert left.poll() is None
    os.killpg(left.pid, signal.SIGKILL)
    for group in (left, ended):
        group.communicate()
