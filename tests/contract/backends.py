"""The trackers of the contract tests, and what others than Anchored do at the same places.

A backend says where its tracker honestly differs: in what names it takes, what its versions are
called, and what brings a registered model back.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import subprocess
import sys
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from anchored.adapters.mlflow.tracker import MlflowTracker
from anchored.adapters.wandb.log import segments
from anchored.adapters.wandb.offline import OfflineRuns
from anchored.adapters.wandb.online import OnlineRuns
from anchored.adapters.wandb.tracker import WandbTracker
from anchored.ports import ModelContent, Tracker
from anchored.records import ModelVersion, ParamValue
from tests import forked
from tests.services.mlflow_server import MlflowServer
from tests.services.wandb_standin import WandbStandin

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Backend(ABC):
    """One kind of tracker at a place of its own."""

    joining: str  # a script that logs `loss` 0.5 at step 3 of a run that it calls `mine`

    @abstractmethod
    def tracker(self, experiment: str = "") -> Any:
        """A tracker that has asked nothing yet; without a name, of a new experiment.

        It is a `Tracker`; `Any`, for the tests of one kind ask more of it.
        """

    @abstractmethod
    def model(self) -> str:
        """A new name for a registered model, as odd as the tracker takes it."""

    @abstractmethod
    def version(self, number: int) -> str:
        """What the first version of a model is called, the second, …"""

    @abstractmethod
    def usage(self, model: str, alias: str) -> str:
        """The Python that brings back the bytes that an alias stands for; empty if none does."""

    @abstractmethod
    def log_by_script(self, tracker: Any, run_id: str, params: Mapping[str, ParamValue]) -> None:
        """Logs params to a run, with the tracker's own library."""

    @abstractmethod
    def rename(self, tracker: Any, run_id: str, name: str) -> None:
        """Gives a run another name, with the tracker's own library."""

    @abstractmethod
    def version_tags(self, tracker: Any, version: ModelVersion) -> Mapping[str, Any]:
        """What the registry says of a version."""

    @abstractmethod
    def downloaded(self, tracker: Any, version: ModelVersion, into: Path) -> dict[str, bytes]:
        """The files that somebody else gets for a version of a registered model."""


class Served(ABC):
    """A backend whose tracker asks a server."""

    port: int
    hears_refusals = True  # or waits for an answer all the same, as long as one waits

    @abstractmethod
    def tracker_by_way_of(self, port: int) -> Any:
        """A tracker that asks through a proxy on this port; its credentials hold `hunter2`."""

    @abstractmethod
    def tracker(self, experiment: str = "") -> Any:
        """As of any backend."""

    @abstractmethod
    def down(self) -> AbstractContextManager[Any]:
        """The server is killed within the block, and back after it with all it knew."""


# --- MLflow -----------------------------------------------------------------------------------------


class Mlflow(Backend):
    """MLflow at a tracking URI."""

    joining = (
        "import mlflow\n"
        "with mlflow.start_run(run_name='mine'): mlflow.log_metric('loss', 0.5, step=3)"
    )

    def __init__(self, uri: str, root: Path) -> None:
        self.uri, self.root = uri, root

    def tracker(self, experiment: str = "") -> MlflowTracker:
        return self.tracker_at(self.uri, experiment)

    def tracker_at(
        self, uri: str, experiment: str = "", *, root: Path | None = None
    ) -> MlflowTracker:
        # A file store of MLflow 3.17 makes no experiment with quotes in its name.
        own = uuid.uuid4().hex if "://" not in uri else f'it\'s "{uuid.uuid4().hex}"'
        root = root or self.root
        return MlflowTracker(uri, experiment=experiment or own, root=root, lock=root / "lock")

    def model(self) -> str:
        return f'it\'s "{uuid.uuid4().hex}"'

    def version(self, number: int) -> str:
        return str(number)

    def usage(self, model: str, alias: str) -> str:
        return f'mlflow.artifacts.download_artifacts("models:/{model}@{alias}")'

    def log_by_script(self, tracker: Any, run_id: str, params: Mapping[str, ParamValue]) -> None:
        for key, value in params.items():
            tracker._client.log_param(run_id, key, value)

    def rename(self, tracker: Any, run_id: str, name: str) -> None:
        tracker._client.update_run(run_id, name=name)

    def version_tags(self, tracker: Any, version: ModelVersion) -> Mapping[str, Any]:
        tags: dict[str, str] = tracker._client.get_model_version(
            version.model, version.version
        ).tags
        return tags

    def downloaded(self, tracker: Any, version: ModelVersion, into: Path) -> dict[str, bytes]:
        code = "import sys; mlflow.artifacts.download_artifacts(sys.argv[1], dst_path=sys.argv[2])"
        into.mkdir()
        env = {**os.environ, "MLFLOW_TRACKING_URI": tracker.uri, "MLFLOW_ALLOW_FILE_STORE": "true"}
        uri = f"models:/{version.model}/{version.version}"
        done = scripted(f"import mlflow.artifacts\n{code}", uri, str(into), cwd=into, env=env)
        assert done.returncode == 0, done.stderr
        return {str(f.relative_to(into)): f.read_bytes() for f in into.rglob("*") if f.is_file()}


