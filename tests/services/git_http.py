"""A Git server over HTTP that asks for a password: `git http-backend` behind Python's own server."""

import base64
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

USER, PASSWORD = "ada", "hunter2-hunter2"


@dataclass(frozen=True)
class GitHttpServer:
    """Serves the bare repositories below a folder, to `USER` with `PASSWORD`."""

    port: int

    def url_of(self, name: str, *, login: str = f"{USER}:{PASSWORD}@") -> str:
        return f"http://{login}127.0.0.1:{self.port}/{name}.git"


@contextmanager
def serve_git_over_http(base: Path, env: dict[str, str]) -> Iterator[GitHttpServer]:
    """Serve what lies below `base` until the end of the block."""
    wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._pass_on()

        do_POST = do_GET  # noqa: N815 - the base class's name

        def log_message(self, *_: object) -> None: ...

        def _pass_on(self) -> None:
            """CGI, https://www.rfc-editor.org/rfc/rfc3875; bodies come whole or in chunks."""
            address, body = urlsplit(self.path), self._body()
            variables = {
                "GIT_PROJECT_ROOT": str(base), "GIT_HTTP_EXPORT_ALL": "1", "REMOTE_USER": USER,
                "PATH_INFO": address.path, "QUERY_STRING": address.query,
                "REQUEST_METHOD": self.command, "CONTENT_LENGTH": str(len(body)),
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }  # fmt: skip
            done = subprocess.run(
                ["git", "http-backend"], env={**env, **variables}, input=body,
                capture_output=True, check=False,
            )  # fmt: skip
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="git http", daemon=True)
    thread.start()
    try:
        yield GitHttpServer(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
