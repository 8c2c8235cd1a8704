"""Training as a subprocess: every line as it comes, an end in words, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path

import psutil
import pytest

from anchored.system.process import RUN_ID, TAIL, Ending, interpreter_of, probed, run_command

Run = Callable[..., Ending]

DAEMON = """
import os, signal, time
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.{ignore}, signal.SIG_IGN)
    print(os.getpid(), flush=True)
    os.write(writing, bytes(1))
    time.sleep(60)
os.read(reading, 1)
"""


class Lines(list[str]):
    """What `on_line` was given, and when; what it returns is what is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def take(self, line: str) -> str:
        self.append(line)
        self.times.append(time.monotonic())
        return line.replace("secret", "***")


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def run(tmp_path: Path, lines: Lines) -> Run:
    def command(text: str, *, timeout: float | None = 20) -> Ending:
        return run_command(
            text, cwd=tmp_path, variables={"PATH": os.environ["PATH"], RUN_ID: str(tmp_path)},
            log=tmp_path / "train.log", timeout=timeout,
            on_line=lines.take, on_start=lambda: None,
        )  # fmt: skip

    return command


def python(code: str) -> str:
    return f"{sys.executable} -S -c '{code}'"


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_lines_come_while_the_command_runs(run: Run, lines: Lines, tmp_path: Path) -> None:
    ending = run("echo one; sleep 0.5; echo two >&2")
    assert (ending.status, lines) == (0, ["one", "two"])
    assert lines.times[1] - lines.times[0] > 0.3
    assert (tmp_path / "train.log").read_text() == "one\ntwo\n"


def test_log_and_tail_have_what_was_kept_of_a_line(run: Run, tmp_path: Path) -> None:
    ending = run("echo a secret")
    assert ending.tail == ("a ***",)
    assert (tmp_path / "train.log").read_text() == "a ***\n"


def test_the_tail_holds_the_last_lines(run: Run, lines: Lines) -> None:
    ending = run("seq 1 10000")
    assert len(lines) == 10_000
    assert ending.tail == tuple(str(n) for n in range(10_001 - TAIL, 10_001))


@pytest.mark.parametrize(("command", "expected"), [
    ("printf 'no newline'", ["no newline"]),
    ("printf ''", []),
    (r"printf 'a\n\nb'", ["a", "", "b"]),
    (r"printf '10%%\r50%%\r100%%\nend\r\n'", ["100%", "end"]),
    (r"printf 'a\r'; sleep 0.1; printf 'b\r'; sleep 0.1; printf 'c'", ["c"]),
    (r"printf 'bad \377\376 bytes\n'", ["bad \ufffd\ufffd bytes"]),
    (r"printf '\303'; sleep 0.1; printf '\251\n'", ["é"]),
    ("cat", []),
    (r"printf 'x%.0s' $(seq 1 200000); echo", None),
])  # fmt: skip
def test_output_of_every_kind(
    run: Run, lines: Lines, command: str, expected: list[str] | None
) -> None:
    assert run(command).status == 0
    if expected is None:
        assert "".join(lines) == "x" * 200_000
    else:
        assert lines == expected


@pytest.mark.parametrize(("command", "status", "words"), [
    ("exit 3", 3, "ended with exit status 3"),
    ("no-such-command-at-all", 127, "was not found (exit status 127)"),
    ("kill -9 $$", -9, "was killed by SIGKILL"),
    ("exit 143", 143, "was killed by SIGTERM"),
    ("exit 254", 254, "ended with exit status 254"),
    ("kill -40 $$", -40, "was killed by signal 40"),
])  # fmt: skip
def test_an_end_is_told_in_words(run: Run, command: str, status: int, words: str) -> None:
    ending = run(command)
    assert (ending.status, ending.in_words) == (status, words)


def test_a_time_out_ends_grandchildren_too(run: Run, lines: Lines) -> None:
    ending = run("sh -c 'sleep 60 & echo $!; wait' & echo $!; wait", timeout=0.5)
    assert ending.timed_out
    assert ending.in_words == "ran out of time"
    assert len(lines) == 2
    assert all(is_gone(int(pid)) for pid in lines)


