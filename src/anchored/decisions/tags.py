"""The grammar of the tags on a tracker run: rendered from a record, parsed back into one.

`render_tags` and `parse_tags` are a pair. Runs that Anchored did not make have only some of the
tags; what is absent stays empty.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from anchored.decisions.decoding import MEBIBYTE, json_value
from anchored.decisions.redaction import url_without_credentials
from anchored.display.shown import shown
from anchored.records import (
    Ended,
    FlowLink,
    GitFacts,
    ParamValue,
    Pointer,
    RunRecord,
    State,
    TrackedRun,
    TrackerLink,
)

COMMIT = "git_commit"
SOURCE_COMMIT = "git_source_commit"
MLFLOW_COMMIT = "mlflow.source.git.commit"
PARENT = "mlflow.parentRunId"  # of a run inside another, as of one fold or trial
BRANCH = "git_branch"
REPO_URL = "git_repo_url"
DATA = "dvc_data_md5"
MODEL = "dvc_model_md5"
STATE = "anchored.state"
ENVIRONMENT = "anchored.environment_md5"
REPRODUCES = "anchored.reproduces"
VERDICT = "anchored.verdict"
ATTEMPT = "anchored.attempt"
DOUBLES = "anchored.doubles"  # of a run that was made twice: the id of the other one
RECORD = "anchored.record"
ERROR = "anchored.error"
GATE = "anchored.gate"
FLOW_RUN_ID = "prefect.flow_run_id"
FLOW_RUN_URL = "prefect.flow_run_url"
DETAILS = ("data", "model", "params", "command")  # of a record, as the tag has them
LONGEST_DOCUMENT = 16 * MEBIBYTE  # of one in an artifact, where a run has very many inputs
SHORT = 100
# What the keys of tags are or begin with.
GRAMMAR = ("git_", "dvc_", "anchored.", "prefect.", "mlflow.")
# Of a run that says nothing of its state: what its tracker makes of it.
STATES = {
    None: State.RUNNING,
    Ended.FINISHED: State.TRAINED,
    Ended.FAILED: State.FAILED,
    Ended.KILLED: State.FAILED,
}


@dataclass(frozen=True, slots=True)
class TaggedFacts:
    """What a run's tags say. `data` and `model` are (path, md5); the path may be unknown (`""`)."""

    git: GitFacts
    data: tuple[tuple[str, str], ...]
    model: tuple[tuple[str, str], ...]
    state: State | None
    environment_md5: str
    prefect: FlowLink
    reproduces: str | None
    verdict: str | None


def render_tags(run: RunRecord) -> dict[str, str]:
    """Every tag of a record; facts not known yet have no tag."""
    tags = {
        COMMIT: run.git.commit,
        SOURCE_COMMIT: run.git.source_commit,
        MLFLOW_COMMIT: run.git.source_commit,
        BRANCH: run.git.branch,
        REPO_URL: run.git.repo_url,
        ENVIRONMENT: str(run.environment.get("md5", "")),
        REPRODUCES: run.reproduces or "",
        VERDICT: run.verdict or "",
        FLOW_RUN_ID: run.prefect.flow_run_id,
        FLOW_RUN_URL: run.prefect.url,
    }
    tags |= _hash_tags(DATA, run.data) | _hash_tags(MODEL, run.model)
    tags[RECORD] = _render_details(run)
    tags[STATE] = str(run.state)  # the last: trackers may take many tags in several calls
    return {key: value for key, value in tags.items() if value}


def is_tag(key: str) -> bool:
    """Whether a key is one of a tag: for trackers that keep tags and params in one place."""
    return key.startswith(GRAMMAR)


def state_tags(run: RunRecord) -> dict[str, str]:
    """Those tags of a run that say how far it is, and which flow run works on it."""
    rendered = render_tags(run)
    return {key: rendered[key] for key in (FLOW_RUN_ID, FLOW_RUN_URL, STATE) if key in rendered}


def parse_tags(tags: Mapping[str, str]) -> TaggedFacts:
    """The facts that tags state, whoever wrote them."""
    state = tags.get(STATE, "")
    return TaggedFacts(
        git=GitFacts(
            # Scripts take down what `git rev-parse` prints, often with its line end.
            commit=tags.get(COMMIT, "").strip(),
            source_commit=tags.get(SOURCE_COMMIT, "").strip(),
            branch=tags.get(BRANCH, ""),
            repo_url=tags.get(REPO_URL, ""),
        ),
        data=_parse_hashes(DATA, tags),
        model=_parse_hashes(MODEL, tags),
        state=State(state) if state in set(State) else None,
        environment_md5=tags.get(ENVIRONMENT, ""),
        prefect=FlowLink(tags.get(FLOW_RUN_ID, ""), tags.get(FLOW_RUN_URL, "")),
        reproduces=tags.get(REPRODUCES) or None,
        verdict=tags.get(VERDICT) or None,
    )


