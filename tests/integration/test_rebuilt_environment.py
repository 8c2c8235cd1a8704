"""`--environment recorded`: what a run recorded is built anew by uv, and what is lacking is said."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anchored.adapters.uv.command import Said, Uv
from anchored.adapters.uv.environments import UvEnvironments
from anchored.errors import DiskFull, EnvironmentFailed, NotReady, ServiceFailed
from anchored.ports import Rebuilt, Silent
from anchored.records import Environment
from tests.integration.test_uv_environment import wheel
from tests.repos import Repo
from tests.services.proxy import Proxy

PYTHON = platform.python_version()
MINOR = PYTHON.rpartition(".")[0]
UV = str(Path(sys.executable).with_name("uv"))


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, of which uv knows by the user's variables and which is all there is."""
    folder = tmp_path / "wheels"
    wheel(folder, "1.0")
    wheel(folder, "2.0")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "empty").as_uri())
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    return folder


def rebuilt(
    tree: Path, report: Heard | None = None, *, python: str = PYTHON, **packages: str
) -> Rebuilt:
    recorded = Environment(python=python, packages=packages)
    return UvEnvironments(os.environ).rebuilt(recorded, tree, report or Heard())


def version_in(home: Path) -> str:
    """The version that the environment's interpreter imports."""
    done = subprocess.run(
        [home / "bin/python", "-c", "import tiny; print(tiny.VERSION)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_the_rebuilt_interpreter_imports_the_recorded_version(
    index: Path, tmp_path: Path, version: str
) -> None:
    made = rebuilt(tmp_path, tiny=version)
    assert version_in(made.home) == version
    assert made.missing == ()


def test_what_no_index_has_is_left_out_and_named(index: Path, tmp_path: Path) -> None:
    gone = {"anchored": "0.1.0", "my-model": "1.0+local", "tiny": "1.0", "another": "3"}
    made = rebuilt(tmp_path, **gone)
    assert version_in(made.home) == "1.0"
    assert made.missing == ("anchored 0.1.0", "another 3", "my-model 1.0+local")


def test_what_cannot_be_built_is_left_out_and_named(index: Path, tmp_path: Path) -> None:
    project = tmp_path / "broken-1.0"
    project.mkdir()
    (project / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "tiny"\nbackend-path = ["."]\n'
    )
    (project / "tiny.py").write_text("raise SystemExit('no compiler')\n")
    with tarfile.open(index / "broken-1.0.tar.gz", "w:gz") as archive:
        archive.add(project, "broken-1.0")
    made = rebuilt(tmp_path, broken="1.0", tiny="1.0")
    assert made.missing == ("broken 1.0",)
    assert version_in(made.home) == "1.0"


def test_a_record_cannot_make_uv_do_something_else(index: Path, tmp_path: Path) -> None:
    evil = {
        "--index-url": "http://127.0.0.1:9",
        "tiny @ file:///tmp/evil": "1",
        "tiny": "1.0\n--find-links /tmp",
        "x": "1; python_version>'3'",
    }
    made = rebuilt(tmp_path, python=str(tmp_path / "python"), **evil)
    assert len(made.missing) == 1 + len(evil)


def test_many_that_nobody_has_are_all_left_out(index: Path, tmp_path: Path) -> None:
    made = rebuilt(tmp_path, tiny="2.0", **{f"gone-{n}": "1.0" for n in range(12)})
    assert len(made.missing) == 12
    assert version_in(made.home) == "2.0"


def test_packages_that_uv_names_in_no_way_we_know_are_found_by_halves(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anchored.adapters.uv.rebuilding._blamed", lambda *_: None)
    made = rebuilt(tmp_path, tiny="2.0", **{f"gone-{n}": "1.0" for n in range(4)})
    assert made.missing == tuple(f"gone-{n} 1.0" for n in range(4))
    assert version_in(made.home) == "2.0"


def test_a_python_that_cannot_be_had_is_replaced_by_its_nearest(
    index: Path, tmp_path: Path
) -> None:
    made = rebuilt(tmp_path, python=f"{MINOR}.99", tiny="1.0")
    (said,) = made.missing
    assert said.startswith(f"python {MINOR}.99 ({MINOR}.")
    assert said.endswith(" instead)")
    assert version_in(made.home) == "1.0"


def test_without_any_of_that_minor_version_training_has_the_python_of_the_path(
    index: Path, tmp_path: Path
) -> None:
    made = rebuilt(tmp_path, python="3.99.1", tiny="1.0")
    assert made.missing == (f"python 3.99.1 ({PYTHON} instead)",)


def test_a_second_call_is_served_from_the_cache(index: Path, tmp_path: Path) -> None:
    first, second, other = Heard(), Heard(), Heard()
    made = rebuilt(tmp_path, first, python=f"{MINOR}.99", tiny="1.0", gone="1")
    assert first.lines == [f"rebuilding Python {MINOR}.99 with 2 packages"]
    for file in index.iterdir():
        file.unlink()
    assert rebuilt(tmp_path, second, python=f"{MINOR}.99", gone="1", tiny="1.0") == made
    assert second.lines == []
    assert rebuilt(tmp_path, other, tiny="1.0").home != made.home
    assert other.lines != []


def test_an_environment_whose_interpreter_is_gone_is_built_again(
    index: Path, tmp_path: Path
) -> None:
    made = rebuilt(tmp_path, tiny="1.0")
    (made.home / "bin/python").unlink()
    assert rebuilt(tmp_path, tiny="1.0") == made
    assert version_in(made.home) == "1.0"


def test_no_python_at_all_is_an_error_with_uvs_words(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anchored.adapters.uv.rebuilding.interpreter_of", lambda *_: None)
    with pytest.raises(EnvironmentFailed) as raised:
        rebuilt(tmp_path, python="3.99.1")
    assert any("3.99" in line for line in raised.value.tail)


def test_without_uv_it_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anchored.adapters.uv.command.shutil.which", lambda *_, **__: None)
    with pytest.raises(NotReady, match="needs uv") as raised:
        rebuilt(tmp_path, tiny="1.0")
    assert "pip install uv" in (raised.value.hint or "")


def test_an_index_that_does_not_answer_is_no_package_that_is_missing(
    index: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    proxy: Callable[[int], Proxy],
) -> None:
    between = proxy(9)
    between.refuse()
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://me:hunter2secret@127.0.0.1:{between.port}/x")
    with pytest.raises(ServiceFailed) as raised:
        rebuilt(tmp_path, tiny="1.0", gone="1")
    assert raised.value.transient
    assert "hunter2secret" not in raised.value.message
    # Nothing half-made counts as built.
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "empty").as_uri())
    assert rebuilt(tmp_path, tiny="1.0", gone="1").missing == ("gone 1",)


def test_a_call_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    program = tmp_path / "uv"
    program.write_text("#!/bin/sh\nsleep 60 &\nsleep 60\n")
    program.chmod(0o755)
    begun = time.monotonic()
    said = Uv({"PATH": f"{tmp_path}:/usr/bin:/bin"}, needed_by="a test")(
        "venv", folder=tmp_path, timeout=0.3
    )
    assert time.monotonic() - begun < 10
    assert (said.worked, said.timed_out) == (False, True)


REFUSED = "hint: An index URL (https://x) could not be queried: 401 Unauthorized"
FULL = "error: Failed to install: tiny\n  cause: No space left on device (os error 28)"


@pytest.mark.parametrize(("words", "kind"), [(FULL, DiskFull), (REFUSED, ServiceFailed)])
def test_trouble_that_is_no_packages_own_costs_no_package(
    index: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    kind: type[ServiceFailed],
) -> None:
    ask = Uv.__call__

    def answer(self: Uv, *arguments: str, **options: Any) -> Said:
        if "install" in arguments:
            return Said(worked=False, words=words)
        return ask(self, *arguments, **options)

    monkeypatch.setattr(Uv, "__call__", answer)
    with pytest.raises(kind) as raised:
        rebuilt(tmp_path, tiny="1.0")
    assert not raised.value.transient


def test_a_result_that_another_version_changed_is_had_again_in_the_recorded_one(
    index: Path, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = os.environ["PATH"]

    def use(version: str) -> None:
        home = tmp_path / f"venv {version}"
        for arguments in (["venv", home], ["pip", "install", "--python", home, f"tiny=={version}"]):
            subprocess.run([UV, "--quiet", *map(str, arguments)], check=True)
        monkeypatch.setenv("PATH", f"{home}/bin:{search}")

    repo.script(
        "import json, pathlib, tiny\n"
        "pathlib.Path('models/model.bin').write_text(tiny.VERSION)\n"
        "json.dump({'version': float(tiny.VERSION)}, open('metrics.json', 'w'))\n"
    )
    use("1.0")
    repo.run("one")
    use("2.0")
    today = repo.reproduce("one")
    assert (today.verdict, today.causes) == ("different", ("packages differ: tiny 1.0 → 2.0",))
    then = repo.reproduce("one", environment="recorded")
    assert (then.verdict, then.causes) == ("identical", ())


def test_a_run_without_an_environment_record_has_none_to_rebuild(index: Path, repo: Repo) -> None:
    run_id = repo.foreign("bare", git_commit=repo.head, dvc_data_md5="0" * 32)
    with pytest.raises(NotReady, match="recorded no environment"):
        repo.reproduce(run_id, environment="recorded")
