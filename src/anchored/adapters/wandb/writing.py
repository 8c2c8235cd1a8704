"""One entry in a W&B run, by the real SDK: opened, written and finished in one go."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from anchored.adapters.wandb.runs import OWN, Entry, LoggedModel, WandbRun
from anchored.records import Ended

NOT_WELL = {Ended.FAILED, Ended.KILLED}
MODEL = "model"  # the type of a model's artifact
# They would send an entry to another run, or nowhere, or say more of it than is meant; with
# *DEBUG, the log of a run's folder holds the API key (seen with wandb 0.31.0).
STEERING = (
    "RUN_ID", "RESUME", "RESUME_FROM", "FORK_FROM", "NAME", "NOTES", "TAGS", "JOB_TYPE",
    "RUN_GROUP", "SWEEP_ID", "SWEEP_PARAM_PATH", "MODE", "DISABLED", "PROJECT", "DIR", "LAUNCH",
    "CONSOLE", "SAVE_CODE", "CODE_DIR", "PROGRAM", "REINIT", "DEBUG", "CORE_DEBUG",
    "SERVICE",  # where the SDK lets children of this process, as training is, write: by ours
)  # fmt: skip
# Nothing on the terminal, and nothing to W&B of how its own SDK fares.
QUIET = {"WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}


def load() -> None:
    """Imports the SDK and starts its service, as the first entry would, which says what fails."""
    # The first `wandb.init` imports the other two, which takes half a second (wandb 0.31.0).
    import requests  # noqa: F401
    import wandb
    import wandb.sdk.launch

    with undisturbed(), suppress(Exception):
        wandb.setup(wandb.Settings(silent=True))


def write_entry(
    run: WandbRun, entry: Entry, *, replayed: WandbRun | None = None, **settings: Any
) -> Path:
    """Adds an entry to a run; `settings` are those of `wandb.Settings` that say where.

    Returns the folder in which the SDK has kept it.

    `replayed` is the run as it is: the new segment of a log that is written offline says all of it
    again, for each is synced as if it were all of the run.
    """
    import wandb

    config = dict(entry.config)
    if replayed is not None:
        config = {**_ours(replayed.config), **config}
    opened = wandb.init(
        id=run.run_id,
        name=run.name,
        project=run.project,
        resume="allow",
        reinit="create_new",
        settings=wandb.Settings(
            **settings,
            silent=True,
            console="off",
            ignore_globs=(),
            # What an entry's process is and does says nothing of the training.
            disable_code=True,
            disable_git=True,
            x_disable_stats=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
        ),
    )
    try:
        opened.config.update(config, allow_val_change=True)
        if replayed is not None:
            opened.summary.update(_ours(replayed.summary))
        if entry.metrics:  # a point in the history, for which there are charts, and in the summary
            opened.log(dict(entry.metrics))
        # In the run's own folder they wait for their upload.
        for path in entry.files.put_below(Path(opened.dir), shutil.copyfile):
            opened.save(str(Path(opened.dir, path)), base_path=opened.dir, policy="now")
        if entry.model is not None:
            opened.log_artifact(artifact_of(entry.model))
    finally:
        opened.finish(exit_code=int((entry.ending or run.ending) in NOT_WELL))
    return Path(opened.dir).parent


def _ours(values: Mapping[str, Any]) -> dict[str, Any]:
    """But for what W&B itself writes among them, of one segment each."""
    return {key: value for key, value in values.items() if key not in OWN}


def artifact_of(model: LoggedModel) -> Any:
    """A model as an artifact that has not been logged yet."""
    import wandb

    artifact = wandb.Artifact(model.name, type=MODEL, metadata=dict(model.metadata))
    for path, file in sorted(model.files.items()):
        # Copied until it is uploaded; but not once more into the cache of downloads.
        artifact.add_file(str(file), name=path, skip_cache=True)
    return artifact


@contextmanager
def undisturbed(**instead: str) -> Iterator[None]:
    """Without the environment variables that would steer an entry, and with others `instead`."""
    wanted = QUIET | instead
    names = {*(f"WANDB_{name}" for name in STEERING), *wanted}
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(before)
