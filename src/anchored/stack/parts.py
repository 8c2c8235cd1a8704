"""What the stack is made of: how each part is started, and how one sees that it works."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from anchored.decisions.page_requests import HOST
from anchored.errors import ServiceFailed
from anchored.ports import Pages
from anchored.stack.processes import environment, opened
from anchored.stack.record import PREFECT, TRACKER, WORKER, digest
from anchored.system.sockets import answers, asked

# It may not be imported here: Prefect is the command line's to know.
SERVER = "anchored.cli.prefect_server"
POOL, WORKER_NAME = "anchored", "local stack"
QUERY = 2  # seconds between two questions of the worker for work
DEPLOYING = 180.0  # seconds; it takes 2 to 4
# In memory (Prefect 3.8's default) a server that is killed forgets who holds a deployment's slot,
# and counts it as taken for ever: after a reboot in mid-retrain no other would begin.
LEASES = "prefect.server.concurrency.lease_storage.filesystem"
QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLI_COLORS": "false",
    "PREFECT_LOGGING_COLORS": "false",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A process of the stack. `answers` takes when it was started, in seconds since the epoch.

    `leads_to` is an address that files and our environment lead it to.
    """

    title: str
    argv: tuple[str, ...]
    settings: Mapping[str, str] = field(repr=False)
    answers: Callable[[float], bool]
    leads_to: str = field(default="", repr=False)

    @property
    def made_of(self) -> str:
        """Tells this command with these settings from any other."""
        settings = [f"{name}={value}" for name, value in self.settings.items()]
        return digest(*self.argv, *settings, self.leads_to)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the stack is for: the tracker that it shows, and the repo that its worker is given.

    That one is a path, or a URL, which flows follow. Both may hold passwords. `tracker` is its name
    as people know it.
    """

    served: str = field(repr=False)
    tracker: str
    tracker_uri: str = field(repr=False)
    pages: Pages


def parts_of(
    folder: Path, *, wanted: Wanted, ports: Mapping[str, int], key: str
) -> dict[str, Part]:
    """The parts by name, in the order of their start; the tracker's if there is one to serve.

    `key` is what Prefect's server asks for. It is in their environment, which nobody else sees.
    """
    # -P: the folder that they run in is not one to import from.
    python, prefect = (sys.executable, "-P", "-m"), f"http://{HOST}:{ports[PREFECT]}"
    tests = tests_of(ports, key)
    client = QUIET | {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"{prefect}/api",
        "PREFECT_API_AUTH_STRING": key,
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    }
    parts = {
        PREFECT: Part(
            title="Prefect",
            argv=(*python, SERVER),
            settings=client
            | {
                "PREFECT_SERVER_API_HOST": HOST,
                "PREFECT_SERVER_API_PORT": str(ports[PREFECT]),
                "PREFECT_SERVER_API_AUTH_STRING": key,
                "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": prefect,
                # The UI asks the server that it came from, by whatever name.
                "PREFECT_SERVER_UI_API_URL": "/api",
                "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
            },
            answers=tests[PREFECT],
        )
    }
    if (server := wanted.pages.server) is not None:
        parts[TRACKER] = Part(
            title=wanted.tracker,
            argv=(*python, server.module, str(ports[TRACKER]), *server.arguments),
            settings=QUIET | dict(server.settings),
            answers=tests[TRACKER],
        )
    parts[WORKER] = Part(
        title="the worker",
        argv=(*python, "prefect", "worker", "start", "--pool", POOL, "--type", "process",
              "--name", WORKER_NAME),
        settings=client
        | {
            "ANCHORED_REPO": wanted.served,
            "ANCHORED_REPOS": "",  # and no other
            "PREFECT_WORKER_QUERY_SECONDS": str(QUERY),
        },
        answers=tests[WORKER],
        leads_to=wanted.tracker_uri,
    )  # fmt: skip
    return parts


def tests_of(ports: Mapping[str, int], key: str) -> dict[str, Callable[[float], bool]]:
    """By part whether it answers, as `Part` has it."""
    prefect = f"http://{HOST}:{ports[PREFECT]}"
    return {
        PREFECT: lambda _since: answers(f"{prefect}/api/health"),
        TRACKER: lambda _since: answers(f"http://{HOST}:{ports[TRACKER]}/"),
        WORKER: lambda since: _worker_is_there(prefect, since, key),
    }


def deployment_file() -> Path:
    """The project's prefect.yaml: in the wheel, or in a checkout of the project."""
    packaged = Path(__file__).parents[1] / "prefect.yaml"
    return packaged if packaged.exists() else Path(__file__).parents[3] / "prefect.yaml"


