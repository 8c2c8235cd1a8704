"""How long a DVC remote may be silent: one that died must not hang a run.

The clients' own defaults add up to many minutes: s3fs tries five times what botocore tries five
times (s3fs 2026.9), and a quiet SSH connection is waited for forever. Tries are the flow's
business.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

# Options of `dvc remote`, in seconds, for what the user has not set.
OPTIONS: Mapping[str, Mapping[str, int]] = {
    "s3": {"connect_timeout": 10, "read_timeout": 10},
    "ssh": {"timeout": 15},
    "http": {"connect_timeout": 10, "read_timeout": 20},
    "https": {"connect_timeout": 10, "read_timeout": 20},
}
S3_TRIES = 2
# A peer that reads 4 KB a second is lost too, one that reads 16 is not (Linux 6.18; with half of
# this it is: a window that was closed opens only when a good part of the buffer is free).
S3_UNREAD_MS = 20_000
# Of asyncssh: a connection on which two such questions in a row stay unanswered is lost.
SSH_ALIVE = {"keepalive_interval": 5, "keepalive_count_max": 2, "login_timeout": 15}


def limit_options(remotes: Mapping[str, Any]) -> None:
    """Sets, in DVC's configuration of its remotes, the waits that the user has not set."""
    for remote in remotes.values():
        scheme = str(remote.get("url", "")).split("://", 1)[0]
        for option, seconds in OPTIONS.get(scheme, {}).items():
            remote.setdefault(option, seconds)


def limit_client(fs: Any) -> None:
    """Bounds what no option of DVC's does, on a remote's file system that is not in use yet."""
    if fs.protocol == "s3":
        options = fs.fs_args.setdefault("config_kwargs", {})
        options.setdefault("retries", {"total_max_attempts": 1})
        if _takes_sockets():
            options.setdefault("connector_args", {"socket_factory": _impatient_socket})
        fs.fs.retries = S3_TRIES
        _no_expectations(fs.fs)
    elif fs.protocol == "ssh":
        fs.fs_args.update(SSH_ALIVE)


def _takes_sockets() -> bool:
    """Whether the connections can be ours: an aiobotocore of old knows no `socket_factory`."""
    from aiobotocore.config import AioConfig  # type: ignore[import-untyped]
    from botocore.exceptions import ParamValidationError

    try:
        AioConfig(connector_args={"socket_factory": _impatient_socket})
    except ParamValidationError:
        return False
    return True


def _impatient_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket that is lost when its peer takes nothing more of what is sent.

    aiohttp has no time-out for writing: a server that stopped reading amid a body was waited for
    without end (seen with aiohttp 3.14). Linux then ends the connection, however the peer answers
    the probes of its closed window. What a slow network delays is acknowledged meanwhile.
    """
    family, kind, protocol, *_ = address
    connection = socket.socket(family, kind, protocol)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, S3_UNREAD_MS)
    return connection


def _no_expectations(s3: Any) -> None:
    """Uploads begin at once: aiohttp waits without any limit to be told `100 Continue`.

    (Seen with aiohttp under aiobotocore: a PUT to a server that accepts and stays silent.)
    """
    from botocore.handlers import add_expect_header

    s3.s3.meta.events.unregister("before-call.s3", add_expect_header)
