"""Who may use the local stack: who has its key, from its own pages, for its own repository."""

from __future__ import annotations

import base64
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from anchored.stack.processes import strays
from anchored.stack.record import FOLDER, read_stack
from tests.forked import in_process
from tests.keyed import asked
from tests.migrated import put_prefect_database
from tests.repos import Repo, result_of
from tests.services import require
from tests.services.browser import PATIENCE, new_page, open_browser
from tests.services.hostile import foreign_page
from tests.services.process import wait_for

EVIL = "evil.example"
# A name that leads to this machine by now, as after a rebinding.
REBOUND = f"--host-resolver-rules=MAP {EVIL} 127.0.0.1"

# What a page can do without anybody's leave: each answers with what it got, or "" for nothing.
ATTACKS = """
async ({prefect, tracker, deployment}) => {
  const got = {};
  const attempt = async (name, act) => {
    try { got[name] = await Promise.race([act(), new Promise(r => setTimeout(r, 4000, ""))]); }
    catch { got[name] = ""; }
  };
  const read = async (url, options) => {
    const answer = await fetch(url, options);
    return answer.ok ? (await answer.text()).slice(0, 200) : "";
  };
  const run = `${prefect}/api/deployments/${deployment}/create_flow_run`;
  const asked = {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"};
  await attempt("prefect read", () => read(`${prefect}/api/deployments/filter`, asked));
  await attempt("prefect settings", () => read(`${prefect}/api/admin/settings`));
  await attempt("prefect run", () => read(run, asked));
  const blind = {method: "POST", mode: "no-cors", body: new Blob(["{}"])};
  await attempt("prefect run, blindly", async () => { await fetch(run, blind); return ""; });
  const listen = (path, protocols, first) => new Promise(done => {
    const socket = new WebSocket(`${prefect.replace("http", "ws")}/api/${path}`, protocols);
    socket.onopen = () => socket.send(JSON.stringify(first));
    socket.onmessage = message => done(message.data.slice(0, 200));
    socket.onclose = socket.onerror = () => done("");
  });
  const all = {type: "filter", filter: {}};
  await attempt("prefect events", () => listen("events/out", ["prefect"], {type: "auth"}));
  await attempt("prefect events, old way", () => listen("events/out", [], all));
  await attempt("prefect logs", () => listen("logs/out", ["prefect"], {type: "auth"}));
  const api = `${tracker}/ajax-api/2.0/mlflow/experiments`;
  const theirs = name => ({...asked, body: JSON.stringify({name})});
  await attempt("tracker read", () => read(`${api}/search?max_results=5`));
  await attempt("tracker page", () => read(`${tracker}/`));
  await attempt("tracker write", () => read(`${api}/create`, theirs("evil one")));
  await attempt("tracker assistant", () =>
    read(`${tracker}/ajax-api/3.0/mlflow/assistant/config`));
  await attempt("tracker write, blindly", async () => {
    const body = JSON.stringify({name: "evil two"});
    await fetch(`${api}/create`, {method: "POST", mode: "no-cors", body});
    return "";
  });
  for (const [action, name, value] of [
    [run, '{"name": "evil form", "x": "', '"}'], [`${api}/create`, '{"name": "evil three", "x": "', '"}'],
  ]) {
    await attempt(`form to ${action}`, () => new Promise(done => {
      const frame = document.body.appendChild(document.createElement("iframe"));
      frame.name = `frame${Math.random()}`;
      const form = document.body.appendChild(document.createElement("form"));
      Object.assign(form, {action, method: "POST", enctype: "text/plain", target: frame.name});
      const field = form.appendChild(document.createElement("input"));
      Object.assign(field, {type: "hidden", name, value});
      frame.onload = () => setTimeout(done, 300, "");
      form.submit();
    }));
  }
  return got;
}
"""


@dataclass(frozen=True)
class Up:
    """A repo whose stack is up, and what `up` said of it."""

    repo: Repo
    said: dict[str, Any]
    shown: str

    @property
    def key(self) -> str:
        return (self.repo.root / FOLDER / "key").read_text().strip()

    @property
    def client(self) -> dict[str, str]:
        """What `prefect` is to be given."""
        return {"PREFECT_API_URL": self.said["api"], "PREFECT_API_AUTH_STRING": self.key}

    def asked(self, path: str, **body: Any) -> Any:
        return asked(self.said["api"], self.key, path, body)

    def deployment(self, name: str) -> str:
        (found,) = (d for d in self.asked("deployments/filter") if d["name"] == name)
        return str(found["id"])

    def triggered(self) -> list[str]:
        """Flow runs that somebody has asked for."""
        runs = self.asked("flow_runs/filter")
        return [run["name"] for run in runs if not run["auto_scheduled"]]

    def experiments(self) -> set[str]:
        url = f"{self.said['tracker']}/api/2.0/mlflow/experiments/search?max_results=100"
        return {one["name"] for one in httpx.get(url).json()["experiments"]}


