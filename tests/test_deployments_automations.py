"""The automations in `deployments/`, on a real server: who is told, and what becomes of a zombie."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.test_cancellation import SLOW, assert_closed
from tests.killed import trainings
from tests.repos import Repo
from tests.services.prefect_server import PrefectServer
from tests.services.prefect_worker import Flows, deploy, prefect, process_of, worker
from tests.services.process import wait_for

FOLDER = Path(__file__).parents[1] / "deployments"
BLOCK = """\
from prefect.blocks.notifications import CustomWebhookNotificationBlock as Block
message = {{"subject": "{{{{subject}}}}", "body": "{{{{body}}}}"}}
print(Block(name="anchored", url={url!r}, json_data=message).save("anchored", overwrite=True))
"""


@contextmanager
def listener() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """An address on loopback, and the messages that arrive there."""
    heard: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def block_id(server: PrefectServer, url: str) -> str:
    """A block that posts messages to the address."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCK.format(url=url)], env={**os.environ, **server.env},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def create(server: PrefectServer, file: Path, **replaced: str) -> None:
    text = (FOLDER / file.name).read_text()
    for old, new in replaced.items():
        assert old.replace("_is_", ": ") in text
        text = text.replace(old.replace("_is_", ": "), new)
    file.write_text(text)
    prefect(server, "automation", "create", "--from-file", str(file))


@pytest.fixture
def told(prefect_server: PrefectServer, tmp_path: Path) -> Iterator[list[dict[str, str]]]:
    """What somebody is told, with all automations created as the README says; they are deleted."""
    url = prefect_server.api_url
    with listener() as (address, heard):
        files = sorted(file.name for file in FOLDER.glob("*.yaml"))
        assert files == ["notifications.yaml", "zombies.yaml"]
        create(prefect_server, tmp_path / files[0], BLOCK_ID=block_id(prefect_server, address))
        create(prefect_server, tmp_path / files[1], within_is_600="within: 10")
        try:
            yield heard
        finally:
            for automation in httpx.post(f"{url}/automations/filter", json={}).json():
                httpx.delete(f"{url}/automations/{automation['id']}")


def test_somebody_is_told_and_a_zombie_is_called_crashed(
    repo: Repo, prefect_server: PrefectServer, told: list[dict[str, str]]
) -> None:
    repo.script(SLOW)
    deploy(prefect_server)
    flows = Flows(prefect_server)
    ends = {"Failed": "FAILED", "Refused": "COMPLETED", "Not reproduced": "COMPLETED"}
    for name, kind in ends.items():
        ended = flows.start("audit/weekly", state="PENDING")
        flows.set_state(ended, kind, name=name, message=f"what to do, {name}")
        wait_for(lambda name=name: any(name in m["subject"] for m in told), 30)
        (message,) = [m for m in told if name in m["subject"]]
        assert f"what to do, {name}" in message["body"]
        assert ended in message["body"]

    home = repo.root.parent
    with worker(prefect_server, home, ANCHORED_REPO=str(repo.root)) as machine:
        flow_run = flows.start("experiment/on-demand", run_name="zombie", params={"power": 2})
        wait_for(lambda: "sleeping" in flows.log(flow_run), 90, interval=0.3)
        # Machine trouble: nobody is left to say so, and training goes on.
        psutil.Process(machine.pid).kill()
        process_of(flow_run).kill()
    assert flows.get(flow_run)["state_type"] == "RUNNING"
    ended = flows.ended(flow_run, 60)
    assert ended["state_type"] == "CRASHED"
    assert ended["state"]["message"].startswith("Nothing was heard of the flow run")
    wait_for(lambda: any("zombie: Crashed" in m["subject"] for m in told), 30)

    # The next flow run on that machine puts right what was left.
    done = repo.anchored("run", "next", **prefect_server.env)
    assert done.returncode == 0, done.stderr
    assert "zombie was interrupted in training, and is closed as failed" in done.stderr
    assert_closed(repo, "zombie", "training was interrupted")
    assert not trainings(repo)
