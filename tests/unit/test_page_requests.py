"""Who may ask a server of the local stack, by what a browser says of a request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from anchored.decisions.page_requests import names_of, refusal
from anchored.system.own_pages import OwnPages

OURS = "127.0.0.1:4200"


def refused(method: str = "GET", **said: str | tuple[str, ...]) -> bool:
    headers = [
        (name.replace("_", "-").encode(), value.encode())
        for name, values in ({"host": OURS} | said).items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return refusal(headers, method=method, hosts=names_of(4200)) is not None


@pytest.mark.parametrize("host", [OURS, "localhost:4200", "LOCALHOST:4200"])
def test_programs_and_its_own_pages_are_answered(host: str) -> None:
    assert not refused(host=host)
    assert not refused("POST", host=host)
    assert not refused("POST", host=host, origin=f"http://{host.lower()}", sec_fetch_site="same-origin")  # fmt: skip
    assert not refused(host=host, sec_fetch_site="none", sec_fetch_mode="navigate")


def test_a_link_from_elsewhere_is_followed_into_a_window_alone() -> None:
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert not refused(**link, sec_fetch_dest="document")
    assert refused("POST", **link, sec_fetch_dest="document")
    for frame in ("iframe", "frame", "object", "embed", "empty", ""):
        assert refused(**link, sec_fetch_dest=frame)
    assert refused(**link)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "Same-Origin", "x"])
def test_what_another_page_asks_for_is_refused(site: str) -> None:
    assert refused(sec_fetch_site=site, sec_fetch_mode="no-cors", sec_fetch_dest="image")
    assert refused("POST", sec_fetch_site=site)
    assert refused(sec_fetch_site=("same-origin", site))


@pytest.mark.parametrize(
    "origin", ["null", "", "http://evil.example", "http://127.0.0.1", "http://127.0.0.1:8000",
               "https://127.0.0.1:4200", "http://localhost:4200", f"http://{OURS}.evil.example"]
)  # fmt: skip
def test_an_origin_that_is_not_the_name_it_was_asked_by_is_refused(origin: str) -> None:
    assert refused(origin=origin)
    assert refused("POST", origin=(f"http://{OURS}", origin))


@pytest.mark.parametrize(
    "host", ["", "evil.example:4200", "127.0.0.1", "127.0.0.1:42000", "localhost.:4200",
             "10.evil.example", "127.0.0.1:4200.evil.example", "[::1]:4200", (OURS, OURS), ()]
)  # fmt: skip
def test_another_name_is_refused(host: str | tuple[str, ...]) -> None:
    assert refused(host=host)


def answered(scope: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[Any] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "the application's"})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {}

    asyncio.run(OwnPages(app, 4200, closed=["/closed"])(scope, receive, send))
    return sent


def test_what_is_refused_does_not_reach_the_application() -> None:
    ours, evil = [(b"host", OURS.encode())], [(b"host", b"evil.example:4200")]
    asked = {"type": "http", "method": "GET", "path": "/"}
    passed = [{"type": "the application's"}]
    assert answered({"type": "lifespan"}) == passed
    assert answered(asked | {"headers": ours}) == passed
    assert answered(asked | {"headers": evil})[0]["status"] == 403
    assert answered(asked | {"headers": ours, "path": "/closed/x"})[0]["status"] == 403
    socket = {"type": "websocket", "path": "/"}
    assert answered(socket | {"headers": ours}) == passed
    foreign = [*ours, (b"origin", b"http://127.0.0.1:1")]
    assert answered(socket | {"headers": foreign}) == [{"type": "websocket.close", "code": 1008}]