@pytest.fixture
def up(repo: Repo, request: pytest.FixtureRequest) -> Iterator[Up]:
    """A stack that is up in a folder where an earlier version has left something."""
    # What an earlier version has left, readable by all.
    left = repo.root / FOLDER / "logs"
    left.mkdir(parents=True, mode=0o755)
    (left / "prefect.log").write_text("of old\n")
    put_prefect_database(repo.root / FOLDER / "prefect", request.config)
    try:
        shown = repo.anchored("--debug", "up")
        assert shown.returncode == 0, shown.stderr
        said = result_of(repo.anchored("up", "--json"))
        yield Up(repo, said, shown.stdout + shown.stderr)
    finally:
        for process in strays(repo.root / FOLDER):
            with suppress(psutil.Error):
                process.kill()


@pytest.fixture
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with require(), open_browser(tmp_path_factory.mktemp("browser"), REBOUND) as browser:
        yield browser


@pytest.mark.timeout(600)  # one stack for all that is asked of it: a minute, more beside others
def test_who_may_use_the_stack_and_who_may_not(
    up: Up, chromium: Browser, template: Path, tmp_path: Path
) -> None:
    said = " ".join(up.shown.split())
    assert "to log in" in said
    assert f"{FOLDER}/key" in said
    with new_page(chromium) as page:
        a_person_logs_in_with_what_is_in_the_file(page, up, "localhost")
    with new_page(chromium) as page:
        a_person_logs_in_with_what_is_in_the_file(page, up, "127.0.0.1")
        a_page_of_another_origin_reads_nothing_and_starts_nothing(page, up)
    a_name_that_leads_here_by_now_is_refused(up, chromium)
    nothing_but_its_health_is_told_without_the_key(up)
    another_repository_is_not_taken(up, template, tmp_path)
    commands_use_it_and_no_other_login_goes_there(up)
    all_of_it_is_its_owners_and_nothing_shows_the_key(up)


def a_page_of_another_origin_reads_nothing_and_starts_nothing(page: Page, up: Up) -> None:
    """In the browser of somebody who has a login there."""
    target = {"prefect": up.said["prefect"], "tracker": up.said["tracker"],
              "deployment": up.deployment("on-demand")}  # fmt: skip
    with foreign_page() as address:
        page.goto(address)
        got = page.evaluate(ATTACKS, target)
    assert len(got) == 14
    assert {name: answer for name, answer in got.items() if answer} == {}
    assert up.triggered() == []
    assert up.experiments() == {"Default"}


def a_name_that_leads_here_by_now_is_refused(up: Up, chromium: Browser) -> None:
    deployment = up.deployment("on-demand")
    for part in ("prefect", "tracker"):
        ports = {name: up.said[name].rpartition(":")[2] for name in ("prefect", "tracker")}
        rebound = {name: f"http://{EVIL}:{port}" for name, port in ports.items()}
        with new_page(chromium) as page:
            answer = page.goto(rebound[part])
            assert answer is not None
            assert answer.status == 403
            got = page.evaluate(ATTACKS, rebound | {"deployment": deployment})
        assert {name: answer for name, answer in got.items() if answer} == {}
    assert up.triggered() == []
    assert up.experiments() == {"Default"}
    # MLflow's own check takes any name that begins like a private network's.
    for host in ("10.evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example"):
        for url in (up.said["tracker"], f"{up.said['tracker']}/health", up.said["prefect"],
                    f"{up.said['api']}/health"):  # fmt: skip
            assert httpx.get(url, headers={"Host": host}).status_code == 403, (url, host)


def nothing_but_its_health_is_told_without_the_key(up: Up) -> None:
    login = base64.b64encode(up.key.encode()).decode()
    schema = httpx.get(f"{up.said['api']}/openapi.json", timeout=60,
                       headers={"Authorization": f"Basic {login}"}).json()  # fmt: skip
    open_to_all = set()
    with httpx.Client() as client:
        for path, methods in schema["paths"].items():
            for method in methods:
                url = f"{up.said['api']}{path.replace('{', '').replace('}', '')}"
                if client.request(method.upper(), url).status_code != 401:
                    open_to_all.add((method, path))
    assert open_to_all == {("get", "/health"), ("get", "/ready")}
    assert len(schema["paths"]) > 100