class ServedMlflow(Mlflow, Served):
    """MLflow on a server."""

    def __init__(self, server: MlflowServer, root: Path) -> None:
        super().__init__(server.url, root)
        self._server, self.port = server, server.port

    def tracker_by_way_of(self, port: int) -> MlflowTracker:
        return self.tracker_at(self._server.url_at(port).replace("//", "//me:hunter2@"))

    def down(self) -> AbstractContextManager[Any]:
        return self._server.process.down()


# --- W&B --------------------------------------------------------------------------------------------


class WandbOffline(Backend):
    """W&B in a folder, without a server."""

    joining = "import wandb\nwith wandb.init(name='mine') as run: run.log({'loss': 0.5}, step=3)"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tracker(self, experiment: str = "") -> WandbTracker:
        project = experiment or f'it\'s "{uuid.uuid4().hex}"'
        return WandbTracker(OfflineRuns(self.folder, project=project))

    def model(self) -> str:
        return f'it\'s "{uuid.uuid4().hex}"'

    def version(self, number: int) -> str:
        return f"v{number - 1}"

    def usage(self, model: str, alias: str) -> str:  # noqa: ARG002 - the same for all
        return ""

    def log_by_script(self, tracker: Any, run_id: str, params: Mapping[str, ParamValue]) -> None:
        with self.joined(tracker, run_id) as run:
            run.config.update(params)

    def rename(self, tracker: Any, run_id: str, name: str) -> None:
        with self.joined(tracker, run_id, name=name):
            pass

    @contextmanager
    def joined(self, tracker: Any, run_id: str, **init: Any) -> Iterator[Any]:
        """The run, opened by W&B's own library as a script of this process would."""
        import wandb

        settings = wandb.Settings(silent=True, console="off", x_disable_stats=True, **self.place())
        with wandb.init(
            id=run_id, resume="allow", project=tracker._runs.project, dir=self.folder,
            settings=settings, **init,
        ) as run:  # fmt: skip
            yield run
        if self.place()["mode"] == "offline":
            wandb.teardown()  # logs are on disk when W&B's service has ended, not when a run has

    def place(self) -> dict[str, Any]:
        """Settings of the library that say where runs go."""
        return {"mode": "offline"}

    def version_tags(self, tracker: Any, version: ModelVersion) -> Mapping[str, Any]:
        (linked,) = (
            one for one in tracker._runs.versions(version.model) if one.version == version.version
        )
        metadata: Mapping[str, Any] = linked.metadata
        return metadata

    def downloaded(
        self,
        tracker: Any,
        version: ModelVersion,
        into: Path,  # noqa: ARG002 - nobody can get them before a sync
    ) -> dict[str, bytes]:
        """The files that a sync would send."""
        md5 = self.version_tags(tracker, version)["dvc_model_md5"]
        (artifact,) = (
            artifact
            for segment in segments(self.folder / "wandb", version.run_id)
            for artifact in segment.artifacts
            if artifact.metadata["dvc_model_md5"] == md5
        )
        return {path: file.read_bytes() for path, file in artifact.files.items()}


