"""Reproduce a run: train it again from its commit and data, and judge what that gives.

A reproduction is a tracker run of its own, which points at the original. It is not sealed, for it
adds nothing that another run would need; interrupted, it is closed as failed and can be begun anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from anchored.decisions import tags
from anchored.decisions.causes import (
    IMPORTS,
    causes_of,
    environment_checks,
    imported_packages,
)
from anchored.decisions.command import filled_command
from anchored.decisions.naming import open_ref, reproduction_name
from anchored.decisions.verdict import Result, Tolerance, agree, check_tolerances, judge
from anchored.errors import BadParam, NotReady, ObjectLost, RunFailed
from anchored.history.find import (
    environment_of,
    found,
    found_by_id,
    sealed_environment,
)
from anchored.history.trace import ResolvedRun, resolve_run
from anchored.history.typed_params import typed
from anchored.journal import Journal, Places, Step
from anchored.ports import LoggedFiles
from anchored.records import (
    RUN_DOCUMENT,
    Check,
    Ended,
    Environment,
    FlowLink,
    GitFacts,
    ParamValue,
    Pointer,
    Reproduction,
    RunRecord,
    State,
    TrackerLink,
    Verdict,
    rendered,
)
from anchored.run.log import log_run, logged_files, of_training
from anchored.run.open import DVC_CONFIG, adopt, open_in_tracker, places_of, places_of_records
from anchored.run.train import train_once, with_outcome
from anchored.run.worktree import Past
from anchored.training_repo import TrainingRepo, moment, now


@dataclass(frozen=True, slots=True)
class Request:
    """How to reproduce: in the `recorded` environment or today's, how often, how near.

    With `trust_tracker` the command and the environment are taken from the tracker where the run's
    commit records neither: whoever can write there decides what is executed.
    """

    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    recorded_environment: bool = False
    repeat: int = 1
    trust_tracker: bool = False


@dataclass(frozen=True, slots=True)
class Rerun:
    """What training again gave; `failure` says why it could not be done, `lost` what was missing
    or otherwise than recorded.
    """

    results: tuple[Result, ...] = ()
    environment: Environment | None = None
    lost: tuple[str, ...] = ()
    failure: str = ""


def locate(
    repo: TrainingRepo, wanted: str, request: Request, *, latest: bool = False
) -> ResolvedRun:
    """The run that is meant, with its commit fetched. A reproduction means its original.

    Raises `UnknownRun`, `AmbiguousRun`, `BadParam` for a tolerance of no metric, `NotReady` for a
    run that names no commit, recorded no environment to be rebuilt, or whose command only the
    tracker knows, and `GitRemoteFailed`.
    """
    run = found(repo, wanted, latest=latest)
    original = resolve_run(repo, run)
    if run.reproduces and not original.run.git.ref:
        repo.report.say(f"{run.name!r} is a reproduction; its original is reproduced")
        original = resolve_run(repo, found_by_id(repo, run.reproduces))
    run = original.run
    check_tolerances(request.tolerances, run.metrics)
    if not run.git.commit and not run.git.source_commit:
        raise NotReady(
            f"{run.name!r} names no Git commit, so nothing says what was trained",
            hint="a run needs the tags git_commit, dvc_data_md5 and dvc_model_md5",
        )
    if run.state == State.RUNNING and run.git.commit == "":
        raise NotReady(f"{run.name!r} is not finished", hint="`anchored resume` finishes it")
    if request.recorded_environment:
        _recorded(repo, original, request)
    _command(repo, original, request)
    return original


def open_reproduction(
    repo: TrainingRepo, original: ResolvedRun, request: Request, flow: FlowLink, *, key: str
) -> Journal:
    """Opens the tracker run of a reproduction; called again with the same key, finds it."""
    begun = repo.journals.claim(key)
    journal = begun or repo.journals.begin(_intended(repo, original, request, flow, key))
    if journal.step > Step.OPENING:
        return journal
    repo = repo.bound(journal)
    repo.code.keep(open_ref(key), journal.pinned)
    return (begun and adopt(repo, begun)) or open_in_tracker(repo, journal)


def _intended(
    repo: TrainingRepo, original: ResolvedRun, request: Request, flow: FlowLink, key: str
) -> Journal:
    past = original.run
    run = RunRecord(
        run_id="",
        name=reproduction_name(past.name),
        experiment=repo.config.experiment,
        git=GitFacts(
            commit=original.commit,
            source_commit=original.source,
            repo_url=repo.code.remote_url(),
            ref=past.git.ref,
        ),
        data=original.lineage.data,
        params=_params(repo, original),
        command=_command(repo, original, request),
        tracker=TrackerLink(kind=repo.tracker.kind, uri=repo.tracker.uri),
        prefect=flow,
        started=now().isoformat(timespec="milliseconds"),
        reproduces=past.run_id,
    )
    base = original.source or repo.code.head()
    return Journal(
        key=key, run=run, step=Step.OPENING, base=base, pinned=base, places=_places(repo)
    )


def _places(repo: TrainingRepo) -> Places:
    """Where the reproduction is recorded; what the cache holds needs no DVC remote."""
    with suppress(NotReady):
        return places_of(repo, repo.code.read_now(DVC_CONFIG))
    return replace(places_of_records(repo), dvc_remote={})


def _params(repo: TrainingRepo, original: ResolvedRun) -> dict[str, ParamValue]:
    past, config = original.run, original.config or repo.config
    # A run that recorded no command may have logged but some of the params that the command needs.
    defaults = {} if past.command else dict(config.train.params)
    return defaults | typed(past.params, config)


def _command(repo: TrainingRepo, original: ResolvedRun, request: Request) -> str:
    """What is executed: what the run's commit records, else what its configuration gives.

    Raises `BadParam` for params that do not fit their place in it, and `NotReady` where the tracker
    names another command: whoever can write there would run it here.
    """
    past, config = original.run, original.config or repo.config
    if original.is_recorded or (past.command and request.trust_tracker):
        return past.command
    try:
        command = filled_command(config.train.command, _params(repo, original))
    except ValueError as error:
        raise BadParam(f"the run's params do not fit train.command: {error}") from error
    if past.command and past.command != command:
        raise NotReady(
            f"the tracker says that {past.name!r} ran {past.command!r}, but its commit gives"
            f" {command!r}",
            hint="only if you trust everybody who can write to the tracker: --trust-tracker",
        )
    return command


def fetch_lineage(repo: TrainingRepo, original: ResolvedRun) -> tuple[str, ...]:
    """Makes the cache hold the run's inputs, every byte hashed; returns what is lost, in words.

    Raises `RemoteFailed` where the remote does not answer: then nothing is known to be lost.
    """
    lost = [] if original.source else list(original.trouble)
    for pointer in original.lineage.data:
        try:
            repo.store.fetch((pointer,), repo.report)
        except ObjectLost as error:
            lost.append(f"{pointer.path} cannot be restored: {error.message}")
    if not original.lineage.data:
        lost.append("the run names no data")
    return tuple(lost)


def rerun(repo: TrainingRepo, key: str, original: ResolvedRun, request: Request) -> Rerun:
    """Trains again as often as asked for; what keeps it from that is the rerun's `failure`."""
    journal = repo.journal(key)
    results: list[Result] = []
    environment: Environment | None = None
    unbuilt: tuple[str, ...] = ()
    try:
        past = None
        if request.recorded_environment:
            recorded = _recorded(repo, original, request)
            built = repo.environments.rebuilt(recorded, repo.root, repo.report)
            past, unbuilt = Past(built.home, recorded.variables), built.missing
        for turn in range(request.repeat):
            if request.repeat > 1:
                repo.report.say(f"training {turn + 1} of {request.repeat}")
            outcome = train_once(repo, journal, original.config or repo.config, past)
            environment = outcome.environment
            repo.journals.write(with_outcome(journal, outcome))
            metrics = log_run(repo, key).run.metrics
            results.append(Result(_model(repo, key, original), metrics))
    except RunFailed as error:
        return Rerun(tuple(results), environment, lost=unbuilt, failure=error.message)
    finally:
        repo.code.remove_worktree(repo.journals.tree(key))
    return Rerun(tuple(results), environment, lost=unbuilt)


