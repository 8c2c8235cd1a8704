"""Open a run: refuse what cannot end well, then let the tracker know before anything else is done.

A run that the tracker has from the start leaves a visible trace wherever it is interrupted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote

from anchored.config import FILE, PYPROJECT, Config
from anchored.decisions import tags
from anchored.decisions.command import filled_command
from anchored.decisions.gate import PENDING
from anchored.decisions.ignores import ignore_file, ignore_line, with_lines
from anchored.decisions.naming import checked_name, open_ref
from anchored.decisions.pointers import pointer_path
from anchored.decisions.tags import render_tags
from anchored.decisions.twins import run_of_attempt, twins
from anchored.errors import (
    BadInput,
    ConfigError,
    DeletedExperiment,
    DirtyTree,
    NotReady,
    ServiceFailed,
)
from anchored.journal import Journal, Places, Step, new_key
from anchored.records import (
    FlowLink,
    GitFacts,
    ParamValue,
    Pointer,
    RunRecord,
    TrackedRun,
    TrackerLink,
)
from anchored.run.input_folder import check_stays_inside, refuse_behind
from anchored.run.twins import close_twins
from anchored.training_repo import TrainingRepo, moment, name_or_generated, now

DVC_CONFIG = ".dvc/config"


@dataclass(frozen=True, slots=True)
class RetrainInputs:
    """What a retrain starts from: a commit, and inputs that the DVC cache holds.

    `changed` names those whose content is not what the commit's pointers say.
    """

    commit: str
    data: tuple[Pointer, ...]
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a user asks of a run. Without a name, one is made of experiment and time.

    With `data_from_folder`, the inputs in the user's folder may be earlier versions than the
    branch has. With `inputs` the run is of that commit and those inputs; what is in the user's
    folder plays no part.
    """

    name: str | None = None
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    snapshot: bool = False
    data_from_folder: bool = False
    inputs: RetrainInputs | None = None


def check_request(repo: TrainingRepo, request: RunRequest) -> None:
    """Raises a `WrongUse` for whatever makes the run impossible. This is a read-only operation.

    But DVC keeps the hashes of the inputs, so that versioning them has not to hash them again: of
    20,000 files, one more look then takes a tenth of what caching them does.
    """
    if request.name is not None:
        checked_name(request.name)
    _check_tracker(repo)
    head = repo.code.head()
    _check_config_is_tracked(repo)
    repo.config.check_placeholders()
    repo.config.params_with(request.params)
    repo.store.check_ready()
    for path in repo.config.data.inputs:
        _check_input(repo, path, head)
    _check_model(repo, repo.config.train.model)
    if not request.snapshot:
        _check_clean(repo, head)
    if not request.data_from_folder:
        refuse_behind(repo, head, snapshot=request.snapshot)


def check_retrain(repo: TrainingRepo, request: RunRequest, commit: str) -> Config:
    """The configuration of a commit, if it can be trained on. This is a read-only operation.

    Raises a `WrongUse` for whatever makes that impossible.
    """
    if request.name is not None:
        checked_name(request.name)
    _check_tracker(repo)
    config = repo.config_at(commit)
    if (config.tracker, config.experiment) != (repo.config.tracker, repo.config.experiment):
        raise NotReady(
            f"{FILE} names another tracker or experiment than its committed state",
            hint="commit the change, or take it back: a retrain works on what is committed",
        )
    config.check_placeholders()
    config.params_with(request.params)
    repo.store.check_ready()
    for path in (*config.data.inputs, config.train.model):
        _check_not_tracked(repo, path, commit)
        repo.store.check_owner(path)
    return config


def open_run(
    repo: TrainingRepo, request: RunRequest, flow: FlowLink, *, key: str | None = None
) -> Journal:
    """Checks the request and the remote, then opens the tracker run; owned by this process.

    Called again with the same key, it finds the run that the first call opened.
    """
    begun = repo.journals.claim(key) if key else None
    journal = begun or _begun(repo, _intended(repo, request, flow, key))
    if journal.step > Step.OPENING:
        return journal
    repo = repo.bound(journal)
    try:
        repo.code.keep(open_ref(journal.key), journal.pinned)
        return (begun and adopt(repo, begun)) or open_in_tracker(repo, journal)
    except DeletedExperiment:
        repo.forget(journal.key)  # nothing can have been open_in_tracker
        raise
    except BaseException:
        # No answer may still mean a run: a later resume looks for the attempt.
        repo.journals.release(journal.key)
        raise


def _intended(repo: TrainingRepo, request: RunRequest, flow: FlowLink, key: str | None) -> Journal:
    inputs = request.inputs
    if inputs is None:
        check_request(repo, request)
        config = repo.config
    else:
        config = check_retrain(repo, request, inputs.commit)
    params = config.params_with(request.params)
    run = RunRecord(
        run_id="",
        name=name_or_generated(request.name, config.experiment),
        experiment=config.experiment,
        git=GitFacts(branch=repo.code.branch(), repo_url=repo.code.remote_url()),
        data=inputs.data if inputs else (),
        params=params,
        command=filled_command(config.train.command, params),
        tracker=TrackerLink(kind=repo.tracker.kind, uri=repo.tracker.uri),
        prefect=flow,
        started=now().isoformat(timespec="milliseconds"),
    )
    base = pinned = inputs.commit if inputs else repo.code.head()
    if request.snapshot:
        message = f"Uncommitted changes of run {run.name}\n"
        pinned = repo.code.commit_working_tree(message=message, when=moment(run.started))
    return Journal(
        key=key or new_key(),
        run=run,
        step=Step.OPENING,
        base=base,
        pinned=pinned,
        snapshot=request.snapshot,
        retrain=inputs is not None,
        places=places_of(repo, repo.code.read(pinned, DVC_CONFIG)),
    )


