"""Training scripts that nobody here wrote: they log, print, fork and import as they please."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

from tests.proof import assert_sealed
from tests.repos import Repo

MODEL = """
import pathlib
pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path("models/model.bin").write_text("model")
"""
NO_METRICS = ('metrics = "metrics.json"\nartifacts = ["report-*.txt"]\n', "")


@pytest.fixture
def plain(repo: Repo) -> Repo:
    """A repo whose training gives a model file and nothing else."""
    repo.configure(*NO_METRICS)
    return repo


def log_of(repo: Repo, run_id: str) -> str:
    return (repo.artifact(run_id, "anchored/train.log") or b"").decode()


def status_of(repo: Repo, run_id: str) -> str:
    return str(repo.open().tracker._client.get_run(run_id).info.status)


# --- scripts that speak to MLflow themselves ------------------------------------------------------


def test_a_script_that_starts_a_run_joins_ours(plain: Repo) -> None:
    plain.script(
        f"""
        import mlflow
        with mlflow.start_run(run_name="its own name", log_system_metrics=False) as run:
            mlflow.log_param("depth", 3)
            mlflow.log_metric("score", 0.5, step=1)
            mlflow.log_metric("score", 0.75, step=2)
            mlflow.set_tag("git_commit", "nonsense")
            mlflow.set_tag("anchored.state", "mine")
            mlflow.set_tag("team", "oceans")
            mlflow.log_text("hello", "notes/hello.txt")
            print("joined", run.info.run_id)
        {MODEL.replace(chr(10), chr(10) + " " * 8)}
        """
    )
    run = plain.run("our name")
    assert_sealed(plain, run)
    assert [r.run_id for r in plain.runs()] == [run.run_id]
    assert f"joined {run.run_id}" in log_of(plain, run.run_id)
    assert run.metrics == {"score": 0.75}
    tracked = plain.open().tracker.run(run.run_id)
    assert tracked.name == "our name"
    assert tracked.tags["mlflow.runName"] == "our name"
    assert tracked.tags["team"] == "oceans"
    assert dict(tracked.params) == {"power": "1", "depth": "3"}
    assert plain.artifact(run.run_id, "notes/hello.txt") == b"hello"
    assert status_of(plain, run.run_id) == "FINISHED"


def test_a_script_that_starts_no_run_logs_to_ours(plain: Repo) -> None:
    """A parameter that it logs otherwise stands beside ours; no metric need be a number."""
    plain.script(
        f"""
        import mlflow
        mlflow.log_metrics({{"a": float("nan"), "b": 2, "loss:28": 1}})
        mlflow.log_param("power", "huge")
        {MODEL.replace(chr(10), chr(10) + " " * 8)}
        """
    )
    run = plain.run()
    assert_sealed(plain, run)
    assert [r.run_id for r in plain.runs()] == [run.run_id]
    assert run.metrics["b"] == 2
    assert b"NaN" not in (plain.artifact(run.run_id, "anchored/run.json") or b"")
    assert run.params == {"power": 1}
    assert plain.open().tracker.run(run.run_id).params["power"] == "huge"
    assert status_of(plain, run.run_id) == "FINISHED"


def with_empty_stores(template: Path) -> str:
    """Python that puts MLflow's databases in place: their migrations take seconds."""
    empty = str(template / "work/mlflow.db")
    return f"import shutil; [shutil.copy({empty!r}, name) for name in ('own.db', 'mlflow.db')]"


@pytest.mark.parametrize(
    "setting",
    [
        'mlflow.set_tracking_uri("sqlite:///own.db")',
        'mlflow.set_experiment("another experiment")',
    ],
    ids=["own store", "own experiment"],
)
def test_a_script_with_a_store_or_experiment_of_its_own_is_sealed(
    plain: Repo, template: Path, setting: str
) -> None:
    plain.script(
        f"""
        import mlflow
        {with_empty_stores(template)}
        {setting}
        with mlflow.start_run():
            mlflow.log_metric("a", 1)
            with mlflow.start_run(nested=True):
                mlflow.log_metric("of one fold", 0.25)
        {MODEL.replace(chr(10), chr(10) + " " * 8)}
        """
    )
    run = plain.run()
    assert_sealed(plain, run)
    assert [r.run_id for r in plain.runs()] == [run.run_id]
    assert run.metrics == {"a": 1.0}, "what the outer run told its own store counts"
    assert plain.reproduce(run.name).verdict == "identical"


