"""Restore: a run's data and model by hash, into a folder; nothing else of the user's is touched."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anchored.decisions.restoring import FOLDER, folder_name
from anchored.errors import WrongUse
from anchored.history.find import found
from anchored.history.trace import resolve_run
from anchored.ports import ExportedFile
from anchored.records import Pointer, RunRecord
from anchored.system.retry_policy import with_retries
from anchored.training_repo import TrainingRepo


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored of a run, and where; `outputs` are its data and model with their sizes."""

    run: RunRecord
    to: Path
    outputs: tuple[Pointer, ...]
    files: tuple[ExportedFile, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "run_id": self.run.run_id,
            "name": self.run.name,
            "to": str(self.to),
            "files": [{"path": file.path, "md5": file.md5} for file in self.files],
        }


def restore(
    repo: TrainingRepo, wanted: str, to: str | None = None, *, latest: bool = False
) -> Restored:
    """Exports the data and model of a run, every byte hashed; by default to `restored/NAME/`.

    What is in the folder already is kept; a second call completes an interrupted one. What the
    run's commit records decides, and the tags where there is no record or the commit is lost; the
    user is warned where they disagree.
    Raises `WrongUse` where something else is in the way, and `RemoteFailed`.
    """
    tracked = found(repo, wanted, latest=latest)
    past = with_retries(lambda: resolve_run(repo, tracked))
    run = past.run
    pointers = (*past.lineage.data, *past.lineage.model)
    if not pointers:
        raise WrongUse(
            f"the run {run.name!r} names neither data nor a model",
            hint=f"`anchored show {run.run_id}` shows what is known of it",
        )
    for line in (*past.trouble, *past.mismatches, *past.lineage.differences):
        repo.report.warn(line)
    folder = _checked(repo, Path(to).expanduser()) if to else _own_folder(repo, run)
    files = with_retries(lambda: repo.store.export(pointers, folder, repo.report))
    return Restored(run, folder, tuple(_sized(p, files) for p in dict.fromkeys(pointers)), files)


def _checked(repo: TrainingRepo, to: Path) -> Path:
    folder = Path(os.path.abspath(to))
    real = Path(os.path.realpath(folder))
    for own in (".git", ".dvc"):
        if real.is_relative_to(repo.root / own):
            raise WrongUse(f"{folder} belongs to {own[1:]} itself", hint="name another with --to")
    return folder


def _own_folder(repo: TrainingRepo, run: RunRecord) -> Path:
    """The run's folder below the repo's root, in one that Git overlooks.

    Below the current folder where nobody would look for it at the repo's root.
    """
    parent = (Path.cwd() if repo.code.managed else repo.root) / FOLDER
    name = folder_name(
        run.name, run.run_id, is_alone=len(repo.tracker.runs_named(run.name)) < 2
    )  # fmt: skip
    ignore = parent / ".gitignore"
    try:
        parent.mkdir(exist_ok=True)
        if not os.path.lexists(ignore):
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise WrongUse(
            f"cannot write to {parent}: {error.strerror}", hint="name another folder with --to"
        ) from error
    return parent / name


def _sized(pointer: Pointer, files: tuple[ExportedFile, ...]) -> Pointer:
    below = f"{pointer.path}/"
    own = [f for f in files if f.path == pointer.path or f.path.startswith(below)]
    return replace(pointer, size=sum(file.size for file in own), nfiles=len(own))
