"""A stand-in for the W&B server: a model of the protocol that the SDK 0.31 speaks.

It is not the service and does not claim to be: it satisfies the real client, unmodified, in what
Anchored does with it, answers everything else with an error and keeps that in `unknown`.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from tests.services.loopback import free_port
from tests.services.wandb_standin.server import Listener, Service
from tests.services.wandb_standin.state import State

__all__ = ["WandbStandin", "serve_wandb_standin"]


@dataclass
class WandbStandin:
    """`url` is what clients take as base URL, `api_key` whom it lets in.

    `asked` has the GraphQL operations so far, `unknown` what it had no answer for.
    """

    port: int
    service: Service = field(repr=False)
    api_key: str = field(repr=False)
    _listener: Listener | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """The base URL by way of a proxy that listens on `port`."""
        return f"http://127.0.0.1:{port}"

    @property
    def user(self) -> str:
        """The entity of whoever has the key; `team` is another one."""
        return self.service.state.user

    @property
    def team(self) -> str:
        return self.service.state.team

    @property
    def organization(self) -> str:
        """Whom user and team belong to; its registry is `wandb-registry-model`."""
        return self.service.state.organization

    @property
    def asked(self) -> list[str]:
        return self.service.asked

    @property
    def unknown(self) -> list[str]:
        return self.service.unknown

    def start(self) -> None:
        """Listen; what was known before is still known."""
        self._listener = Listener(self.port, self.service)

    def stop(self) -> None:
        """Listen no more, and reset what is connected."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    @contextmanager
    def down(self) -> Iterator[None]:
        """Gone within the block and back after it, with all it knew."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def refusing(self, status: int, *, path: str = "/", times: int | None = None) -> Iterator[None]:
        """Answer with `status` what is asked below `path`, the first `times` times if given."""
        so_far = count()

        def refusal(asked: str) -> int | None:
            if not asked.startswith(path) or (times is not None and next(so_far) >= times):
                return None
            return status

        before, self.service.refusal = self.service.refusal, refusal
        try:
            yield
        finally:
            self.service.refusal = before

    @contextmanager
    def crashing_after(self, seconds: float) -> Iterator[None]:
        """Within the block, a run not heard of for so long is `crashed`."""
        patience = self.service.state.patience
        before, patience.seconds = patience.seconds, seconds
        try:
            yield
        finally:
            patience.seconds = before


@contextmanager
def serve_wandb_standin() -> Iterator[WandbStandin]:
    """A stand-in that knows of no run yet; it lives in this process until the end of the block."""
    api_key = secrets.token_hex(20)
    server = WandbStandin(free_port(), Service(State(), api_key), api_key)
    server.start()
    try:
        yield server
    finally:
        server.stop()