def test_what_ignores_the_request_to_end_is_killed(
    run: Run, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anchored.system.process.GRACE", 0.3)
    ending = run("trap '' TERM; echo $$; while :; do sleep 0.05; done", timeout=0.5)
    assert ending.timed_out
    assert is_gone(int(lines[0]))


@pytest.mark.parametrize("left_behind", [
    "sleep 60 & echo $!",
    "sleep 60 >/dev/null 2>&1 & echo $!",
    "while :; do echo busy; done & echo $!",
])  # fmt: skip
def test_what_training_leaves_behind_is_ended_and_hangs_nothing(
    run: Run, lines: Lines, left_behind: str
) -> None:
    begun = time.monotonic()
    ending = run(left_behind, timeout=None)
    assert (ending.status, ending.timed_out) == (0, False)
    assert time.monotonic() - begun < 50  # and not the 60 s of what is left behind
    assert is_gone(next(int(line) for line in lines if line.isdigit()))


@pytest.mark.parametrize("deaf", [False, True])
def test_a_daemon_in_a_session_of_its_own_is_ended_too(
    run: Run, lines: Lines, monkeypatch: pytest.MonkeyPatch, *, deaf: bool
) -> None:
    monkeypatch.setattr("anchored.system.process.GRACE", 0.3 if deaf else 10)
    begun = time.monotonic()
    assert run(python(DAEMON.format(ignore="SIGTERM" if deaf else "SIGUSR1"))).status == 0
    assert time.monotonic() - begun < 50  # and not the 60 s of what is left behind
    assert is_gone(int(lines[0]))


def test_only_processes_of_the_training_are_ended(run: Run, tmp_path: Path) -> None:
    other = subprocess.Popen(["sleep", "60"], env={**os.environ, RUN_ID: f"{tmp_path}-other"})
    try:
        assert run("true").status == 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_command_that_closes_its_output_goes_on(run: Run, tmp_path: Path) -> None:
    assert run("exec >&- 2>&-; sleep 0.3; touch late").status == 0
    assert (tmp_path / "late").exists()


def test_an_exception_meanwhile_ends_the_command(tmp_path: Path) -> None:
    def refuse(line: str) -> str:
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt) as raised:
        run_command(
            "echo $$; sleep 60", cwd=tmp_path, variables={"PATH": os.environ["PATH"], RUN_ID: "x"},
            log=tmp_path / "log", timeout=None, on_line=refuse,
            on_start=lambda: None,
        )  # fmt: skip
    assert is_gone(int(str(raised.value)))


def test_the_last_line_is_never_lost(run: Run, lines: Lines) -> None:
    """A line written between two looks, just before the end, is read all the same."""
    for _ in range(30):
        run("sleep 0.02; echo last")
    assert lines == ["last"] * 30


def test_the_interpreter_is_the_one_that_the_command_names(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("python", "python3.12", "pypy3"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    variables = {"PATH": str(folder)}
    for command, expected in {
        "python train.py": "python",
        "python3.12 -m x": "python3.12",
        "A=1 B=2 pypy3 x": "pypy3",
        "bin/python3.12 x": "python3.12",
        "./bin/pypy3": "pypy3",
        "make": "python",
        "'unclosed": "python",
        "python9 x": "python",
    }.items():
        found = interpreter_of(command, variables, tmp_path)
        assert found is not None, command
        assert Path(found).name == expected, command
    assert interpreter_of("python", {"PATH": str(tmp_path)}, tmp_path) is None


def test_folders_that_others_put_on_the_import_path_are_told(tmp_path: Path) -> None:
    for name in ("through-a-file", "through-a-variable", "venv"):
        (tmp_path / name).mkdir()
    venv.create(tmp_path / "venv", with_pip=False)
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (site / "x.pth").write_text(f"{tmp_path}/through-a-file\n{tmp_path}/not-there\n")
    variables = {"PYTHONPATH": f"through-a-variable:{tmp_path}/through-a-variable"}
    document = probed(str(tmp_path / "venv/bin/python"), variables, tmp_path)
    assert document is not None
    assert json.loads(document)["added"] == [f"{tmp_path}/through-a-file"]


def test_an_interpreter_says_what_it_is_or_nothing(tmp_path: Path) -> None:
    assert b'"python"' in (probed(sys.executable, os.environ, tmp_path) or b"")
    assert probed("/bin/false", {}, tmp_path) is None
    assert probed("/no/such/python", {}, tmp_path) is None


def test_the_packages_are_those_that_the_interpreter_itself_names(tmp_path: Path) -> None:
    """A `.egg-info` that is a file, and a description that looks like a field, among them."""
    (tmp_path / "old.egg-info").write_text("Metadata-Version: 1.0\nName: old_style\nVersion: 0.9\n")
    new = tmp_path / "new-2.0.dist-info"
    new.mkdir()
    (new / "METADATA").write_text("Name: New_Style\nVersion: 2.0\n\nVersion: 3 comes soon\n")
    found = probed(sys.executable, os.environ | {"PYTHONPATH": str(tmp_path)}, tmp_path)
    assert found is not None
    packages = json.loads(found)["packages"]
    assert packages.items() >= {"old-style": "0.9", "new-style": "2.0"}.items()
    for distribution in distributions():
        name = distribution.metadata["Name"].lower().replace("_", "-")
        assert packages[name] == distribution.version
