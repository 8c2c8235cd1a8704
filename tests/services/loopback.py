"""Ports on the loopback interface: a free one, one that listens, a URL that answers."""

import os
import random
import socket
import urllib.request
from contextlib import suppress
from http.client import HTTPException

# Below the range from which Linux (32768) and macOS (49152) take ports for outgoing connections:
# none of those can take a server's port while the server is down between kill and restart.
_FIRST_PORT, _LAST_PORT = 20_000, 32_000
_handed_out: set[int] = set()


def free_port() -> int:
    """A loopback port that nobody listens on and that no second call returns.

    Each pytest-xdist worker draws from a range of its own, so that two workers cannot draw the
    same port in the seconds between drawing it and listening on it.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % workers
    width = (_LAST_PORT - _FIRST_PORT) // workers
    first = _FIRST_PORT + worker * width
    while True:
        # Not from the global generator: a seeded test session would draw what another one draws.
        port = random.SystemRandom().randrange(first, first + width)
        if port not in _handed_out and _is_free(port):
            _handed_out.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Whether a connection to the loopback port is accepted."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def answers(url: str) -> bool:
    """Whether a GET is answered with a status below 400, read past any proxy of the environment."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with suppress(OSError, HTTPException), opener.open(url, timeout=5):
        return True
    return False
