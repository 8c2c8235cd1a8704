"""What the services are built from: processes that end, ports, and the proxy that harms."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.services import ServiceMissing, require
from tests.services.environment import clean_env
from tests.services.loopback import free_port, listens
from tests.services.process import ServiceFailed, is_gone, start, wait_for
from tests.services.proxy import Proxy

ROOT = Path(__file__).parents[2]


def echo(port: int, data: bytes) -> bytes:
    """What comes back for `data` from a server that answers until its client is done."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


ECHO = """
import socketserver, sys
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"""


def test_proxy_cuts_refuses_is_silent_and_heals(
    proxy: Callable[[int], Proxy], tmp_path: Path
) -> None:
    port = free_port()
    argv = [sys.executable, "-c", ECHO, str(port)]
    log = tmp_path / "log"
    server = start(
        argv,
        cwd=tmp_path,
        env=clean_env(tmp_path),
        log=log,
        ready=lambda: listens(port),
        timeout=30,
    )
    try:
        between = proxy(port)
        assert echo(between.port, b"x" * 10_000) == b"x" * 10_000
        assert (between.connections, between.bytes_up) == (1, 10_000)
        between.cut_after(5_000)
        with pytest.raises(ConnectionResetError):
            echo(between.port, b"x" * 50_000)
        assert between.bytes_up == 15_000
        with pytest.raises(ConnectionResetError):
            echo(between.port, b"x")
        between.refuse()
        with pytest.raises(ConnectionRefusedError):
            echo(between.port, b"x")
        between.heal()
        between.blackhole()
        with socket.create_connection(("127.0.0.1", between.port), timeout=0.3) as connection:
            connection.sendall(b"late")
            with pytest.raises(TimeoutError):
                connection.recv(10)
            between.heal()
            connection.settimeout(5)
            assert connection.recv(10) == b"late"
    finally:
        server.stop()


def test_a_server_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    env = clean_env(tmp_path)
    dies = ["/bin/sh", "-c", "echo no such luck >&2; exit 3"]
    log = tmp_path / "log"
    with pytest.raises(ServiceFailed, match=r"exited with 3\nno such luck"):
        start(dies, cwd=tmp_path, env=env, log=log, ready=lambda: False, timeout=10)
    hangs = ["/bin/sh", "-c", "echo $$ >pid; sleep 600"]
    with pytest.raises(ServiceFailed, match="not within 1 s"):
        start(hangs, cwd=tmp_path, env=env, log=log, ready=lambda: False, timeout=1)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_servers_end_with_a_test_session_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from tests.services.process import start\n"
        "here = Path(sys.argv[1]); does = 'sleep 600 & echo $! >part; mv part child; wait'\n"
        "argv = ['/bin/sh', '-c', does]\n"
        "ready = (here / 'child').exists\n"
        "s = start(argv, cwd=here, env=os.environ, log=here / 'log', ready=ready, timeout=10)\n"
        "print(s.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    argv = [sys.executable, "-c", script, str(tmp_path)]
    killed = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = [int(killed.stdout), int((tmp_path / "child").read_text())]
    wait_for(lambda: all(is_gone_id(pid) for pid in left), timeout=10)


def is_gone_id(pid: int) -> bool:
    try:
        return is_gone(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return True


def test_a_missing_program_fails_in_ci_and_is_skipped_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for ci, outcome in (("true", pytest.fail.Exception), ("", pytest.skip.Exception)):
        monkeypatch.setenv("CI", ci)
        with pytest.raises(outcome, match="sshd is missing: install it"), require():
            raise ServiceMissing("sshd", how="install it")
