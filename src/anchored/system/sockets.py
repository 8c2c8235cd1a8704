"""Ports of this machine, and whether a server answers: seen before a library tries, which waits."""

from __future__ import annotations

import base64
import json
import socket
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from anchored.decisions.page_requests import HOST

CONNECTING = 2.0  # seconds
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}


def free_port(wanted: int | None) -> int:
    """The port that is wanted, if nobody listens on it; else one that is free now."""
    for port in (wanted or 0, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise OSError("no port is free")


def answers(url: str, *, timeout: float = 2) -> bool:
    """Whether a GET is answered with a status below 400 within some seconds."""
    with suppress(OSError, HTTPException), _opener().open(url, timeout=timeout):
        return True
    return False


def asked(url: str, question: dict[str, Any], *, key: str = "", timeout: float = 5) -> Any:
    """The JSON that a POST of JSON is answered with; None where it is not.

    `key` is what the server asks for, USER:PASSWORD.
    """
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Basic {base64.b64encode(key.encode()).decode()}"
    request = urllib.request.Request(  # noqa: S310 - an address of ours
        url, json.dumps(question).encode(), headers
    )
    with (
        suppress(OSError, HTTPException, ValueError),
        _opener().open(request, timeout=timeout) as answer,
    ):
        return json.load(answer)
    return None


def is_reachable(uri: str) -> bool:
    """Whether the server of a URI takes connections; what names no server is always there."""
    # A database's scheme may name its driver, too: `postgresql+psycopg2`.
    parts = urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    with suppress(OSError, ValueError):
        if scheme not in PORTS or not parts.hostname:
            return True
        address = parts.hostname, parts.port or PORTS[scheme]
        socket.create_connection(address, timeout=CONNECTING).close()
        return True
    return False


def _opener() -> urllib.request.OpenerDirector:
    """Asks past any proxy of the environment, which knows nothing of this machine's ports."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
