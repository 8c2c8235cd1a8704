"""Who asks a server of the local stack: a program, one of its own pages, or a page of a stranger.

A browser says where a request comes from, in `Origin` (https://fetch.spec.whatwg.org/#origin-header)
and in `Sec-Fetch-*` (https://www.w3.org/TR/fetch-metadata); programs send neither. `Host` is the
name that an address was looked up by: a name that is made to lead here later ("DNS rebinding") is
told by it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

HOST = "127.0.0.1"
# By the page itself; by whoever typed the address, or chose a bookmark.
OWN = {"same-origin", "none"}


def names_of(port: int) -> tuple[str, ...]:
    """What the `Host` of a request to a port of this machine may be."""
    return f"{HOST}:{port}", f"localhost:{port}"


def refusal(
    headers: Iterable[tuple[bytes, bytes]], *, method: str, hosts: Collection[str]
) -> str | None:
    """Why a request is refused that comes with these headers (names in lower case); None if not.

    `hosts` are the server's own names with their port. Links from other pages are followed, into
    a window and not into a frame; all else that another page asks for is refused.
    """
    said: dict[bytes, list[str]] = {}
    for name, value in headers:
        said.setdefault(name, []).append(value.decode("latin-1"))
    named = said.get(b"host", [])
    if len(named) != 1 or named[0].lower() not in hosts:
        return f"this server answers as {' and '.join(hosts)} alone"
    # Its own name is an origin of its own: what listens there by IPv6 may be somebody else.
    if any(origin != f"http://{named[0].lower()}" for origin in said.get(b"origin", [])):
        return "asked by a page of another origin"
    if not OWN.issuperset(said.get(b"sec-fetch-site", [])):
        link = (
            method == "GET"
            and said.get(b"sec-fetch-mode") == ["navigate"]
            and said.get(b"sec-fetch-dest") == ["document"]
        )
        return None if link else "asked by a page of another origin"
    return None
