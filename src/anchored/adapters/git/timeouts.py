"""How long a Git remote may be silent: one that does not answer must not hang a run."""

from __future__ import annotations

import os
import posixpath
import shlex
from collections.abc import Mapping

# Of Git itself, over HTTP (bytes a second, and seconds); never a question to nobody.
VARIABLES: Mapping[str, str] = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_HTTP_LOW_SPEED_LIMIT": "1",
    "GIT_HTTP_LOW_SPEED_TIME": "30",
}
# Of OpenSSH: a connection on which three questions in a row stay unanswered is lost, after 40 s.
SSH = "-o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3"


def timeouts(ssh_command: str) -> dict[str, str]:
    """Variables that bound a Git command's waits; `ssh_command` is what `core.sshCommand` says.

    The user's own way of logging in is kept: looked for where Git does, in Git's order, and given
    our options only where it is OpenSSH. Of two options that differ OpenSSH takes the first.
    """
    environ = os.environ
    program = shlex.quote(environ.get("GIT_SSH") or "ssh")
    own = environ.get("GIT_SSH_COMMAND") or ssh_command or program
    return {**VARIABLES, **({"GIT_SSH_COMMAND": f"{own} {SSH}"} if _is_openssh(own) else {})}


def _is_openssh(command: str) -> bool:
    """Whether a shell command starts OpenSSH's client: known by its name, as Git does."""
    try:
        return posixpath.basename(shlex.split(command)[0]) == "ssh"
    except (ValueError, IndexError):
        return False
