"""Processes of ours that end with the one that started them, however that ends.

A pipe tells: its other end is closed when the process that holds it is gone, killed ones too.
"""

from __future__ import annotations

import os
import select
import subprocess
import threading

# A shell that ends a process group unless somebody says `done`: asks first, and kills what is left
# after the grace. `$0` is the group, `$1` the grace in seconds.
GUARD = """\
read -r done && exit
kill -TERM "-$0" 2>/dev/null
while [ "$1" -gt 0 ] && kill -0 "-$0" 2>/dev/null; do
    sleep 1
    set -- $(($1 - 1))
done
kill -KILL "-$0" 2>/dev/null
"""


def end_with_parent() -> None:
    """Ends this process at once when the other end of its standard input is closed.

    Nothing that this process starts gets that input.
    """
    lifeline = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

    def watch() -> None:
        poll = select.poll()
        poll.register(lifeline, 0)  # its closing alone, whatever there is to read
        poll.poll()
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def guard(group: int, grace: int) -> subprocess.Popen[bytes]:
    """A process that ends a process group if this process does not live to `dismiss` it."""
    return subprocess.Popen(
        ["/bin/sh", "-c", GUARD, str(group), str(grace)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def dismiss(guarding: subprocess.Popen[bytes]) -> None:
    """Ends a guard without harm to its group, which is then for somebody else to end."""
    guarding.communicate(b"done\n")
