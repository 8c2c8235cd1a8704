"""The stand-in's HTTP side: who may ask, and which part answers."""

import base64
import gzip
import json
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.services.wandb_standin import file_stream
from tests.services.wandb_standin.documents import Unknown, parsed
from tests.services.wandb_standin.graphql import Refused, answered
from tests.services.wandb_standin.mutations import Mutations
from tests.services.wandb_standin.queries import Queries
from tests.services.wandb_standin.state import State, now

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Service:
    """What the stand-in knows and what it was asked; one request is answered at a time."""

    def __init__(self, state: State, api_key: str) -> None:
        self.state = state
        self.asked: list[str] = []
        self.unknown: list[str] = []
        self.refusal: Callable[[str], int | None] = lambda _path: None
        self.lock = threading.Lock()
        self.login = "Basic " + base64.b64encode(f"api:{api_key}".encode()).decode()

    def graphql(self, body: dict[str, Any], origin: str) -> tuple[int, dict[str, Any]]:
        """Status and answer; what is not known is an error in GraphQL's own form.

        Its status is one that the client does not try again.
        """
        try:
            return 200, {"data": self._data(body, origin)}
        except Refused as refused:
            return refused.status, {"data": None, "errors": [{"message": str(refused)}]}
        except (Unknown, LookupError, AttributeError, TypeError, ValueError) as error:
            why = f"{type(error).__name__}: {error}"
            self.unknown.append(f"{body['query']}\n{body.get('variables')}\n{why}")
            message = f"the stand-in does not know: {why}"
            return 400, {"data": None, "errors": [{"message": message}]}

    def _data(self, body: dict[str, Any], origin: str) -> dict[str, Any]:
        document = parsed(body["query"])
        self.asked.append(f"{document.kind} {body.get('operationName') or document.name}")
        queries = Queries(self.state, origin)
        roots = {"query": queries, "mutation": Mutations(self.state, queries)}
        return answered(document, body.get("variables") or {}, roots[document.kind].root())


class Handler(BaseHTTPRequestHandler):
    """`/graphql` and `/files/` for whoever has the API key; `/storage/KEY` for who has its key."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else an answer waits 40 ms for the client's acknowledgement
    wbufsize = -1
    server: "Listener"

    def do_POST(self) -> None:
        path, body = unquote(urlsplit(self.path).path), self._body()
        if self._may(path):
            self._posted(path, body)

    def do_PUT(self) -> None:
        path, body = unquote(urlsplit(self.path).path), self._body()
        if self._may(path):
            self._put(path, body)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if self._may(path):
            self._got(path)

    def log_message(self, *_: object) -> None: ...

    @property
    def _service(self) -> Service:
        return self.server.service

    def _may(self, path: str) -> bool:
        """Whether the request is to be answered; if not, it has been refused."""
        if not path.startswith(("/graphql", "/files/", "/storage/")):
            self._not_known()
            return False
        status = self._service.refusal(path)
        if status is None and not path.startswith("/storage/"):
            status = 401 if self.headers.get("Authorization") != self._service.login else None
        if status is not None:
            word = "user is not logged in" if status == 401 else "refused, as the test wants it"
            self._answer(status, {"errors": [{"message": word}]})
        return status is None

    def _posted(self, path: str, body: bytes) -> None:
        with self._service.lock:
            match path.strip("/").split("/"):
                case ["graphql"]:
                    self._answer(*self._service.graphql(json.loads(body), self._origin))
                case ["files", entity, project, run, "file_stream"]:
                    self._streamed(entity, project, run, json.loads(body))
                case _:
                    self._not_known()

    def _streamed(self, entity: str, project: str, run: str, body: dict[str, Any]) -> None:
        known = self._service.state.project(entity, project)
        if known is None or run not in known.runs:
            self._answer(404, {"error": f"run {run} not found"})
            return
        try:
            self._answer(200, file_stream.taken(known.runs[run], body))
        except Unknown as unknown:
            self._not_known(str(unknown))

    def _put(self, path: str, body: bytes) -> None:
        with self._service.lock:
            file = self._service.state.files.get(path.removeprefix("/storage/"))
            if file is None:
                self._not_known()
                return
            file.content, file.updated_at = body, now()
            self._answer(200, {})

    def _got(self, path: str) -> None:
        with self._service.lock:
            match path.strip("/").split("/"):
                case ["storage", key]:
                    file = self._service.state.files.get(key)
                case ["files", entity, project, run, *name]:
                    known = self._service.state.project(entity, project)
                    files = known.runs[run].files if known and run in known.runs else {}
                    file = files.get("/".join(name))
                case _:
                    self._not_known()
                    return
        if file is None or file.content is None:
            self._answer(404, {"errors": [{"message": "file not found"}]})
            return
        self._send(200, file.content, "application/octet-stream")

    def _not_known(self, what: str = "") -> None:
        asked = f"{self.command} {self.path} {what}".strip()
        self._service.unknown.append(asked)
        self._answer(404, {"errors": [{"message": f"the stand-in does not know: {asked}"}]})

    def send_error(self, code: int, *more: Any) -> None:
        """The base class's answer to a method for which there is no `do_`, or to no HTTP at all."""
        self._service.unknown.append(f"{self.command} {self.path}")
        super().send_error(code, *more)

    @property
    def _origin(self) -> str:
        return f"http://{self.headers.get('Host')}"

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            raise NotImplementedError("a body in chunks")
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        self._send(status, json.dumps(answer).encode(), "application/json")

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()


class Listener(ThreadingHTTPServer):
    """One listening socket with its connections, which `close` resets as a crash would."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, service: Service) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.service = service
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, name="wandb", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()
        for connection in list(self._open):
            with suppress(OSError):  # closed by the other side in this moment
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """A client that hung up is no error of ours; anything else is a request not answered."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            self.service.unknown.append("".join(traceback.format_exception(error)))
