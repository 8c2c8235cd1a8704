"""Ctrl-C at a terminal, once and twice, and the other ends of a command: nothing is lost, and nothing
that it started lives on.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from anchored.records import Verdict
from anchored.stack.processes import listens
from tests.killed import assert_nothing_is_left, sealed_runs, trainings, wait_for
from tests.migrated import put_prefect_database
from tests.proof import assert_sealed
from tests.repos import SCRIPT, Repo, result_of
from tests.services.git_server import GitServer
from tests.services.loopback import listens as is_taken
from tests.services.prefect_server import PrefectServer
from tests.services.proxy import Proxy
from tests.terminal import Terminal, at_terminal, of_home

SLEEPING = "import time\nprint('at work', flush=True)\ntime.sleep(300)\n"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: open({!r}, 'w').close())\n"
RETRAIN = '\n[retrain]\nmetric = "total"\ngoal = "max"\nregistered_model = "sums_model"\n'


def in_training(terminal: Terminal) -> Callable[[], bool]:
    return lambda: "| at work" in terminal.shown


def assert_few_words(said: str) -> None:
    assert "error: interrupted" in said
    lines = [line for line in said.splitlines() if line.strip()]
    assert len(lines) <= 5, said


def assert_closed(repo: Repo) -> None:
    (run,) = repo.runs()
    assert run.state == "failed"
    assert repo.open().tracker.run(run.run_id).ending == "killed"
    assert_nothing_is_left(repo)


def assert_asks_for_a_key(command: psutil.Process) -> None:
    """The temporary server of a command tells who comes without it of nothing but its health."""
    ports = [port for port in range(8000, 9000) if is_taken(port) and listens(command, port)]
    assert len(ports) == 1
    api = f"http://127.0.0.1:{ports[0]}/api"
    assert httpx.get(f"{api}/health").is_success
    assert httpx.post(f"{api}/flow_runs/filter", json={}).status_code == 401


def test_ctrl_c_with_a_temporary_server(
    repo: Repo, isolated: Path, request: pytest.FixtureRequest
) -> None:
    put_prefect_database(isolated / "prefect", request.config)
    repo.script(SLEEPING)
    with at_terminal(repo, "run", "one", afresh=True) as terminal:
        terminal.wait_for(in_training(terminal))
        assert_asks_for_a_key(psutil.Process(terminal.process.pid))
        terminal.press_ctrl_c()
        said = terminal.ended()
    assert_few_words(said)
    assert "anchored resume" not in said, "nothing is left to be finished"
    wait_for(lambda: not of_home(isolated))
    assert_closed(repo)


@pytest.mark.parametrize("command", [("reproduce", "one"), ("retrain", "--name", "two")])
def test_ctrl_c_in_a_later_training_leaves_the_sealed_run_as_it_was(
    repo: Repo, prefect_server: PrefectServer, isolated: Path, tmp_path: Path, command: list[str]
) -> None:
    hangs = tmp_path / "hangs"
    sleeping = SLEEPING.replace("\n", "\n    ")
    repo.script(f"import os\nif os.path.exists({str(hangs)!r}):\n    {sleeping}\n{SCRIPT}")
    repo.write("fetch.py", 'open("data/numbers.csv", "w").write("1\\n2\\n")\n')
    inputs = 'inputs = ["data/numbers.csv"]'
    repo.configure(inputs, f'{inputs}\nrefresh = "python fetch.py"')
    repo.write("anchored.toml", (repo.root / "anchored.toml").read_text() + RETRAIN)
    repo.commit("Set up retraining")
    one = repo.run("one")
    hangs.touch()
    before = of_home(isolated)
    with at_terminal(repo, *command, **prefect_server.env) as terminal:
        terminal.wait_for(in_training(terminal))
        terminal.press_ctrl_c()
        assert_few_words(terminal.ended())
    wait_for(lambda: of_home(isolated) == before)
    assert sorted(str(run.state) for run in repo.runs()) == ["failed", "sealed"]
    assert repo.audit().is_clean
    assert_nothing_is_left(repo)
    hangs.unlink()
    assert repo.reproduce(one.name).verdict == Verdict.IDENTICAL


@pytest.mark.parametrize("command", [("audit",), ("restore", "one", "--to", "out")])
def test_ctrl_c_in_what_only_reads(  # noqa: PLR0917 - fixtures
    repo: Repo,
    prefect_server: PrefectServer,
    git_server: GitServer,
    proxy: Callable[[int], Proxy],
    isolated: Path,
    command: list[str],
) -> None:
    between = proxy(git_server.port)
    name = f"silent-{command[0]}"
    git_server.create(name)
    repo.git("remote", "set-url", "origin", git_server.url_of(name, port=between.port))
    repo.git("push", "--quiet", "origin", "main")
    run = repo.run("one")
    repo.git("update-ref", "-d", run.git.ref)
    between.blackhole()
    before, asked = of_home(isolated), between.connections
    with at_terminal(repo, *command, **prefect_server.env) as terminal:
        terminal.wait_for(lambda: between.connections > asked)
        terminal.press_ctrl_c()
        assert_few_words(terminal.ended())
    wait_for(lambda: of_home(isolated) == before)
    between.heal()
    assert not (repo.root / "out").exists()
    assert repo.audit().is_clean


def test_what_a_command_started_dies_with_it_when_it_is_killed(
    repo: Repo, prefect_server: PrefectServer, isolated: Path
) -> None:
    repo.script(SLEEPING)
    with at_terminal(repo, "run", "one", afresh=True, **prefect_server.env) as terminal:
        terminal.wait_for(in_training(terminal))
        started = " ".join(of_home(isolated))
        assert "tracker_server" in started
        assert "train.py" in started
        terminal.process.kill()
        terminal.process.wait()
        wait_for(lambda: not of_home(isolated))


@pytest.mark.parametrize("harm", ["refuse", "blackhole"])
def test_ctrl_c_while_prefects_server_is_gone(
    repo: Repo, prefect_server: PrefectServer, proxy: Callable[[int], Proxy], harm: str
) -> None:
    repo.script(SLEEPING)
    between = proxy(prefect_server.port)
    url = f"http://127.0.0.1:{between.port}/api"
    with at_terminal(
        repo, "run", "one", **{**prefect_server.env, "PREFECT_API_URL": url}
    ) as terminal:
        terminal.wait_for(in_training(terminal))
        getattr(between, harm)()
        terminal.press_ctrl_c()
        assert_few_words(terminal.ended())
    assert_closed(repo)


def test_ctrl_c_twice_ends_at_once_and_resume_closes_the_run(
    repo: Repo, prefect_server: PrefectServer, tmp_path: Path
) -> None:
    asked = tmp_path / "asked to end"
    repo.script(STUBBORN.format(str(asked)) + SLEEPING)
    with at_terminal(repo, "run", "one", **prefect_server.env) as terminal:
        terminal.wait_for(in_training(terminal))
        terminal.press_ctrl_c()
        terminal.wait_for(asked.exists)  # two at once would be one
        terminal.press_ctrl_c()
        said = terminal.ended()
    assert_few_words(said)
    assert "hint: `anchored resume`" in said
    assert trainings(repo) == []
    (result,) = result_of(repo.anchored("resume", "--json"))
    assert (result["name"], result["state"]) == ("one", "failed")
    assert_closed(repo)


def test_ctrl_c_in_a_push_leaves_the_run_to_be_resumed(
    repo: Repo, prefect_server: PrefectServer, tmp_path: Path
) -> None:
    pushing = tmp_path / "pushing"
    hook = repo.origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {pushing}\nwhile [ -e {pushing} ]; do sleep 0.1; done\n")
    hook.chmod(0o755)
    with at_terminal(repo, "run", "one", **prefect_server.env) as terminal:
        terminal.wait_for(pushing.exists)
        terminal.press_ctrl_c()
        said = terminal.ended()
    hook.unlink()
    pushing.unlink()
    assert_few_words(said)
    assert "hint: `anchored resume` finishes what was begun" in said
    (run,) = repo.runs()
    assert (
        repo.tags(run.run_id)["anchored.error"] == "interrupted; `anchored resume` finishes the run"
    )
    (result,) = result_of(repo.anchored("resume", "--json", **prefect_server.env))
    assert result["state"] == "sealed"
    (run,) = sealed_runs(repo)
    assert_sealed(repo, run)


def test_a_terminal_that_is_closed_ends_what_ctrl_c_may_not(
    repo: Repo, prefect_server: PrefectServer
) -> None:
    repo.script(SLEEPING)
    with at_terminal(repo, "run", "one", deaf=True, **prefect_server.env) as terminal:
        terminal.wait_for(in_training(terminal))
        terminal.press_ctrl_c()
        terminal.wait_for(lambda: "^C" in terminal.shown)
        terminal.process.send_signal(signal.SIGINT)
        assert len(trainings(repo)) == 2, "the shell and the script"
        terminal.hang_up()
        assert terminal.process.wait(60) == 130
    assert_closed(repo)
