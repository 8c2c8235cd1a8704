"""Promote: the bytes that DVC versioned become a version that loads, once, and never others."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import mlflow.sklearn
import numpy as np
import pytest
import sklearn
from mlflow.tracking import MlflowClient
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from anchored.errors import BadName, ConfigError, ObjectLost, UnknownRun, WrongUse
from anchored.journal import FOLDER
from anchored.promote.promote import promote
from anchored.records import RunRecord
from tests.repos import Repo, result_of
from tests.services.mlflow_server import MlflowServer

MODEL = "sums's model"
X = np.arange(40.0).reshape(20, 2)
# Copies what was made for it: importing scikit-learn would take most of the tests' time.
COPY = """\
import os, pathlib, shutil

target = pathlib.Path(open("made/path").read())
target.parent.mkdir(parents=True, exist_ok=True)
(shutil.copytree if os.path.isdir("made/content") else shutil.copy)("made/content", target)
pathlib.Path("metrics.json").write_text("{}")
"""


@pytest.fixture
def registering(repo: Repo) -> Repo:
    """A training repo whose configuration names a registered model."""
    text = (repo.root / "anchored.toml").read_text()
    repo.write(
        "anchored.toml",
        f'{text}\n[retrain]\nmetric = "total"\nregistered_model = "{MODEL}"\n',
    )
    repo.commit("Name the registered model")
    return repo


def client_of(repo: Repo) -> MlflowClient:
    return MlflowClient(repo.open().tracker.uri)


def versions(repo: Repo) -> list[Any]:
    """All versions of the registered model, the first first."""
    found = client_of(repo).search_model_versions()
    return sorted((v for v in found if v.name == MODEL), key=lambda v: int(v.version))


class Told:
    """A report that keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    warn = output = say

    def progress(self, what: str, done: int, total: int, *, unit: str = "") -> None: ...


# --- what loads -----------------------------------------------------------------------------------


def pipeline() -> Any:
    steps = (StandardScaler(), RandomForestRegressor(n_estimators=3, random_state=0))
    return make_pipeline(*steps).fit(X, X[:, 0])


def dumped(value: Any, compress: Any = 0) -> bytes:
    stream = io.BytesIO()
    joblib.dump(value, stream, compress=compress)
    return stream.getvalue()


def made_folder(into: Path) -> None:
    (into / "deep").mkdir(parents=True)
    (into / "weights.bin").write_bytes(b"w" * 100)
    (into / "deep/vocabulary é.txt").write_text("a\nb\n")


def mlflow_folder(into: Path) -> None:
    model = LinearRegression().fit(X, X[:, 0])
    mlflow.sklearn.save_model(
        model, into, serialization_format="pickle", pip_requirements=["scikit-learn"]
    )


FOREST = pipeline()[-1].fit(X, X[:, 0])
# By alias: where training writes the model, and what.
MADE: dict[str, tuple[str, bytes | Callable[[Path], None]]] = {
    "pipeline": ("models/model.joblib", dumped(pipeline())),
    "other": ("models/model.joblib", dumped(LinearRegression().fit(X, X[:, 1] * 100))),
    "compressed": ("model é.pkl", dumped(pipeline(), ("xz", 3))),
    "forest": ("models/model.pkl", pickle.dumps(FOREST)),
    "file": ("models/network.bin", b"\x00weights\xff"),
    "dictionary": ("models/parts.joblib", dumped({"model": pipeline()})),
    "folder": ("models/bundle", made_folder),
    "mlflow": ("network", mlflow_folder),
}
LOADED = ("pipeline", "other", "compressed", "forest", "mlflow")
EXPECTED = {
    "pipeline": pipeline().predict(X), "compressed": pipeline().predict(X),
    "forest": FOREST.predict(X), "other": X[:, 1] * 100, "mlflow": X[:, 0],
}  # fmt: skip
SOME = ("pipeline", "forest", "folder")