def _begun(repo: TrainingRepo, journal: Journal) -> Journal:
    """The journal on disk, once the DVC remote has taken what it was given."""
    repo.bound(journal).store.probe_remote()
    return repo.journals.begin(journal)


def places_of(repo: TrainingRepo, dvc_config: bytes | None) -> Places:
    """Where a run that opens now is recorded and published. Raises `NotReady` without a remote."""
    return replace(places_of_records(repo), dvc_remote=repo.store.remote_settings(dvc_config))


def places_of_records(repo: TrainingRepo) -> Places:
    """As `places_of`, of what needs no DVC remote."""
    return Places(
        experiment=repo.config.experiment,
        tracker=repo.tracker_settings,
        git_remote=repo.code.remote_settings(),
        checkout=repo.code.checkout_settings(),
    )


def open_in_tracker(repo: TrainingRepo, journal: Journal) -> Journal:
    """The journal with the run that the tracker opens for it."""
    run, own = journal.run, {tags.ATTEMPT: journal.key}
    if journal.retrain and repo.config_at(journal.pinned).gate:
        own[tags.GATE] = PENDING
    if repo.code.managed and str(repo.root) in unquote(repo.tracker.uri):
        repo.report.warn(
            f"only this machine will know of the run: by {FILE}, tracker runs are kept in the clone"
            f" that is here, {repo.root}"
        )
    try:
        tracked = repo.tracker.open_run(
            name=run.name,
            tags=render_tags(run) | own,
            started=moment(run.started),
        )
    except ServiceFailed:
        # The answer alone may have been lost.
        with suppress(ServiceFailed):
            if there := adopt(repo, journal):
                return there
        raise
    return adopt(repo, journal) or _with(repo, journal, tracked)


def adopt(repo: TrainingRepo, journal: Journal) -> Journal | None:
    """The journal with the run that the tracker open_in_tracker for its attempt; None without one.

    Where the tracker has made several, the others are closed.
    """
    same = repo.tracker.runs_tagged(tags.ATTEMPT, journal.key)
    if (tracked := run_of_attempt(same)) is None:
        return None
    begun = _with(repo, journal, tracked)
    close_twins(repo, twins(same, known=tracked.run_id))
    return begun


def _with(repo: TrainingRepo, journal: Journal, tracked: TrackedRun) -> Journal:
    record = tags.record_of(tracked, kind=repo.tracker.kind, uri=repo.tracker.uri)
    return repo.journals.write(
        journal.at(Step.OPENED, run_id=tracked.run_id, tracker=record.tracker)
    )


def _check_tracker(repo: TrainingRepo) -> None:
    if not repo.tracker.takes_runs:
        raise ConfigError(
            f"{repo.config.tracker.uri!r} is a file store, which MLflow no longer writes",
            file=FILE,
            key="tracker.uri",
            hint='use a database, for example "sqlite:///mlflow.db"',
        )


def _check_config_is_tracked(repo: TrainingRepo) -> None:
    file = FILE if (repo.root / FILE).exists() else PYPROJECT
    if not repo.code.tracked_under(file):
        raise NotReady(
            f"{file} is not committed, so no commit would say how the run was made",
            hint=f"git add {file} && git commit",
        )


def _check_input(repo: TrainingRepo, path: str, head: str) -> None:
    place = repo.root / path
    _check_not_tracked(repo, path)
    check_stays_inside(repo, path)
    if not place.exists():
        if place.is_symlink():
            raise BadInput(path, "is a link to a file that is not there")
        if repo.code.read(head, pointer_path(path)) is None:
            raise BadInput(path, "there is no such input", hint=f"see data.inputs in {FILE}")
    elif not os.access(place, os.R_OK):
        raise BadInput(path, "cannot be read")
    else:
        repo.store.check_content(path)
    repo.store.check_owner(path)


def _check_model(repo: TrainingRepo, path: str) -> None:
    _check_not_tracked(repo, path)
    check_stays_inside(repo, path)
    repo.store.check_owner(path)


def _check_not_tracked(repo: TrainingRepo, path: str, commit: str | None = None) -> None:
    """By Git's index, or by a commit."""
    if commit is None:
        tracked = repo.code.tracked_under(path)
    else:
        below = repo.code.files_at([commit], lambda f: f == path or f.startswith(f"{path}/"))
        tracked = tuple(below.get(commit, ()))
    if tracked:
        inside = "" if tracked == (path,) else f" ({tracked[0]})"
        raise BadInput(
            path,
            f"is tracked by Git{inside}, and DVC does not version what Git does",
            hint="`anchored init --untrack` takes it out of Git's index and keeps the file",
        )


def _check_clean(repo: TrainingRepo, head: str) -> None:
    """Refuses uncommitted changes, but for what `dvc add` of an input has left to commit."""
    expected = _left_by_dvc_add(repo, repo.config, head)
    dirty = [
        path
        for path in repo.code.changed_files()
        if path not in expected or not _has_content(repo.root / path, expected[path])
    ]
    if dirty:
        raise DirtyTree(dirty)


def _left_by_dvc_add(repo: TrainingRepo, config: Config, head: str) -> dict[str, bytes | None]:
    """Files that `dvc add` changes, with the content that it gives them; None: any pointer."""
    files: dict[str, bytes | None] = {pointer_path(path): None for path in config.data.inputs}
    for path in config.data.inputs:
        file = ignore_file(path)
        before = files.get(file) or repo.code.read(head, file) or b""
        after = with_lines(before.decode(errors="surrogateescape"), [ignore_line(path)])
        files[file] = after.encode(errors="surrogateescape")
    return files


def _has_content(file: Path, content: bytes | None) -> bool:
    return file.is_file() and (content is None or file.read_bytes() == content)