def record_of(tracked: TrackedRun, *, kind: str, uri: str) -> RunRecord:
    """The record of a tracker's run, whoever made it.

    Commit and hashes come from their own tags; sizes, typed params and the command from the tag
    `anchored.record` where there is one.
    """
    facts = parse_tags(tracked.tags)
    details, _ = _parse_details(tracked.tags.get(RECORD, ""))
    state = facts.state or STATES[tracked.ending]
    return RunRecord(
        run_id=tracked.run_id,
        name=tracked.name,
        experiment=tracked.experiment,
        state=state,
        git=replace(facts.git, ref=details.git.ref),
        data=_pointers(facts.data, details.data),
        model=_pointers(facts.model, details.model),
        params=details.params or dict(tracked.params),
        metrics=_in_order(tracked.metrics, tuple(details.metrics)),
        command=details.command,
        environment={"md5": facts.environment_md5} if facts.environment_md5 else {},
        tracker=TrackerLink(kind=kind, uri=url_without_credentials(uri), url=tracked.url),
        prefect=facts.prefect,
        started=_iso(tracked.started),
        ended=_iso(tracked.ended),
        reproduces=facts.reproduces,
        verdict=facts.verdict,
    )


def recorded_params(tags: Mapping[str, str]) -> Mapping[str, ParamValue] | None:
    """The params that a run recorded, perhaps none at all; None where nothing says so.

    What a script has logged to the tracker by itself is not among them.
    """
    details, _ = _parse_details(tags.get(RECORD, ""))
    return details.params if details.command else None


def unreadable_details(tags: Mapping[str, str]) -> str:
    """Why the tag `anchored.record` cannot be read; empty where it can, or is not there."""
    return _parse_details(tags.get(RECORD, ""))[1]


def _render_details(run: RunRecord) -> str:
    value = run.to_json()
    kept = {key: value[key] for key in DETAILS}
    kept |= {"ref": run.git.ref, "metrics": list(run.metrics)}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=1)  # what it says is asked, and then whether it can be read
def _parse_details(text: str) -> tuple[RunRecord, str]:
    """A record of nothing but the details; of nothing where they cannot be read, and why not."""
    blank: dict[str, Any] = {"run_id": "", "name": "", "experiment": ""}
    try:
        value = json_value(text or "{}", longest=LONGEST_DOCUMENT)
        order = dict.fromkeys(value.get("metrics", ()), 0.0)
        git = {"ref": value.get("ref", "")}
        kept = {key: value[key] for key in DETAILS if key in value}
        return RunRecord.from_json({**kept, **blank, "git": git, "metrics": order}), ""
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return RunRecord(**blank), f"not a record: {shown(error, SHORT)}"


def _pointers(
    stated: tuple[tuple[str, str], ...], details: tuple[Pointer, ...]
) -> tuple[Pointer, ...]:
    """What the hash tags state, in the order of the details and with their sizes.

    An output whose own tag is not there, its path being too long for a key, is taken from the
    details; where a tag contradicts them, the tag is right.
    """
    hashes = dict(stated)
    found = []
    for pointer in details:
        md5 = hashes.pop(pointer.path, pointer.md5)
        found.append(pointer if md5 == pointer.md5 else Pointer(pointer.path, md5))
        if md5 == hashes.get(""):  # "the" one, known by its path after all
            del hashes[""]
    return (*(Pointer(path, md5) for path, md5 in hashes.items()), *found)


def _in_order(metrics: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """The metrics as the run recorded them; all of them where it recorded nothing."""
    return {name: metrics[name] for name in names or sorted(metrics) if name in metrics}


def _iso(milliseconds: int | None) -> str:
    try:
        moment = datetime.fromtimestamp((milliseconds or 0) / 1000, tz=UTC)
    except (ValueError, OverflowError, OSError):  # beyond the year 9999, by whoever wrote it
        return ""
    return moment.isoformat(timespec="milliseconds") if milliseconds else ""


def _hash_tags(tag: str, pointers: tuple[Pointer, ...]) -> dict[str, str]:
    if not pointers:
        return {}
    return {tag: pointers[0].md5} | {f"{tag}/{p.path}": p.md5 for p in pointers}


def _parse_hashes(tag: str, tags: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Pairs of path and md5, "the" one (the tag without a path) first."""
    prefix = f"{tag}/"
    found = {key: md5.strip() for key, md5 in tags.items() if key.startswith(tag)}
    pairs = [(key[len(prefix) :], md5) for key, md5 in found.items() if key.startswith(prefix)]
    first = found.get(tag)
    if first is None:
        return tuple(pairs)
    pairs.sort(key=lambda pair: pair[1] != first)
    return tuple(pairs) if pairs and pairs[0][1] == first else (("", first), *pairs)
