"""Whether a server takes connections: seen before a library tries, which waits for long."""

from __future__ import annotations

import socket
from contextlib import suppress
from urllib.parse import urlsplit

PATIENCE = 2.0  # seconds
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}


def is_reachable(uri: str) -> bool:
    """Whether the server of a URI takes connections; what names no server is always there."""
    # A database's scheme may name its driver, too: `postgresql+psycopg2`.
    parts = urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    with suppress(OSError, ValueError):
        if scheme not in PORTS or not parts.hostname:
            return True
        address = parts.hostname, parts.port or PORTS[scheme]
        socket.create_connection(address, timeout=PATIENCE).close()
        return True
    return False