class WandbOnline(WandbOffline, Served):
    """W&B on the stand-in server."""

    hears_refusals = False

    def __init__(self, standin: WandbStandin, folder: Path) -> None:
        super().__init__(folder)
        self._standin, self.port = standin, standin.port
        os.environ["WANDB_API_KEY"] = standin.api_key

    def tracker(self, experiment: str = "") -> WandbTracker:
        return self._tracker_at(self._standin.url, experiment)

    def tracker_by_way_of(self, port: int) -> WandbTracker:
        return self._tracker_at(self._standin.url_at(port).replace("//", "//me:hunter2@"))

    def _tracker_at(self, url: str, experiment: str = "") -> WandbTracker:
        project = experiment or f'it\'s "{uuid.uuid4().hex}"'
        return WandbTracker(OnlineRuns(url, project=project))

    def down(self) -> AbstractContextManager[Any]:
        return self._standin.down()

    def usage(self, model: str, alias: str) -> str:
        return f'wandb.Api().artifact("wandb-registry-model/{model}:{alias}").download()'

    def place(self) -> dict[str, Any]:
        return {"mode": "online", "base_url": self._standin.url}

    def downloaded(
        self,
        tracker: Any,  # noqa: ARG002 - the stand-in is the one there is
        version: ModelVersion,
        into: Path,
    ) -> dict[str, bytes]:
        import wandb

        api = wandb.Api(overrides={"base_url": self._standin.url})
        artifact = api.artifact(f"wandb-registry-model/{version.model}:{version.version}")
        artifact.download(root=str(into), skip_cache=True)
        return {str(f.relative_to(into)): f.read_bytes() for f in into.rglob("*") if f.is_file()}


# --- which there are --------------------------------------------------------------------------------

MLFLOW = ("mlflow-sqlite", "mlflow-server", "mlflow-folder")
EVERY = (*MLFLOW, "wandb-offline", "wandb-online")
SERVED = ("mlflow-server", "wandb-online")


def made(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The backend of a kind, at a place of its own or on the session's server."""
    match kind:
        case "wandb-online":
            return WandbOnline(request.getfixturevalue("wandb_standin"), tmp_path)
        case "mlflow-server":
            return ServedMlflow(request.getfixturevalue("mlflow_server"), tmp_path)
        case "mlflow-folder":
            (tmp_path / "old runs").mkdir()
            return Mlflow("old runs", tmp_path)
        case "mlflow-sqlite":
            # A copy of a database that has been migrated.
            template: Path = request.getfixturevalue("template")
            (tmp_path / "mlflow.db").write_bytes((template / "work/mlflow.db").read_bytes())
            return Mlflow(f"sqlite:///{tmp_path}/mlflow.db", tmp_path)
    return WandbOffline(tmp_path)


def opened(tracker: Tracker, name: str = "one", **tags: str) -> str:
    """The id of a new run."""
    return tracker.open_run(name=name, tags=tags, started=NOW).run_id


def content_at(folder: Path, name: str = "model.bin", data: bytes = b"weights") -> ModelContent:
    """A model in a folder of its own, with its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return ModelContent(folder / name, hashlib.md5(data).hexdigest())


def trained(code: str, tracker: Tracker, run_id: str, cwd: Path) -> Any:
    """A script's process, at its end, with the variables that training gets."""
    env = {**os.environ, **tracker.training_variables(run_id)}
    if tracker.kind == "mlflow":
        return scripted(code, cwd=cwd, env=env)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )


def scripted(
    code: str, *args: str, cwd: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """The process of a script that imports MLflow, at its end; forked, as the import takes longest."""
    return forked._captured(_run_script, [code, *args], cwd, env)


def _run_script(args: list[str]) -> None:
    code, *rest = args
    sys.argv = ["-c", *rest]
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    finally:
        atexit._run_exitfuncs()  # as Python does at its end: MLflow ends the run that is open