def test_of_a_store_of_files_the_outer_run_counts(plain: Repo) -> None:
    plain.script(
        f"""
        import mlflow, os
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        mlflow.set_tracking_uri("file:mlruns")
        with mlflow.start_run():
            mlflow.log_metric("score", 0.5)
            with mlflow.start_run(nested=True):
                mlflow.log_metric("of one fold", 0.25)
        {MODEL.replace(chr(10), chr(10) + " " * 8)}
        """
    )
    assert plain.run().metrics == {"score": 0.5}


def test_a_script_may_be_left_to_itself(plain: Repo) -> None:
    plain.write(
        "anchored.toml", (plain.root / "anchored.toml").read_text() + "\n[tracker]\njoin = false\n"
    )
    plain.script(f"import os\nassert 'MLFLOW_RUN_ID' not in os.environ\n{MODEL}")
    assert_sealed(plain, plain.run())


def test_metrics_of_any_name_are_recorded_once(repo: Repo) -> None:
    names = ["accuracy (%)", "R²", "a/b", "loss:12", "../up", "a//b", "/lead", ".", 'it\'s "x"']
    repo.script(
        f"import json\njson.dump({{n: 1 for n in {names!r}}}, open('metrics.json', 'w'))\n{MODEL}"
    )
    run = repo.run()
    assert_sealed(repo, run)
    assert run.metrics == dict.fromkeys(names, 1.0)
    assert repo.runs()[0].metrics == run.metrics


def test_a_parameter_too_long_for_the_tracker_is_kept_in_the_record(repo: Repo) -> None:
    repo.configure("power = 1", 'power = 1\ntext = ""')
    run = repo.run(params={"text": "ä" * 9_000})
    assert_sealed(repo, run)
    assert run.params["text"] == "ä" * 9_000


def test_a_script_that_writes_only_a_model_is_sealed(plain: Repo) -> None:
    plain.script(MODEL)
    run = plain.run()
    assert_sealed(plain, run)
    assert run.metrics == {}


# --- scripts that print and fork ------------------------------------------------------------------


@pytest.mark.parametrize(
    "chatter", ["sleep 30", "while true; do echo still here; sleep 0.02; done"]
)
@pytest.mark.parametrize("session", ["False", "True"], ids=["child", "daemon"])
def test_a_child_that_holds_the_output_does_not_hold_the_run(
    plain: Repo, chatter: str, session: str
) -> None:
    plain.script(
        f"import subprocess\n"
        f"child = subprocess.Popen(['sh', '-c', {chatter!r}], start_new_session={session})\n"
        f"print(f'child {{child.pid}}')\n{MODEL}"
    )
    before = time.monotonic()
    run = plain.run()
    took = time.monotonic() - before
    pid = int(re.findall(r"child (\d+)", log_of(plain, run.run_id))[0])
    try:
        assert took < 20
        assert_sealed(plain, run)
        if session == "False":
            assert not Path(f"/proc/{pid}").exists()
    finally:
        if session == "True":
            subprocess.run(["kill", "-9", "--", f"-{pid}"], check=False)


def test_output_of_any_kind_is_kept_as_readable_lines(plain: Repo) -> None:
    plain.script(
        """
        import sys
        for step in range(1000):
            sys.stdout.write(f"\\rstep {step}/1000")
        sys.stdout.write("\\rdone      \\n")
        sys.stdout.flush()
        sys.stdout.buffer.write(bytes(range(256)) + b"\\n")
        sys.stdout.buffer.write(b"x" * 300_000 + b"\\n")
        print("grüße, 海, no end of line", end="")
        """
        + MODEL.replace("\n", "\n        ")
    )
    seen: list[str] = []
    run = plain.run(report=Listening(seen))
    assert_sealed(plain, run)
    log = log_of(plain, run.run_id)
    assert log.splitlines()[0].strip() == "done"
    assert "step 5/" not in log
    assert log.count("x") >= 300_000
    assert log.splitlines()[-1] == "grüße, 海, no end of line"
    assert log.splitlines()[-1] in seen


