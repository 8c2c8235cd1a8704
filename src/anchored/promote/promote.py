"""Promote: a run's model becomes a version of the registered model, and gets an alias."""

from __future__ import annotations

from anchored.config import FILE
from anchored.decisions.naming import checked_alias, run_ref
from anchored.decisions.tags import STATE
from anchored.errors import ConfigError, UnknownRun, WrongUse
from anchored.history.find import sealed_environment
from anchored.history.trace import ResolvedRun, resolve_run
from anchored.records import ModelVersion, Pointer, RunRecord, State
from anchored.run.model_content import model_content, model_tags
from anchored.training_repo import TrainingRepo

LOCK = "promote"
CHAMPION = "champion"


def promote(
    repo: TrainingRepo, run: RunRecord, *, alias: str, model: str | None = None
) -> ModelVersion:
    """Registers a run's model, every byte hashed before, and gives the version an alias.

    The alias is moved last: it always names a complete version. A second call, as after one
    that was interrupted, makes no second version. An external run will do, if it names its commit
    and its model.

    `model` is the registered model's name, by default the configured one. Raises `ConfigError`
    where there is none, `BadName` for the alias, `WrongUse` for a run that cannot be promoted,
    `ServiceFailed`.
    """
    model = model or registered_model(repo)
    checked_alias(alias)
    past = _fit(repo, run)
    with repo.journals.locked(LOCK):
        return _promoted(repo, past, model, alias)


def promote_over(
    repo: TrainingRepo, run: RunRecord, champion: str, *, alias: str, model: str
) -> ModelVersion | None:
    """As `promote`, if the champion still is of that run (empty: if there is none); else None.

    The run's own model may be the champion already.
    """
    past = _fit(repo, run)
    with repo.journals.locked(LOCK):
        now = repo.tracker.version_of_alias(model, CHAMPION)
        if now is not None and now.run_id not in (run.run_id, champion):
            return None
        return _promoted(repo, past, model, alias)


def _promoted(repo: TrainingRepo, past: ResolvedRun, model: str, alias: str) -> ModelVersion:
    before = repo.tracker.version_of_alias(model, alias)
    version = _registered(repo, past, model)
    if before is not None and before.version == version.version:
        repo.report.say(f"@{alias} names this run's version {version.version} already")
        return before
    promoted = repo.tracker.set_alias(model, alias, version.version)
    if before is not None:
        repo.report.say(
            f"@{alias} named version {before.version} before, {_origin_of(repo, before)}"
        )
    return promoted


def registered_model(repo: TrainingRepo) -> str:
    """The name of the registered model that the configuration gives. Raises `ConfigError`."""
    retrain = repo.config.retrain
    if retrain is None or retrain.registered_model is None:
        raise ConfigError(
            "required, but missing: the model's name in the registry",
            file=FILE,
            key="retrain.registered_model",
            hint=f'add registered_model = "NAME" to [retrain] in {FILE}',
        )
    return retrain.registered_model


def _fit(repo: TrainingRepo, tracked: RunRecord) -> ResolvedRun:
    """The run by its commit. Raises `WrongUse` where nobody may rely on its model."""
    past = resolve_run(repo, tracked)
    run = past.run
    if run.reproduces:
        raise WrongUse(
            f"the run {run.name!r} is a reproduction: what it trained was not kept",
            hint=f"`anchored promote {run.reproduces}` promotes the run that it reproduced",
        )
    is_ours = bool(repo.tracker.run(run.run_id).tags.get(STATE))
    if run.state != State.SEALED and (is_ours or run.state != State.TRAINED):
        ways = {State.FAILED: f"`anchored show {run.run_id}` shows what is known of it"}
        raise WrongUse(
            f"the run {run.name!r} is {run.state}: only a sealed one can be promoted",
            hint=ways.get(run.state, "`anchored resume` finishes runs that were interrupted"),
        )
    if is_ours and not run.git.ref:
        raise WrongUse(
            f"the run {run.name!r} says that it is sealed, but neither this repository nor its"
            f" remote has its ref, {run_ref(run.run_id)}",
            hint="see what `anchored audit` says",
        )
    if not run.git.commit or not run.model:
        lacking = "commit" if not run.git.commit else "model"
        raise WrongUse(
            f"the run {run.name!r} names no {lacking}",
            hint="an external run needs the tags git_commit and dvc_model_md5",
        )
    return past


def _registered(repo: TrainingRepo, past: ResolvedRun, model: str) -> ModelVersion:
    """The version of the run's model; made if there is none."""
    run = past.run
    md5 = run.model[0].md5
    if known := repo.tracker.registered(run.run_id, model=model, md5=md5):
        return known
    pointer = _pointer(repo, past)
    environment = sealed_environment(repo, run)
    with model_content(repo, pointer, md5=md5, environment=environment) as content:
        tags = model_tags(run, pointer.path)
        return repo.tracker.register(run.run_id, content, model=model, tags=tags)


def _pointer(repo: TrainingRepo, past: ResolvedRun) -> Pointer:
    """The run's model; the record and the pointer of a sealed run's commit have to agree.

    A script's own run often names a commit that it took down before the model was versioned.
    """
    (pointer, *_) = past.lineage.model
    differing = [d for d in past.lineage.differences if d.startswith(f"{pointer.path}: ")]
    if differing and past.run.state == State.SEALED:
        raise WrongUse(differing[0], hint="see what `anchored audit` says")
    for line in (*past.trouble, *past.mismatches, *differing):
        repo.report.warn(line)
    return pointer


def _origin_of(repo: TrainingRepo, version: ModelVersion) -> str:
    try:
        run = repo.tracker.run(version.run_id) if version.run_id else None
    except UnknownRun:
        return f"of the run {version.run_id}, which is gone"
    return f"of the run {run.name!r}, {run.run_id}" if run is not None else "which names no run"
