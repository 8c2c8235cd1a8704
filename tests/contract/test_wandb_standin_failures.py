"""The stand-in refuses, fails and falls silent as a server does, and the real W&B client notices.

With the SDK's own settings it goes on trying for minutes; `QUICK` ends that.
"""

from __future__ import annotations

import dataclasses
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import wandb
from wandb.errors import AuthenticationError, CommError

from tests.contract.wandb_client import Client
from tests.services.proxy import Proxy

QUICK = {
    f"x_{kind}_{name}": value
    for kind in ("graphql", "file_stream", "file_transfer")
    for name, value in {
        "retry_max": 2,
        "retry_wait_min_seconds": 1.0,  # a part of a second counts as not set
        "retry_wait_max_seconds": 1.0,
        "timeout_seconds": 2.0,
    }.items()
} | {"init_timeout": 8.0, "finish_timeout": 4.0, "finish_timeout_raises": True}


def test_a_wrong_key_is_refused_at_once(client: Client):
    with pytest.raises(AuthenticationError, match="not logged in"):
        client.api(api_key="0" * 40)
    with pytest.raises(CommError, match="not logged in"):
        client.init("a1", changed={"api_key": "0" * 40})


def test_an_error_that_passes_is_ridden_out(client: Client):
    with client.server.refusing(500, path="/graphql", times=2):
        client.init("a1", changed=QUICK).finish()
    assert client.run("a1").state == "finished"


def test_an_error_that_stays_ends_the_attempt(client: Client):
    with client.server.refusing(500), pytest.raises(wandb.Error, match="giving up"):
        client.init("a1", changed=QUICK)


def test_a_server_that_was_down_knows_what_it_knew(client: Client):
    client.init("a1", config={"lr": 0.1}).finish()
    with client.server.down(), pytest.raises(wandb.Error):
        client.init("a2", changed=QUICK)
    assert client.run("a1").config == {"lr": 0.1}
    client.init("a3", changed=QUICK).finish()
    assert client.run("a3").state == "finished"


def test_a_server_that_falls_silent_is_given_up(client: Client, proxy: Callable[[int], Proxy]):
    between = proxy(client.server.port)
    behind = dataclasses.replace(client, url=client.server.url_at(between.port))
    run = behind.init("a1", changed=QUICK)
    run.log({"loss": 1.0})
    between.blackhole()
    with pytest.raises(TimeoutError):
        run.finish()
    assert client.run("a1").state == "running"


def test_bytes_go_the_way_the_client_came(
    client: Client, proxy: Callable[[int], Proxy], tmp_path: Path
):
    between = proxy(client.server.port)
    behind = dataclasses.replace(client, url=client.server.url_at(between.port))
    (tmp_path / "big.bin").write_bytes(bytes(300_000))
    artifact = wandb.Artifact("m", type="model")
    artifact.add_file(str(tmp_path / "big.bin"))
    run = behind.init("a1")
    run.log_artifact(artifact).wait()
    run.finish()
    assert between.bytes_up > 300_000

    api = behind.api()
    found = api.artifact(f"{client.path}/m:v0")
    assert f":{between.port}/" in next(iter(found.files())).direct_url
    assert f":{between.port}/" in api.run(f"{client.path}/a1").file("config.yaml").url


def test_what_is_not_known_is_an_error_and_is_kept(client: Client):
    client.init("a1").finish()
    with pytest.raises(CommError, match="the stand-in does not know"):
        client.run("a1").update_state("failed")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{client.url}/unheard/of")
    operation, address = client.server.unknown
    assert ("updateRunState" in operation, address) == (True, "GET /unheard/of")
    client.server.unknown.clear()