# Runs where there is no Anchored. Loads every model twice, for Python keeps modules.
SERVING = """
import hashlib, json, os, sys
sys.modules["anchored"] = None
import mlflow.artifacts, mlflow.pyfunc, mlflow.sklearn, numpy
name, aliases, loaded, into = json.loads(sys.argv[1])
x, found = numpy.arange(40.0).reshape(20, 2), {}
for alias in [*loaded, *loaded]:
    uri = f"models:/{name}@{alias}"
    served, own = mlflow.pyfunc.load_model(uri), mlflow.sklearn.load_model(uri)
    assert own.get_params() and list(served.predict(x)) == list(own.predict(x))
    found[alias] = list(own.predict(x))
files = {}
for alias in aliases:
    top = mlflow.artifacts.download_artifacts(f"models:/{name}@{alias}", dst_path=f"{into}/{alias}")
    for folder, _, names in os.walk(top):
        for file in (os.path.join(folder, name) for name in names):
            path = os.path.relpath(file, top)
            files[f"{alias}/{path}"] = hashlib.md5(open(file, "rb").read()).hexdigest()
print(json.dumps([found, files]))
"""


def run_that_makes(repo: Repo, alias: str) -> RunRecord:
    path, content = MADE[alias]
    repo.git("rm", "-rq", "--ignore-unmatch", "--cached", "made")
    repo.write("made/path", path)
    place = repo.root / f"made-{alias}"
    place.write_bytes(content) if isinstance(content, bytes) else content(place)
    subprocess.run(["rm", "-rf", repo.root / "made/content"], check=True)
    place.rename(repo.root / "made/content")
    text = (repo.root / "anchored.toml").read_text().splitlines()
    repo.write("anchored.toml", "\n".join(
        f'model = "{path}"' if line.startswith("model = ") else line for line in text
    ))  # fmt: skip
    repo.commit(f"Make {alias}")
    return repo.run(alias)


@pytest.mark.parametrize("where", ["sqlite", "server"])
def test_every_kind_of_model_comes_back_where_there_is_no_anchored(
    registering: Repo, tmp_path: Path, where: str, request: pytest.FixtureRequest
) -> None:
    repo, aliases = registering, tuple(MADE)
    if where == "server":
        server: MlflowServer = request.getfixturevalue("mlflow_server")
        repo.configure('experiment = "sums"', f'experiment = "p"\ntracker.uri = "{server.url}"')
        aliases = SOME
    repo.script(COPY)
    runs, usages = {}, {}
    for number, alias in enumerate(aliases, start=1):
        runs[alias] = run_that_makes(repo, alias)
        version = promote(repo.open(), runs[alias], alias=alias)
        assert (version.version, version.aliases) == (str(number), (alias,))
        assert version.run_id == runs[alias].run_id
        usages[alias] = version.usage
    assert usages["pipeline"] == f'mlflow.pyfunc.load_model("models:/{MODEL}@pipeline")'
    assert usages["folder"] == f'mlflow.artifacts.download_artifacts("models:/{MODEL}@folder")'
    loaded = [alias for alias, usage in usages.items() if "pyfunc" in usage]
    assert loaded == [alias for alias in LOADED if alias in aliases]

    predicted, files = served(repo, aliases, loaded, tmp_path / "got")
    for alias in loaded:
        assert np.allclose(predicted[alias], EXPECTED[alias]), alias
    for alias in aliases:
        path, content = MADE[alias]
        files.pop(f"{alias}/registered_model_meta", None)  # MLflow's own note of where it is from
        own = {f.removeprefix(f"{alias}/"): md5 for f, md5 in files.items() if f.startswith(alias)}
        if isinstance(content, bytes):
            assert own[Path(path).name] == runs[alias].model[0].md5
            assert alias in LOADED or len(own) == 1, "a file as it is"
        else:
            place = repo.store / "files/md5" / runs[alias].model[0].md5[:2]
            listing = json.loads((place / runs[alias].model[0].md5[2:]).read_bytes())
            assert own == {entry["relpath"]: entry["md5"] for entry in listing}
    for alias in ("pipeline", "forest"):
        required = (tmp_path / "got" / alias / "requirements.txt").read_text().splitlines()
        assert f"scikit-learn=={sklearn.__version__}" in required
        assert not [line for line in required if "anchored" in line or "prefect" in line]
    for version in versions(repo):
        (run,) = (run for run in runs.values() if run.run_id == version.run_id)
        assert version.tags["git_commit"] == run.git.commit
        assert version.tags["dvc_model_md5"] == run.model[0].md5
        assert version.tags["anchored.run_name"] == run.name