class Listening:
    """A `Report` that keeps what training printed, and what was said of it."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def say(self, text: str) -> None:
        self.lines.append(text)

    warn = output = say

    def progress(self, what: str, done: int, total: int) -> None: ...


def test_no_secret_reaches_a_record(plain: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, token = "hunter2-hunter2", "glpat-abcdefghijkl"
    monkeypatch.setenv("DATABASE_PASSWORD", secret)
    plain.git("remote", "set-url", "origin", f"https://ada:{token}@127.0.0.1:9/repo.git")
    plain.git("remote", "set-url", "--push", "origin", str(plain.origin))
    plain.git(
        "config", f"url.{plain.origin}.insteadOf", f"https://ada:{token}@127.0.0.1:9/repo.git"
    )
    plain.write(
        "anchored.toml",
        (plain.root / "anchored.toml")
        .read_text()
        .replace("[train.params]", 'pass_env = ["DATABASE_PASSWORD"]\n[train.params]'),
    )
    plain.script(
        f"import os\nsecret = os.environ['DATABASE_PASSWORD']\nprint('it is', secret)\n"
        "for n in range(65_500, 65_536, 7):\n    print('x' * n, secret, 'x' * 65_536, secret)\n"
        f"print('https://ada:{token}@example.org/x?api_key=abcdefgh')\n{MODEL}"
    )
    seen: list[str] = []
    run = plain.run(report=Listening(seen))
    places = [
        plain.root / "mlflow.db",
        *(p for p in (plain.root / "mlruns").rglob("*") if p.is_file()),
    ]
    written = b"".join(p.read_bytes() for p in places) + "".join(seen).encode()
    assert b"it is ***" in written
    for hidden in (secret, token, "abcdefgh"):
        assert hidden.encode() not in written
    assert token not in plain.git("show", "--format=%B", run.git.commit)


# --- scripts that import the repo's own code ------------------------------------------------------


def imports_own_code(repo: Repo, folder: str) -> None:
    """Training that imports `own` from a folder; the working tree's copy is then made to differ."""
    repo.write(f"{folder}/own.py", "WORD = 'committed'\n")
    repo.script(f"import own, sys\nprint(own.WORD, own.__file__, *sys.path)\n{MODEL}")
    repo.git("update-index", "--assume-unchanged", f"{folder}/own.py")
    repo.write(f"{folder}/own.py", "WORD = 'uncommitted'\n")


@pytest.mark.parametrize("through", ["path", "link", "slash"])
def test_python_path_into_the_repo_leads_into_the_private_tree(
    plain: Repo, through: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports_own_code(plain, "lib")
    link = plain.root.parent / "link"
    link.symlink_to(plain.root)
    entry = {"path": f"{plain.root}/lib", "link": f"{link}/lib", "slash": f"{plain.root}//lib/"}
    monkeypatch.setenv("PYTHONPATH", entry[through])
    run = plain.run()
    assert "committed" in log_of(plain, run.run_id).split()


@pytest.mark.parametrize("layout", ["src", "flat"])
def test_an_editable_install_of_the_repo_is_imported_from_the_private_tree(
    plain: Repo, layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    folder = "src" if layout == "src" else "."
    install_editable(home, plain.root, plain.root / folder)
    imports_own_code(plain, folder)
    monkeypatch.setenv("PATH", f"{home}/bin{os.pathsep}{os.environ['PATH']}")
    run = plain.run()
    assert "committed" in log_of(plain, run.run_id).split()


@pytest.mark.parametrize(("place", "folder"), [(".venv", "lib"), ("../venv", "../link/lib")])
def test_a_path_file_into_the_repo_leads_into_the_private_tree(
    plain: Repo, place: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `setup.py develop` and `conda develop` leave is a path and no record of it."""
    home = Path(os.path.abspath(plain.root / place))
    venv.create(home, with_pip=False)
    (plain.root.parent / "link").symlink_to(plain.root)
    imports_own_code(plain, "lib")
    write_path_file(home, Path(os.path.abspath(plain.root / folder)))
    monkeypatch.setenv("PATH", f"{home}/bin{os.pathsep}{os.environ['PATH']}")
    words = log_of(plain, plain.run().run_id).split()
    assert "committed" in words
    (site,) = [word for word in words if word.endswith("site-packages")]
    assert site.startswith(f"{home}/")


def write_path_file(home: Path, folder: Path) -> Path:
    """Puts a folder on the import path of a virtual environment; returns its site-packages."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = home / "lib" / version / "site-packages"
    (site / "own.pth").write_text(f"{folder}\n")
    return site


def install_editable(home: Path, project: Path, package: Path) -> None:
    """What `pip install -e` leaves in a virtual environment: a .pth file and PEP 610's record."""
    info = write_path_file(home, package) / "own-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (info / "direct_url.json").write_text(
        f'{{"url": "{project.as_uri()}", "dir_info": {{"editable": true}}}}'
    )
