"""Servers of the local stack answer programs, and pages of their own: no page of a stranger's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from anchored.decisions.page_requests import names_of, refusal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class OwnPages:
    """An ASGI application as it is served on a port of 127.0.0.1; websockets included.

    What `refusal` names, and paths that begin like one of `closed`, are answered with 403.
    """

    def __init__(self, app: App, port: int, *, closed: Collection[str] = ()) -> None:
        self._app, self._hosts, self._closed = app, names_of(port), tuple(closed)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:  # its start and its end
            await self._app(scope, receive, send)
            return
        method = scope.get("method", "")  # a websocket has none
        why = refusal(scope["headers"], method=method, hosts=self._hosts)
        if why is None and scope["path"].startswith(self._closed):
            why = "not served here"
        if why is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            # Before it is accepted, the server answers with 403.
            await send({"type": "websocket.close", "code": 1008})
        else:
            head = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(why))]
            await send({"type": "http.response.start", "status": 403, "headers": head})
            await send({"type": "http.response.body", "body": why.encode()})
