"""Promote: a run's model becomes a version of the registered model, and bears an alias."""

from __future__ import annotations

from anchored.config import FILE
from anchored.decisions.naming import checked_alias
from anchored.decisions.tags import STATE
from anchored.errors import ConfigError, UnknownRun, WrongUse
from anchored.records import ModelVersion, Pointer, RunRecord, State
from anchored.steps.find_runs import environment_of
from anchored.steps.model_content import model_content, model_tags
from anchored.steps.trace_run import traced
from anchored.steps.training_repo import TrainingRepo

LOCK = "promote"
CHAMPION = "champion"


def promote(
    repo: TrainingRepo, run: RunRecord, *, alias: str, model: str | None = None
) -> ModelVersion:
    """Registers a run's model, every byte hashed before, and lets the version bear an alias.

    The alias is moved last: it always names a version that is whole. A second call, as after one
    that was cut off, makes no second version. A run made by hand will do, if it names its commit
    and its model.

    `model` is the registered model's name, by default the configured one. Raises `ConfigError`
    where there is none, `BadName` for the alias, `WrongUse` for a run that cannot be promoted,
    `ServiceFailed`.
    """
    model = model or registered_model(repo)
    checked_alias(alias)
    _refuse_unfit(repo, run)
    with repo.journals.locked(LOCK):
        return _promoted(repo, run, model, alias)


def promote_over(
    repo: TrainingRepo, run: RunRecord, champion: str, *, alias: str, model: str
) -> ModelVersion | None:
    """As `promote`, if the champion still is of that run (empty: if there is none); else None.

    The run's own model may be the champion already.
    """
    _refuse_unfit(repo, run)
    with repo.journals.locked(LOCK):
        now = repo.tracker.version_of_alias(model, CHAMPION)
        if now is not None and now.run_id not in (run.run_id, champion):
            return None
        return _promoted(repo, run, model, alias)


def _promoted(repo: TrainingRepo, run: RunRecord, model: str, alias: str) -> ModelVersion:
    before = repo.tracker.version_of_alias(model, alias)
    version = _registered(repo, run, model)
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


def _refuse_unfit(repo: TrainingRepo, run: RunRecord) -> None:
    """Raises `WrongUse` for a run whose model nobody may rely on."""
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
            hint=ways.get(run.state, "`anchored resume` finishes runs that were cut off"),
        )
    if not run.git.commit or not run.model:
        lacking = "commit" if not run.git.commit else "model"
        raise WrongUse(
            f"the run {run.name!r} names no {lacking}",
            hint="a run made by hand needs the tags git_commit and dvc_model_md5",
        )


def _registered(repo: TrainingRepo, run: RunRecord, model: str) -> ModelVersion:
    """The version of the run's model; made if there is none."""
    md5 = run.model[0].md5
    if known := repo.tracker.registered(run.run_id, model=model, md5=md5):
        return known
    pointer = _pointer(repo, run)
    environment = environment_of(repo, run.run_id)
    with model_content(repo, pointer, md5=md5, environment=environment) as content:
        tags = model_tags(run, pointer.path)
        return repo.tracker.register(run.run_id, content, model=model, tags=tags)


def _pointer(repo: TrainingRepo, run: RunRecord) -> Pointer:
    """The run's model, by its tags and its commit, which of a sealed run have to agree.

    A script's own run often names a commit that it took down before the model was versioned.
    """
    past = traced(repo, run)
    (pointer, *_) = past.lineage.model
    differing = [d for d in past.lineage.differences if d.startswith(f"{pointer.path}: ")]
    if differing and run.state == State.SEALED:
        raise WrongUse(
            differing[0], hint="somebody changed the run's tags: see what `anchored audit` says"
        )
    for line in (*past.trouble, *differing):
        repo.report.warn(line)
    return pointer


def _origin_of(repo: TrainingRepo, version: ModelVersion) -> str:
    try:
        run = repo.tracker.run(version.run_id) if version.run_id else None
    except UnknownRun:
        return f"of the run {version.run_id}, which is gone"
    return f"of the run {run.name!r}, {run.run_id}" if run is not None else "which names no run"
