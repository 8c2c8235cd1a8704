"""A TCP proxy in this process that can harm the connections that pass through it."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.services.loopback import free_port

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # linger for zero seconds: close() sends RST, not FIN


@dataclass
class _Connection:
    """What becomes of one connection, in both directions."""

    loses: bool = False
    begun: bool = False


class Proxy:
    """Passes bytes between `port` and `target_port`, both loopback, until told otherwise.

    `connections` and `bytes_up` count what clients opened and sent since the start, `lost` the
    requests whose answers were lost, `failed` those that came to harm by `fail`. Each method has
    taken effect when it returns.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = free_port()
        self.connections = 0
        self.bytes_up = 0
        self.lost = 0
        self.failed = 0
        self._faults: tuple[float, random.Random] | None = None
        self._losing = b""
        self._cut_at: int | None = None
        self._deaf_at: int | None = None
        self._passing = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def start(self) -> None:
        """Begin to listen; the thread that serves is the proxy's own."""
        self._thread.start()
        self.heal()

    def close(self) -> None:
        """Reset what is open and end the thread."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut_after(self, count: int) -> None:
        """Reset all connections once `count` more bytes went up; after that, every new one."""
        self._do(self._cut_after(count))

    def stop_reading_after(self, count: int) -> None:
        """Fall silent once `count` more bytes went up: what is sent then fills the clients' side.

        Every connection stays open, and new ones are accepted.
        """
        self._do(self._stop_reading_after(count))

    def lose_answer(self, path: bytes) -> None:
        """Let the server do what is POSTed to a path, and reset instead of passing its answer."""
        self._do(self._lose_answer(path))

    def fail(self, share: float, seed: int) -> None:
        """Harm this share of all requests: reset before they arrive, or instead of their answer, or
        answer 503 where they are HTTP's.
        """
        self._do(self._fail((share, random.Random(seed))))

    def refuse(self) -> None:
        """Reset what is open and listen no more: new connections are refused."""
        self._do(self._refuse())

    def blackhole(self) -> None:
        """Go on accepting, but pass nothing on in either direction, as behind a lost route."""
        self._do(self._blackhole())

    def heal(self) -> None:
        """Pass everything on again; what was kept silent goes on, what was reset stays so."""
        self._do(self._heal())

    def _do(self, change: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(change, self._loop).result(timeout=10)

    async def _cut_after(self, count: int) -> None:
        self._cut_at = self.bytes_up + count

    async def _stop_reading_after(self, count: int) -> None:
        self._deaf_at = self.bytes_up + count

    async def _lose_answer(self, path: bytes) -> None:
        self._losing = path

    async def _fail(self, faults: tuple[float, random.Random]) -> None:
        self._faults = faults

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._reset_all()

    async def _blackhole(self) -> None:
        self._passing.clear()

    async def _heal(self) -> None:
        self._cut_at = self._deaf_at = None
        self._losing, self._faults = b"", None
        self._passing.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        ends = [writer]
        self._open.add(writer)
        state = _Connection()
        try:
            answer, target = await asyncio.open_connection("127.0.0.1", self.target_port)
            ends.append(target)
            self._open.add(target)
            await asyncio.gather(
                self._pass_on(reader, target, state, up=True, back=writer),
                self._pass_on(answer, writer, state, up=False),
            )
        except OSError:  # one side reset, or nobody listens at the target: the other side sees it
            for end in ends:
                _reset(end)
        finally:
            for end in ends:
                end.close()
                self._open.discard(end)

    async def _pass_on(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        state: _Connection,
        *,
        up: bool,
        back: asyncio.StreamWriter | None = None,
    ) -> None:
        while data := await source.read(65_536):
            await self._passing.wait()
            if up and self._losing and data.startswith(b"POST ") and self._losing in _line(data):
                state.loses, self.lost = True, self.lost + 1
            if back is not None and self._faults and (not state.begun or _is_request(data)):
                state.begun = True
                await self._harm(state, data, back, *self._faults)
            if not up and state.loses:
                raise ConnectionResetError
            if up and self._cut_at is not None and self.bytes_up + len(data) >= self._cut_at:
                data = data[: max(0, self._cut_at - self.bytes_up)]
                self.bytes_up += len(data)
                sink.write(data)
                self._reset_all()
                return
            self.bytes_up += len(data) if up else 0
            if up and self._deaf_at is not None and self.bytes_up >= self._deaf_at:
                self._passing.clear()
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof() and not sink.is_closing():
            sink.write_eof()

    async def _harm(
        self,
        state: _Connection,
        data: bytes,
        back: asyncio.StreamWriter,
        share: float,
        chances: random.Random,
    ) -> None:
        """Does nothing, or lets the answer be lost, or ends the connection here and now."""
        if chances.random() >= share:
            return
        self.failed += 1
        kind = chances.randrange(3 if _is_request(data) else 2)
        if kind == 0:
            state.loses = True
            return
        if kind == 2:
            back.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await back.drain()
        raise ConnectionResetError

    def _reset_all(self) -> None:
        for end in self._open:
            _reset(end)

    async def _close(self) -> None:
        await self._refuse()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _is_request(data: bytes) -> bool:
    """Whether a request of HTTP's begins here."""
    return data.partition(b" ")[0] in {b"GET", b"PUT", b"POST", b"HEAD", b"DELETE", b"PATCH"}


def _line(request: bytes) -> bytes:
    return request.partition(b"\r\n")[0]


def _reset(end: asyncio.StreamWriter) -> None:
    connection: socket.socket | None = end.get_extra_info("socket")
    if connection is not None and connection.fileno() != -1:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    end.transport.abort()


@contextmanager
def cutting_proxy(target_port: int) -> Iterator[Proxy]:
    """A proxy to the loopback port that passes everything on until it is told to do harm."""
    proxy = Proxy(target_port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.close()