def served(repo: Repo, aliases: Any, loaded: Any, into: Path) -> Any:
    """Predictions by alias, and the hash of every file by alias and path, from elsewhere."""
    for alias in aliases:
        (into / alias).mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", SERVING, json.dumps([MODEL, aliases, loaded, str(into)])],
        cwd=into, env={**os.environ, "MLFLOW_TRACKING_URI": repo.open().tracker.uri},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


# --- the command ----------------------------------------------------------------------------------


def test_the_command_says_what_it_registered_and_an_alias_names_a_run(registering: Repo) -> None:
    repo = registering
    one, two = repo.run("one"), repo.run("two", params={"power": 2})
    first = repo.anchored("promote", "one")
    assert (first.returncode, first.stderr) == (0, "")
    usage = f'mlflow.artifacts.download_artifacts("models:/{MODEL}@champion")'
    for said in (f"{MODEL} version 1  @champion", f"one  {one.run_id}", one.git.commit,
                 f"{one.model[0].md5}  models/model.bin", usage):  # fmt: skip
        assert said in first.stdout
    done = repo.anchored("promote", two.run_id[:8], "--json")
    second = result_of(done)
    assert f"@champion named version 1 before, of the run 'one', {one.run_id}" in done.stderr
    assert second == {
        "model": MODEL, "version": "2", "run_id": two.run_id, "aliases": ["champion"], "url": "",
        "usage": usage, "git_commit": two.git.commit, "dvc_model_md5": two.model[0].md5,
    }  # fmt: skip
    again = repo.anchored("promote", "@champion", "--json")
    assert result_of(again) == second
    assert "@champion names this run's version 2 already" in again.stderr
    assert result_of(repo.anchored("show", "@champion", "--json"))["run_id"] == two.run_id
    back = promote(repo.open(), one, alias="champion")
    assert (back.version, back.aliases) == ("1", ("champion",))
    assert len(versions(repo)) == 2
    refused = repo.anchored("promote", "one", "--alias", "v1")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: 'v1' is an alias that registries keep")


def test_a_repo_without_a_registered_model_cannot_promote(repo: Repo) -> None:
    run = repo.run("one")
    with pytest.raises(ConfigError, match=r"retrain\.registered_model") as raised:
        promote(repo.open(), run, alias="champion")
    assert raised.value.exit_code == 2
    assert client_of(repo).search_registered_models() == []


@pytest.mark.parametrize(
    "alias", ["", "latest", "LATEST", "v1", "V12", "a b", "a/b", "@x", "x\n", "x" * 256]
)
def test_an_alias_that_no_registry_takes_is_refused_at_once(registering: Repo, alias: str) -> None:
    run = RunRecord("0" * 32, "never asked for", "sums")
    with pytest.raises(BadName):
        promote(registering.open(), run, alias=alias)


# --- what is refused ------------------------------------------------------------------------------


def refused(repo: Repo, wanted: str) -> WrongUse:
    from anchored.history.find import found

    workspace = repo.open()
    with pytest.raises(WrongUse) as raised:
        promote(workspace, found(workspace, wanted), alias="champion")
    assert raised.value.hint
    assert client_of(repo).search_registered_models() == []
    return raised.value


def test_runs_that_nobody_may_rely_on_are_refused(registering: Repo) -> None:
    repo = registering
    run = repo.run("one")
    again = repo.reproduce("one")
    assert "is a reproduction" in (error := refused(repo, again.reproduction)).message
    assert f"anchored promote {run.run_id}" in (error.hint or "")
    tracker = repo.open().tracker
    for state in ("running", "trained", "failed"):
        tracker.log(run.run_id, tags={"anchored.state": state})
        assert f"is {state}: only a sealed one" in refused(repo, "one").message
    repo.foreign("claims", **{"anchored.state": "sealed", "git_commit": run.git.commit})
    assert "neither this repository nor its remote has its ref" in refused(repo, "claims").message
    repo.foreign("no model", git_commit=run.git.commit)
    assert "names no model" in refused(repo, "no model").message
    repo.foreign("no commit", dvc_model_md5=run.model[0].md5)
    assert "names no commit" in refused(repo, "no commit").message
    broken = repo.foreign("broken", git_commit=run.git.commit, dvc_model_md5=run.model[0].md5)
    client_of(repo).set_terminated(broken, "FAILED")
    assert "is failed" in refused(repo, "broken").message