def _model(repo: TrainingRepo, key: str, original: ResolvedRun) -> tuple[Pointer, ...]:
    """The model that training left, hashed as the recorded one was."""
    config = original.config or repo.config
    path = config.train.model
    file = repo.journals.outputs(key) / "model" / path
    recorded = original.lineage.model
    hash_name = recorded[0].hash_name if recorded else "md5"
    pointer = repo.store.hashed_content(file, path, hash_name)
    # A run that was made without a configuration may have called its only model otherwise.
    return (replace(pointer, path=recorded[0].path),) if len(recorded) == 1 else (pointer,)


def _recorded(repo: TrainingRepo, original: ResolvedRun, request: Request) -> Environment:
    """The environment that the run recorded. What it names is installed, and so executed."""
    run, today = original.run, "reproduce it in today's: --environment current"
    recorded = environment_of(repo, run.run_id)
    if recorded is None:
        raise NotReady(f"{run.name!r} recorded no environment to rebuild", hint=today)
    if request.trust_tracker:
        return recorded
    if not original.is_recorded:
        raise NotReady(
            f"only the tracker knows the environment of {run.name!r}",
            hint=f"{today}; if you trust everybody who can write there: --trust-tracker",
        )
    if (sealed := sealed_environment(repo, run)) is None:
        raise NotReady(
            f"the tracker's environment record of {run.name!r} is not the one that was sealed",
            hint=today,
        )
    return sealed


