"""Promoted models of every kind come back where there is no Anchored, by MLflow's own means."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import mlflow.sklearn
import numpy as np
import pytest
import sklearn
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from anchored.promote.promote import promote
from anchored.records import RunRecord
from tests.registered import MODEL, registering_models, versions
from tests.repos import Repo
from tests.services.mlflow_server import MlflowServer

X = np.arange(40.0).reshape(20, 2)
# Copies what was made for it: importing scikit-learn would take most of the tests' time.
COPY = """\
import os, pathlib, shutil

target = pathlib.Path(open("made/path").read())
target.parent.mkdir(parents=True, exist_ok=True)
(shutil.copytree if os.path.isdir("made/content") else shutil.copy)("made/content", target)
pathlib.Path("metrics.json").write_text("{}")
"""


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
    repo: Repo, tmp_path: Path, where: str, request: pytest.FixtureRequest
) -> None:
    aliases = tuple(MADE)
    registering_models(repo)
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