def test_a_run_made_by_hand_is_promoted(registering: Repo) -> None:
    repo = registering
    run = repo.run("one")
    by_hand = repo.foreign("by hand", git_commit="0" * 40, dvc_model_md5=run.model[0].md5)
    from anchored.history.find import found

    workspace = repo.open(told := Told())
    version = promote(workspace, found(workspace, "by hand"), alias="champion")
    assert version.run_id == by_hand
    assert any("commit missing" in line for line in told.lines)
    assert versions(repo)[0].tags["dvc_model_md5"] == run.model[0].md5


def test_a_version_without_a_run_gives_a_clear_error(registering: Repo) -> None:
    repo = registering
    client = client_of(repo)
    client.create_registered_model(MODEL)
    client.create_model_version(MODEL, "s3://bucket/model")
    client.set_registered_model_alias(MODEL, "champion", "1")
    from anchored.history.find import found

    with pytest.raises(UnknownRun, match="names no run"):
        found(repo.open(), "@champion")
    told = Told()
    assert promote(repo.open(told), repo.run("one"), alias="champion").version == "2"
    assert told.lines == ["@champion named version 1 before, which names no run"]


# --- bytes and interruptions ----------------------------------------------------------------------


def spoilt(repo: Repo, folder: Path, md5: str) -> None:
    file = folder / "files/md5" / md5[:2] / md5[2:]
    file.chmod(0o644)
    file.write_bytes(b"others' bytes")


def test_bytes_that_are_not_the_versioned_ones_are_never_registered(registering: Repo) -> None:
    repo = registering
    one, two = repo.run("one"), repo.run("two", params={"power": 2})
    for run in (one, two):
        spoilt(repo, repo.root / ".dvc/cache", run.model[0].md5)
    spoilt(repo, repo.store, two.model[0].md5)
    with pytest.raises(ObjectLost):
        promote(repo.open(), two, alias="champion")
    assert client_of(repo).search_registered_models() == []
    promote(repo.open(), one, alias="champion")
    path = f"anchored/model/{one.model[0].md5}/model.bin"
    content = repo.artifact(one.run_id, path) or b""
    assert hashlib.md5(content).hexdigest() == one.model[0].md5


class CutOff(Exception):
    """The process ended here."""


class Cut:
    """A port that ends the process before or after one of its methods."""

    def __init__(self, inner: Any, method: str, when: str) -> None:
        self._inner, self._method, self._when = inner, method, when

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._inner, name)
        if name != self._method:
            return inner

        def cut(*args: Any, **kwargs: Any) -> Any:
            if self._when == "after":
                inner(*args, **kwargs)
            raise CutOff(name)

        return cut


def test_cut_off_anywhere_and_begun_again_there_is_one_version(registering: Repo) -> None:
    repo = registering
    run, old = repo.run("one"), repo.run("old", params={"power": 2})
    promote(repo.open(), old, alias="champion")
    points = [("store", "export"), ("tracker", "register"), ("tracker", "set_alias")]
    for port, method in points:
        for when in ("before", "after"):
            workspace = repo.open()
            port_cut = Cut(getattr(workspace, port), method, when)
            with pytest.raises(CutOff):
                promote(replace(workspace, **{port: port_cut}), run, alias="champion")
            moved = (method, when) == ("set_alias", "after")
            assert repo.open().tracker.run_of_alias(MODEL, "champion") == (
                run.run_id if moved else old.run_id
            )
            promote(repo.open(), old, alias="champion")
    assert promote(repo.open(), run, alias="champion").version == "2"
    assert [v.run_id for v in versions(repo)] == [old.run_id, run.run_id]
    assert not list((repo.root / FOLDER).glob("scratch-*"))


def test_two_processes_at_once_make_one_version(registering: Repo) -> None:
    repo = registering
    run = repo.run("one")
    argv = [sys.executable, "-m", "anchored", "promote", "one", "--alias"]
    both = [
        subprocess.Popen([*argv, alias], cwd=repo.root, stdout=subprocess.DEVNULL)
        for alias in ("champion", "challenger")
    ]
    assert [process.wait(120) for process in both] == [0, 0]
    (version,) = versions(repo)
    assert version.run_id == run.run_id
    for alias in ("champion", "challenger"):
        assert repo.open().tracker.run_of_alias(MODEL, alias) == run.run_id
