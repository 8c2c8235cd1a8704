"""A model as MLflow loads it, made of the bytes that DVC versioned: nothing is serialized again.

MLflow's own `log_model` takes an object in memory, saves forests no more by default (skops does not
trust them), and asks a lock file for the requirements (all seen with MLflow 3.17.2).
"""

from __future__ import annotations

import pickle
import posixpath
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from anchored.adapters.mlflow.pickled_estimators import Pickled, estimator_in
from anchored.ports import ModelContent
from anchored.records import Environment
from anchored.system.files import link_or_copy

ARTIFACTS = "anchored/model"  # in a run; below it a folder for each content
LOAD, DOWNLOAD = "mlflow.pyfunc.load_model", "mlflow.artifacts.download_artifacts"
DESCRIPTION = "MLmodel"  # the file that makes a folder a model of MLflow's
CODE, CALL = "code", "code/load.pkl"
LOADER = Path(__file__).parents[2] / "served" / "joblib_model.py"

# Of the environment that the model was trained in, what loading and predicting may need.
NEEDED = (
    "mlflow", "scikit-learn", "joblib", "numpy", "scipy", "pandas", "cloudpickle",
    "imbalanced-learn", "xgboost", "lightgbm", "catboost",
)  # fmt: skip
AT_LEAST = ("mlflow", "scikit-learn", "joblib")


def log_model(client: Any, run_id: str, content: ModelContent) -> tuple[str, str]:
    """Logs a run's model; returns its path in the run, and the function that loads it."""
    # A folder for each content: a version's bytes stay what they are.
    artifact = posixpath.join(ARTIFACTS, content.md5)
    with tempfile.TemporaryDirectory(prefix="mlflow-", dir=content.place.parent) as beside:
        folder, loads_with = laid_out(
            content, Path(beside, "model"), run_id=run_id, artifact=artifact
        )
        client.log_artifacts(run_id, folder, artifact)
    return artifact, loads_with


def laid_out(content: ModelContent, into: Path, *, run_id: str, artifact: str) -> tuple[Path, str]:
    """The folder to log for a model, and the function of MLflow's that brings the model back.

    An estimator, as joblib or pickle wrote it, is laid out in `into` as a model of the flavours
    `sklearn` and `python_function`. A folder that is a model of MLflow's is one as it is. All
    else can be downloaded.
    """
    place = content.place
    if place.is_dir():
        return place, LOAD if (place / DESCRIPTION).is_file() else DOWNLOAD
    into.mkdir()
    link_or_copy(place, into / place.name)
    if (pickled := estimator_in(place)) is None:
        return into, DOWNLOAD
    _describe(content, into, pickled, run_id=run_id, artifact=artifact)
    _write_requirements(into, content.environment)
    return into, LOAD


def _describe(
    content: ModelContent, into: Path, pickled: Pickled, *, run_id: str, artifact: str
) -> None:
    """Writes the file `MLmodel`, and what it names."""
    from mlflow.models import Model

    environment = content.environment or Environment()
    name = content.place.name
    # For MLflow's own loader, unless joblib's is needed.
    sklearn = {"pickled_model": name, "serialization_format": "pickle"}
    pyfunc: dict[str, Any] = {"loader_module": "mlflow.sklearn", "model_path": name}
    if pickled == Pickled.JOBLIB:
        module = _put_loader(name, into, content.md5)
        sklearn |= {"pickled_model": CALL, "code": CODE}
        pyfunc = {"loader_module": module, "data": name, "code": CODE}
    if version := environment.packages.get("scikit-learn"):
        sklearn["sklearn_version"] = version
    if environment.python:
        pyfunc["python_version"] = environment.python
    pyfunc["env"] = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
    pyfunc["predict_fn"] = "predict"
    model = Model(
        artifact_path=artifact,
        run_id=run_id,
        flavors={"python_function": pyfunc, "sklearn": sklearn},
        metadata={"dvc_model_md5": content.md5},
    )
    model.save(into / DESCRIPTION)


def _put_loader(name: str, into: Path, md5: str) -> str:
    """Lets a loader travel along that calls joblib, and what `mlflow.sklearn` unpickles: its call.

    Returns the loader's name, which is the content's own: of two modules of one name, Python would
    take the first for every model.
    """
    module = f"joblib_model_{md5}"
    (into / CODE).mkdir()
    shutil.copyfile(LOADER, into / CODE / f"{module}.py")
    argument = pickle.dumps(name, protocol=2)[2:-1]  # without PROTO and STOP
    (into / CALL).write_bytes(b"\x80\x02c%s\nload\n%s\x85R." % (module.encode(), argument))
    return module


def _write_requirements(into: Path, environment: Environment | None) -> None:
    """Writes what an environment for serving needs, in the three forms that MLflow reads."""
    required = list(_requirements(environment))
    python = environment.python if environment is not None else ""
    (into / "requirements.txt").write_text("".join(f"{line}\n" for line in required))
    _write_yaml(into / "python_env.yaml", {
        **({"python": python} if python else {}),
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    })  # fmt: skip
    _write_yaml(into / "conda.yaml", {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}" if python else "python", "pip", {"pip": required}],
    })  # fmt: skip


def _requirements(environment: Environment | None) -> Iterator[str]:
    packages = environment.packages if environment is not None else {}
    for name in NEEDED:
        # A local label (`+cu121`) names a build that no index has.
        if version := packages.get(name, "").partition("+")[0]:
            yield f"{name}=={version}"
        elif name in AT_LEAST:
            yield name


def _write_yaml(file: Path, value: dict[str, Any]) -> None:
    file.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