def a_person_logs_in_with_what_is_in_the_file(page: Page, up: Up, host: str) -> None:
    """As `up` says: what is in the file goes into Prefect's own form."""
    port = up.said["prefect"].rpartition(":")[2]
    page.goto(f"http://{host}:{port}")
    page.locator("input").fill(up.key)
    page.get_by_role("button", name="Login").click()
    expect(page.get_by_text("Flow Runs").first).to_be_visible(timeout=PATIENCE)
    page.get_by_role("link", name="Deployments").first.click()
    expect(page.get_by_text("by-name").first).to_be_visible(timeout=PATIENCE)
    page.goto(f"http://{host}:{up.said['tracker'].rpartition(':')[2]}")
    expect(page.get_by_text("Experiments").first).to_be_visible(timeout=PATIENCE)


def another_repository_is_not_taken(up: Up, template: Path, tmp_path: Path) -> None:
    shutil.copytree(template, tmp_path / "other", symlinks=True)
    other = Repo(tmp_path / "other/work")
    before = sorted(other.root.rglob("*"))
    flows = {"on-demand": {"run_name": "theirs"}, "weekly": {}}
    for name, parameters in flows.items():
        up.asked(f"deployments/{up.deployment(name)}/create_flow_run",
                 parameters=parameters | {"repo": str(other.root)})  # fmt: skip

    def ended() -> list[dict[str, Any]]:
        runs = [run for run in up.asked("flow_runs/filter") if not run["auto_scheduled"]]
        return [run for run in runs if run["state_type"] in {"COMPLETED", "FAILED", "CRASHED"}]

    wait_for(lambda: len(ended()) == len(flows), timeout=90, interval=0.3)
    for run in ended():
        assert run["state_type"] == "FAILED"
        assert "does not take the repository" in run["state"]["message"]
        assert "hint: " in run["state"]["message"]
    assert sorted(other.root.rglob("*")) == before


def commands_use_it_and_no_other_login_goes_there(up: Up) -> None:
    foreign = {"PREFECT_API_KEY": "pnu_of_the_cloud", "PREFECT_API_AUTH_STRING": "team:secret"}
    done = up.repo.anchored("run", "by-hand", "--json", **foreign)
    run = result_of(done)
    assert run["prefect"]["url"].startswith(up.said["prefect"])
    assert read_stack(up.repo.root).processes.keys() == {"prefect", "tracker", "worker"}
    listed = subprocess.run(
        [sys.executable, "-m", "prefect", "deployment", "ls"],
        env={**os.environ, **up.client}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "experiment/on-demand" in listed.stdout


def all_of_it_is_its_owners_and_nothing_shows_the_key(up: Up) -> None:
    folder = up.repo.root / FOLDER
    # Runs write as the user does, whose data they version: there the folder is what closes.
    of_runs = [folder / "prefect/storage", folder / "runs"]
    open_to_others = [
        file for file in [folder, *folder.rglob("*")]
        if not any(file.is_relative_to(of_run) for of_run in of_runs)
        and stat.S_IMODE(file.stat().st_mode) & 0o077
    ]  # fmt: skip
    assert open_to_others == []
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600

    key = up.key
    assert len(key.partition(":")[2]) >= 32
    shapes = (key, key.partition(":")[2], base64.b64encode(key.encode()).decode())
    told = [
        file for file in folder.rglob("*")
        if file.is_file() and file.name != "key"
        and any(shape.encode() in file.read_bytes() for shape in shapes)
    ]  # fmt: skip
    assert told == []
    arguments = [" ".join(process.cmdline()) for process in strays(folder)]
    status = up.repo.anchored("--debug", "status", "--json")
    everything = [*arguments, status.stdout, status.stderr, up.shown, json.dumps(up.said)]
    assert status.returncode == 0
    assert [text for text in everything if any(shape in text for shape in shapes)] == []


def test_commands_of_one_process_share_its_temporary_server(
    repo: Repo, isolated: Path, request: pytest.FixtureRequest
) -> None:
    put_prefect_database(isolated / "prefect", request.config)
    assert in_process(audit_twice, str(repo.root)).exitcode == 0


def audit_twice(root: str) -> None:
    from prefect.context import refresh_global_settings_context

    from anchored.cli.main import main

    refresh_global_settings_context()
    sys.exit(main(["audit", "--repo", root]) or main(["audit", "--repo", root]))