def made_of_deployments() -> str:
    """Changes with what there is to deploy: prefect.yaml, and the flows' parameters."""
    flows = importlib.util.find_spec("flows")
    places = flows.submodule_search_locations if flows else None
    files = [deployment_file(), *(f for place in places or () for f in Path(place).glob("*.py"))]
    return digest(version("anchored"), *sorted(file.read_text() for file in files))


def deploy(folder: Path, settings: Mapping[str, str], log: Path) -> None:
    """Deploys all that prefect.yaml names. Raises `ServiceFailed`."""
    argv = [sys.executable, "-P", "-m", "prefect", "--no-prompt", "deploy", "--all",
            "--prefect-file", str(deployment_file())]  # fmt: skip
    # Deployed from a folder of the training repo's: the version of that says nothing.
    own = {**settings, "ANCHORED_VERSION": f"anchored {version('anchored')}"}
    log.parent.mkdir(parents=True, exist_ok=True)
    with opened(log, "wb") as stream:
        try:
            done = subprocess.run(
                argv,
                cwd=folder,
                env=environment(folder, own),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                timeout=DEPLOYING,
                umask=0o077,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            what = f"`prefect deploy` did not end within {DEPLOYING:.0f} s"
            raise failed(what, log) from error
    if done.returncode:
        raise failed("`prefect deploy` failed", log)


def deployments(prefect: str, key: str) -> dict[str, tuple[str, ...]]:
    """By name `FLOW/DEPLOYMENT` all that is deployed to a server, with the schedules it keeps.

    Those are `CRON TIMEZONE` as in prefect.yaml; one that somebody has paused is none.
    """
    flows = {flow["id"]: flow["name"] for flow in _all(f"{prefect}/api/flows/filter", key)}
    found = {
        f"{flows.get(d['flow_id'], '?')}/{d['name']}": () if d["paused"] else _kept(d["schedules"])
        for d in _all(f"{prefect}/api/deployments/filter", key)
    }
    return dict(sorted(found.items()))


def _kept(schedules: list[dict[str, Any]]) -> tuple[str, ...]:
    whens = [one["schedule"] for one in schedules if one["active"]]
    # Others than by cron are made in the UI.
    return tuple(
        f"{when['cron']} {when['timezone'] or 'UTC'}" if "cron" in when else "otherwise"
        for when in whens
    )


def failed(what: str, log: Path) -> ServiceFailed:
    """The error of a part that did not do its work, with the last that it said."""
    said = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
    lines = "".join(f"\n  {line}" for line in said)
    return ServiceFailed(f"{what}; it said last:{lines}", hint=f"all of it is in {log}")


def _worker_is_there(prefect: str, since: float, key: str) -> bool:
    workers = asked(f"{prefect}/api/work_pools/{POOL}/workers/filter", {}, key=key)
    return any(
        worker["name"] == WORKER_NAME
        and worker["status"] == "ONLINE"
        and datetime.fromisoformat(worker["last_heartbeat_time"]).timestamp() >= since
        for worker in workers or ()
    )


def _all(url: str, key: str) -> list[dict[str, Any]]:
    return list(asked(url, {"limit": 200}, key=key) or ())