def record_verdict(
    repo: TrainingRepo, key: str, original: ResolvedRun, again: Rerun, request: Request
) -> Reproduction:
    """Judges, and informs the tracker: the reproduction all of it, the original the verdict."""
    journal, past = repo.journal(key), original.run
    verdict, checks = Verdict.FAILED, tuple[Check, ...]()
    if again.results and not again.failure:
        past_result = Result(original.lineage.model, of_training(past.metrics))
        verdict, checks = judge(past_result, again.results, request.tolerances)
    recorded = sealed_environment(repo, past)
    environment: tuple[Check, ...] = ()
    if again.environment is not None:
        lines = repo.code.matching_lines(original.source, IMPORTS, "*.py")
        environment = environment_checks(recorded, again.environment, imported_packages(lines))
    agrees = agree(again.results) if len(again.results) > 1 else None
    lost = (*filter(None, (again.failure,)), *again.lost, *original.lineage.differences)
    ended = now()
    reproduction = Reproduction(
        run=past.run_id,
        name=past.name,
        verdict=verdict,
        reproduction=journal.run.run_id,
        checks=(*checks, *environment),
        causes=causes_of(verdict, environment, lost=lost, agrees=agrees),
        seconds=(ended - moment(journal.run.started)).total_seconds(),
    )
    state = State.FAILED if verdict == Verdict.FAILED else State.TRAINED
    model = again.results[0].model if again.results else ()
    run = journal.run.with_(
        state=state,
        verdict=str(verdict),
        model=model,
        ended=ended.isoformat(timespec="milliseconds"),
    )
    _tell(repo, journal, run, reproduction)
    repo.tracker.log(past.run_id, tags={tags.VERDICT: str(verdict)})
    repo.forget(key)
    return reproduction


def _tell(repo: TrainingRepo, journal: Journal, run: RunRecord, reproduction: Reproduction) -> None:
    texts = {
        RUN_DOCUMENT: rendered(run.to_json()),
        "anchored/verdict.json": rendered(reproduction.to_json()),
    }
    files = logged_files(repo, journal)
    said = {tags.ERROR: "; ".join(reproduction.causes)[:1_000]} if run.state == State.FAILED else {}
    repo.tracker.log(
        run.run_id,
        params=run.params,
        metrics=run.metrics,
        files=LoggedFiles(files.files, {**files.texts, **texts}),
        tags=tags.render_tags(run) | said,
    )
    ending = Ended.FAILED if run.state == State.FAILED else Ended.FINISHED
    repo.tracker.end_run(run.run_id, ending, name=run.name, ended=moment(run.ended))
